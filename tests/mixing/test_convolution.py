"""Lightweight and dynamic convolutions against conv1d and the paper's sum."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.measure import forward_backward, peak_bytes
from frugal.mixing.convolution import (
    BLOCK,
    DynamicConv,
    LightweightConv,
    dynamic_conv,
    lightweight_conv,
)
from frugal.model import Decoder, TransformerConfig
from frugal.training import train


def by_definition(x, weights, causal):
    """Equation 4 of the paper, a sum over the kernel for each position and channel."""
    batch, length, d_model = x.shape
    n_heads, kernel_size = weights.shape[-2:]
    weights = weights.expand(batch, length, n_heads, kernel_size)
    out = torch.zeros_like(x)
    for c in range(1, d_model + 1):
        head = -(-c * n_heads // d_model)  # ⌈c H / d⌉
        for j in range(1, kernel_size + 1):
            offset = j - kernel_size if causal else j - -(-(kernel_size + 1) // 2)
            for i in range(max(0, -offset), min(length, length - offset)):
                weight = weights[:, i, head - 1, j - 1]
                out[:, i, c - 1] += weight * x[:, i + offset, c - 1]
    return out


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(1, 9),
    kernel_size=st.integers(1, 12),
    n_heads=st.sampled_from([1, 2, 3, 6]),
    causal=st.booleans(),
    seed=st.integers(0, 100),
)
def test_both_equal_the_paper_s_sum(length, kernel_size, n_heads, causal, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, length, 6, generator=generator)
    fixed = torch.randn(n_heads, kernel_size, generator=generator)
    torch.testing.assert_close(
        lightweight_conv(x, fixed, causal=causal), by_definition(x, fixed, causal)
    )
    moving = torch.randn(2, length, n_heads, kernel_size, generator=generator)
    torch.testing.assert_close(
        dynamic_conv(x, moving, causal=causal), by_definition(x, moving, causal)
    )


@settings(deadline=None, max_examples=25)
@given(
    length=st.sampled_from([1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 100]),
    kernel_size=st.sampled_from([1, 2, 3, 7, 31, BLOCK, BLOCK + 1, 70, 150]),
    causal=st.booleans(),
    seed=st.integers(0, 100),
)
def test_equal_kernels_make_the_dynamic_one_a_conv1d(length, kernel_size, causal, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, length, 8, generator=generator, requires_grad=True)
    weights = torch.randn(4, kernel_size, generator=generator, requires_grad=True)
    left = kernel_size - 1 if causal else kernel_size // 2
    padded = F.pad(x.transpose(1, 2), (left, kernel_size - 1 - left))
    full = weights[torch.arange(8) // 2]
    # a loop over channels: no grouping, and nothing of the library in it
    channels = [F.conv1d(padded[:, c : c + 1], full[c].view(1, 1, -1)) for c in range(8)]
    expected = torch.cat(channels, 1).transpose(1, 2)
    same = weights.expand(2, length, 4, kernel_size)
    target = torch.randn(expected.shape, generator=generator)
    gradients = torch.autograd.grad((expected * target).sum(), (x, weights))
    for out in (lightweight_conv(x, weights, causal=causal), dynamic_conv(x, same, causal=causal)):
        torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)
        found = torch.autograd.grad((out * target).sum(), (x, weights))
        for ours, theirs in zip(found, gradients, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("length", [10, 70])
def test_gradients_are_the_slopes(generator, length):
    x = torch.randn(1, length, 4, generator=generator).double().requires_grad_()
    weights = torch.randn(1, length, 2, 5, generator=generator).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: dynamic_conv(x, w, causal=True), (x, weights))
    fixed = torch.randn(2, 5, generator=generator).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: lightweight_conv(x, w), (x, fixed))


@pytest.mark.parametrize("make", [LightweightConv, DynamicConv])
def test_a_mixer_is_projection_gate_convolution_projection(generator, make):
    mixer = make(12, 3, 5, causal=True).eval()
    x = torch.randn(2, 40, 12, generator=generator)
    inner = F.glu(F.linear(x, mixer.to_inner.weight, mixer.to_inner.bias), -1)
    if make is LightweightConv:
        weights = mixer.scores.softmax(-1)
        torch.testing.assert_close(mixer.weights, weights)
    else:
        scores = inner @ mixer.to_scores.weight.T
        weights = scores.view(2, 40, 3, 5).softmax(-1)
        torch.testing.assert_close(mixer.weights(x), weights)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    expected = mixer.to_out(by_definition(inner, weights, True))
    torch.testing.assert_close(mixer(x), expected, atol=1e-5, rtol=1e-5)
    plain = make(12, 3, 5, causal=True, gated=False)
    assert plain.to_inner.out_features == 12
    assert plain(x).shape == x.shape


@pytest.mark.parametrize("make", [LightweightConv, DynamicConv])
def test_causal_means_that_the_future_changes_nothing(generator, make):
    x = torch.randn(1, 50, 8, generator=generator)
    changed = x.clone()
    changed[:, 30:] += 1
    for causal, unchanged in ((True, 30), (False, 30 - 3)):
        mixer = make(8, 2, 7, causal=causal).eval()
        assert mixer.causal is causal
        difference = (mixer(x) - mixer(changed)).abs().amax((0, 2))
        assert (difference[:unchanged] < 1e-6).all()
        assert (difference[unchanged:30] > 1e-6).all()


@pytest.mark.parametrize("make", [LightweightConv, DynamicConv])
def test_what_is_padding_is_read_as_zeros(generator, make):
    mixer = make(8, 2, 7, causal=False).eval()
    torch.nn.init.normal_(mixer.to_inner.bias, generator=generator)
    x = torch.randn(2, 50, 8, generator=generator)
    padding = torch.arange(50) < torch.tensor([[50], [33]])
    out = mixer(torch.where(padding[..., None], x, 5.0), padding=padding)
    torch.testing.assert_close(out[1, :33], mixer(x[1:, :33])[0])
    assert not torch.allclose(mixer(x)[1, :33], out[1, :33], atol=1e-3)


@pytest.mark.parametrize("make", [LightweightConv, DynamicConv])
def test_dropconnect_drops_normalised_weights_in_training_only(make):
    torch.manual_seed(0)
    mixer = make(32, 8, 4, causal=True, dropconnect=0.5, gated=False)
    with torch.no_grad():
        for layer in (mixer.to_inner, mixer.to_out):
            layer.weight.copy_(torch.eye(32))
            layer.bias.zero_()
    x = torch.ones(1, 400, 32)
    out = mixer(x)[:, 4:].reshape(-1, 8, 4)
    # inputs of 1 make the output the sum of the weights kept, each doubled
    torch.testing.assert_close(out, out[..., :1].expand_as(out))  # dropped by head, not channel
    sums = out[..., 0]
    if make is DynamicConv:
        assert sums.std(0).min() > 0.1
        assert sums.mean().item() == pytest.approx(1, abs=0.05)
    else:
        assert sums.std(0).max() < 1e-6  # one draw for all positions
        assert sums.std(1).min() > 0.1
    torch.testing.assert_close(mixer.eval()(x)[:, 4:], x[:, 4:])


def peak(fn, *given):
    with torch.no_grad():
        return peak_bytes(fn, *given)


def test_memory_holds_no_copy_of_every_neighbourhood():
    x = torch.randn(1, 2048, 64)
    copied = x.numel() * 31 * 4
    assert peak(lambda x, w: lightweight_conv(x, w), x, torch.randn(4, 31)) < 0.15 * copied
    moving = torch.randn(1, 2048, 4, 31)
    assert peak(lambda x, w: dynamic_conv(x, w), x, moving) < 0.5 * copied
    long, twice = x.repeat(1, 2, 1), moving.repeat(1, 2, 1, 1)
    assert peak(dynamic_conv, long, twice) < 2.2 * peak(dynamic_conv, x, moving)
    training = forward_backward(dynamic_conv)
    with_gradients = [one.clone().requires_grad_() for one in (x, moving)]
    assert peak_bytes(training, *with_gradients) < copied


@pytest.mark.parametrize("make", [LightweightConv, DynamicConv])
def test_plugs_into_a_decoder_and_learns_to_repeat_what_came_three_before(make):
    def mixer(index, config):
        return make(config.d_model, config.n_heads, 4, causal=True)

    torch.manual_seed(0)
    model = Decoder(TransformerConfig(8, d_model=16, n_layers=1, d_ff=16, make_mixer=mixer))

    def batch(step, generator):
        ids = torch.randint(8, (32, 12), generator=generator)
        return ids[:, 3:], ids[:, :-3]

    def loss(model, batch):
        return F.cross_entropy(model(batch[0])[:, 3:].flatten(0, 1), batch[1][:, 3:].flatten())

    history = train(model, batch, loss, steps=150, lr=2e-2, progress=False)
    assert history.losses[-1] < 0.4 < 1.9 < history.losses[0]


CLASSES = {"LightweightConv": LightweightConv, "DynamicConv": DynamicConv}
BAD = {
    "n_heads is 3": lambda make: make(8, 3, 5, causal=True),
    "n_heads is 0": lambda make: make(8, 0, 5, causal=True),
    "kernel_size is 0": lambda make: make(8, 2, 0, causal=True),
    "dropconnect is 1.0": lambda make: make(8, 2, 5, causal=True, dropconnect=1.0),
    "x has shape (2, 8)": lambda make: make(8, 2, 5, causal=True)(torch.ones(2, 8)),
    "x has shape (2, 5, 6)": lambda make: make(8, 2, 5, causal=True)(torch.ones(2, 5, 6)),
    "x has shape (2, 0, 8)": lambda make: make(8, 2, 5, causal=True)(torch.ones(2, 0, 8)),
    "padding has shape": lambda make: make(8, 2, 5, causal=True)(
        torch.ones(2, 5, 8), padding=torch.ones(2, 4, dtype=torch.bool)
    ),
}
BAD_CALLS = {
    "n_heads is 3": lambda: lightweight_conv(torch.ones(1, 5, 8), torch.ones(3, 2)),
    "n_heads is 5": lambda: dynamic_conv(torch.ones(1, 5, 8), torch.ones(1, 5, 5, 2)),
    "weights has shape (2,)": lambda: lightweight_conv(torch.ones(1, 5, 8), torch.ones(2)),
    "weights has shape (2, 0)": lambda: lightweight_conv(torch.ones(1, 5, 8), torch.ones(2, 0)),
    "weights has shape (2, 3)": lambda: dynamic_conv(torch.ones(1, 5, 8), torch.ones(2, 3)),
    "weights has shape (1, 5, 2, 0)": lambda: dynamic_conv(
        torch.ones(1, 5, 8), torch.ones(1, 5, 2, 0)
    ),
    "weights has shape (1, 4, 2, 3)": lambda: dynamic_conv(
        torch.ones(1, 5, 8), torch.ones(1, 4, 2, 3)
    ),
}


@pytest.mark.parametrize("make", CLASSES)
@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence](CLASSES[make])
    assert sentence in str(caught.value)


@pytest.mark.parametrize("sentence", BAD_CALLS)
@pytest.mark.usefixtures("unchecked")
def test_bad_weights_get_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD_CALLS[sentence]()
    assert sentence in str(caught.value)
