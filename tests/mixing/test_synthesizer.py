"""Synthesizers against their equations, head by head, and what is fixed in them."""

import math

import pytest
import torch
from torch import nn

from frugal.attention.softmax import MultiHeadAttention
from frugal.mixing.synthesizer import KINDS, Synthesizer
from frugal.model import Decoder, Encoder, TransformerConfig

VARIANTS = [
    {"kind": kind, "plus": plus, "alpha": alpha}
    for kind in KINDS
    for plus, alpha in ((False, False), (True, False), (True, True))
]


def by_definition(model, x, causal, padding=None):
    """One position and one head at a time; returns what reaches the output projection."""
    length, size = x.shape[1], model.head_dim
    out = torch.zeros_like(x)
    for b in range(len(x)):
        for h in range(model.n_heads):
            own = slice(h * size, (h + 1) * size)
            v = model.to_v(x[b])[:, own]
            for i in range(length):
                if model.kind == "dense":
                    hidden = torch.relu(model.to_hidden(x[b, i]))[own]
                    scores = model.places[h] @ hidden
                elif model.kind == "random":
                    scores = model.scores[h, i]
                else:
                    scores = model.columns[h] @ model.rows[h, i]
                scores = scores[:length]
                if model.to_q is not None:
                    q, k = model.to_q(x[b, i])[own], model.to_k(x[b])[:, own]
                    products = k @ q / math.sqrt(size)
                    if model.logit_of_a is None:
                        scores = products + scores
                    else:
                        a = torch.sigmoid(model.logit_of_a)
                        scores = (1 - a) * products + a * scores
                seen = torch.ones(length, dtype=torch.bool)
                if causal:
                    seen[i + 1 :] = False
                if padding is not None:
                    seen &= padding[b]
                if seen.any():
                    out[b, i, own] = scores[seen].softmax(0) @ v[seen]
    return out


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_equals_the_equations(generator, options, causal, padded):
    torch.manual_seed(1)
    model = Synthesizer(8, 2, 11, causal=causal, rank=3, **options)
    if options["alpha"]:
        nn.init.constant_(model.logit_of_a, 0.7)
    x = torch.randn(3, 7, 8, generator=generator)
    padding = torch.rand(3, 7, generator=generator) < 0.5 if padded else None
    with torch.no_grad():
        expected = by_definition(model, x, causal, padding)
        out = model(x, padding=padding)
    torch.testing.assert_close(out, model.to_out(expected), atol=1e-5, rtol=1e-5)
    sums = model.weights(x, padding=padding).sum(-1)
    assert ((sums - 1).abs().lt(1e-5) | sums.eq(0)).all()
    if padding is None:
        assert (sums > 0.5).all()


def test_only_queries_and_keys_left_is_softmax_attention(generator):
    model = Synthesizer(12, 3, 9, kind="random", plus=True, causal=True)
    attention = MultiHeadAttention(12, 3)
    for name in ("to_q", "to_k", "to_v", "to_out"):
        getattr(attention, name).load_state_dict(getattr(model, name).state_dict())
    nn.init.zeros_(model.scores)
    x = torch.randn(2, 9, 12, generator=generator)
    torch.testing.assert_close(model(x), attention(x, causal=True), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "differs"), [("dense", True), ("random", False)])
def test_dense_looks_at_the_query_and_random_at_nothing(generator, kind, differs):
    model = Synthesizer(8, 2, 6, kind=kind)
    first, second = torch.randn(2, 1, 6, 8, generator=generator)
    weights, others = model.weights(first), model.weights(second)
    assert torch.allclose(weights, others) != differs
    # neither looks at the keys: changing position 3 changes row 3 only
    changed = first.clone()
    changed[:, 3] += 1
    rows = (model.weights(changed) - weights).abs().amax((0, 1, 3))
    assert rows[[0, 1, 2, 4, 5]].max() == 0
    assert (rows[3] > 1e-4) == differs


def test_a_factorized_matrix_has_its_rank_and_the_spread_of_a_random_one():
    torch.manual_seed(0)
    model = Synthesizer(8, 2, 60, kind="factorized", rank=3)
    scores = model.synthesized(torch.zeros(1, 60, 8)).detach()
    assert torch.linalg.matrix_rank(scores[0], rtol=1e-5).tolist() == [3, 3]
    assert scores.std().item() == pytest.approx(1, abs=0.15)


def parameters(**options):
    model = Synthesizer(8, 2, 20, bias=False, **options)
    return sum(parameter.numel() for parameter in model.parameters())


def test_has_the_parameters_it_says():
    own = 2 * 8 * 8
    assert parameters(kind="dense") == own + 8 * 8 + 8 * 20
    assert parameters(kind="random") == own + 2 * 20 * 20
    assert parameters(kind="factorized", rank=5) == own + 2 * 2 * 20 * 5
    assert parameters(kind="random", plus=True, alpha=True) == own + 2 * 20 * 20 + 2 * 8 * 8 + 1


def test_alpha_starts_at_one_half_and_learns(generator):
    model = Synthesizer(8, 2, 6, kind="random", plus=True, alpha=True)
    assert model.share.item() == 0.5
    model(torch.randn(2, 6, 8, generator=generator)).square().sum().backward()
    assert model.logit_of_a.grad.abs() > 0
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_plugs_into_the_model_and_sees_no_future(generator, options):
    def causal(index, config):
        return Synthesizer(config.d_model, config.n_heads, 12, causal=True, **options)

    model = Decoder(TransformerConfig(9, d_model=8, n_heads=2, make_mixer=causal))
    ids = torch.randint(9, (2, 10), generator=generator)
    changed = ids.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 9
    torch.testing.assert_close(model(ids)[:, :6], model(changed)[:, :6])

    def both(index, config):
        return Synthesizer(config.d_model, config.n_heads, 12, **options)

    encoder = Encoder(TransformerConfig(9, d_model=8, n_heads=2, make_mixer=both))
    assert not torch.allclose(encoder(ids)[:, 0], encoder(changed)[:, 0])


def test_a_row_with_nothing_to_see_is_zero_and_harmless(generator):
    model = Synthesizer(8, 2, 6, causal=True)
    x = torch.randn(1, 4, 8, generator=generator, requires_grad=True)
    padding = torch.tensor([[False, False, True, True]])
    assert (model.weights(x, padding=padding)[0, :, :2] == 0).all()
    model(x, padding=padding).sum().backward()
    assert x.grad.isfinite().all()


BAD = {
    "n_heads is 3": lambda: Synthesizer(8, 3, 6),
    "kind is 'other'": lambda: Synthesizer(8, 2, 6, kind="other"),
    "length is 0": lambda: Synthesizer(8, 2, 0),
    "rank is 0": lambda: Synthesizer(8, 2, 6, kind="factorized", rank=0),
    "alpha is True and plus False": lambda: Synthesizer(8, 2, 6, alpha=True),
    "x has length 7": lambda: Synthesizer(8, 2, 6)(torch.ones(1, 7, 8)),
    "x has shape (1, 5, 6)": lambda: Synthesizer(8, 2, 6)(torch.ones(1, 5, 6)),
    "padding has dtype": lambda: Synthesizer(8, 2, 6)(
        torch.ones(1, 5, 8), padding=torch.ones(1, 5)
    ),
    "padding has shape (5,)": lambda: Synthesizer(8, 2, 6)(
        torch.ones(1, 5, 8), padding=torch.ones(5, dtype=torch.bool)
    ),
    "share belongs to alpha=True": lambda: Synthesizer(8, 2, 6).share,
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
