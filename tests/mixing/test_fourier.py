"""Fourier mixing against Hugging Face's FNet and the definition, and what padding does to it."""

import math

import pytest
import torch
from torch import nn

from frugal.measure import peak_bytes
from frugal.mixing.fourier import FourierMixing, fourier_mix
from frugal.model import Encoder, TransformerConfig


def by_definition(x):
    """Re Σₙ Σ꜀ x[n, c] exp(-2πi (k n / N + l c / d)), as a product of cosines and sines."""
    _, length, width = x.shape
    k, n = (torch.arange(length, dtype=torch.float64) for _ in "kn")
    c = torch.arange(width, dtype=torch.float64)
    rows = 2 * math.pi * k[:, None] * n / length
    columns = 2 * math.pi * c[:, None] * c / width
    x = x.double()
    return rows.cos() @ x @ columns.cos() - rows.sin() @ x @ columns.sin()


@pytest.mark.parametrize("length", [1, 2, 3, 8, 9, 37])
@pytest.mark.parametrize("width", [1, 2, 3, 6, 7, 16])
def test_equals_the_sum_over_all_positions_and_channels(generator, length, width):
    x = torch.randn(2, length, width, generator=generator)
    out = fourier_mix(x)
    torch.testing.assert_close(out.double(), by_definition(x), atol=1e-4, rtol=1e-4)


def fnet_layer():
    modeling = pytest.importorskip("transformers.models.fnet.modeling_fnet")
    from transformers import FNetConfig

    config = FNetConfig(
        hidden_size=12,
        intermediate_size=30,
        hidden_act="relu",
        hidden_dropout_prob=0.0,
        num_hidden_layers=1,
    )
    return modeling.FNetLayer(config).eval()


def test_equals_hugging_face_s_transform_and_gradient(generator):
    modeling = pytest.importorskip("transformers.models.fnet.modeling_fnet")
    from transformers import FNetConfig

    theirs = modeling.FNetBasicFourierTransform(FNetConfig(hidden_size=12))
    x = torch.randn(2, 21, 12, generator=generator, requires_grad=True)
    expected, ours = theirs(x)[0], FourierMixing()(x)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    target = torch.randn(ours.shape, generator=generator)
    gradients = [torch.autograd.grad((out * target).sum(), x)[0] for out in (ours, expected)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_a_layer_of_the_model_equals_hugging_face_s_with_equal_weights(generator):
    theirs = fnet_layer()
    config = TransformerConfig(
        9, d_model=12, d_ff=30, norm_first=False, make_mixer=lambda *_: FourierMixing()
    )
    ours = Encoder(config).stack.layers[0]
    pairs = [
        (ours.mix.norm, theirs.fourier.output.LayerNorm),
        (ours.feed_forward.sublayer.inner, theirs.intermediate.dense),
        (ours.feed_forward.sublayer.outer, theirs.output.dense),
        (ours.feed_forward.norm, theirs.output.LayerNorm),
    ]
    with torch.no_grad():
        for mine, other in pairs:
            for parameter in other.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
            mine.load_state_dict(other.state_dict())
            mine.eps = getattr(other, "eps", None)
    x = torch.randn(3, 17, 12, generator=generator)
    torch.testing.assert_close(ours(x), theirs(x)[0], atol=1e-5, rtol=1e-5)


def test_padding_is_zeros_and_still_sets_the_frequencies(generator):
    mixing = FourierMixing()
    x = torch.randn(2, 10, 8, generator=generator)
    padding = torch.arange(10) < torch.tensor([[10], [6]])
    changed = torch.where(padding[..., None], x, 99.0)
    torch.testing.assert_close(mixing(changed, padding=padding), mixing(x, padding=padding))
    short = mixing(x[1:, :6])
    assert not torch.allclose(mixing(x, padding=padding)[1:, :6], short, atol=0.1)


def test_mixes_everything_so_it_cannot_be_causal(generator):
    x = torch.randn(1, 9, 4, generator=generator)
    changed = x.clone()
    changed[:, -1] += 1
    difference = (FourierMixing()(x) - FourierMixing()(changed)).abs().amax(-1)
    assert (difference > 0.1).all()
    assert FourierMixing.causal is False


def test_half_precision_is_transformed_in_float32(generator):
    x = torch.randn(1, 16, 8, generator=generator).bfloat16()
    out = FourierMixing()(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, fourier_mix(x.float()).bfloat16())


def test_holds_less_than_the_full_transform():
    x = torch.randn(1, 512, 64)
    with torch.no_grad():
        ours = peak_bytes(fourier_mix, x)
        full = peak_bytes(lambda x: torch.fft.fft2(x).real, x)
    assert ours < 0.8 * full


BAD = {
    "x has shape (5, 4)": lambda: FourierMixing()(torch.ones(5, 4)),
    "x has shape (2, 0, 4)": lambda: FourierMixing()(torch.ones(2, 0, 4)),
    "padding has dtype": lambda: FourierMixing()(torch.ones(2, 3, 4), padding=torch.ones(2, 3)),
    "padding has shape": lambda: FourierMixing()(
        torch.ones(2, 3, 4), padding=torch.ones(2, 4, dtype=torch.bool)
    ),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)


def test_has_no_parameters():
    assert not list(FourierMixing().parameters())
    assert isinstance(FourierMixing(), nn.Module)
