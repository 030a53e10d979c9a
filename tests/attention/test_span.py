"""Adaptive spans against the paper's equation, and how a span learns or cannot."""

import math
from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from frugal.attention.cache import KeyValueCache
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention
from frugal.attention.span import AdaptiveSpan
from frugal.measure import forward_backward, peak_bytes
from frugal.model import Decoder, TransformerConfig
from frugal.penalty import penalty


def heads(generator, batch=2, n_heads=3, length=150, head_dim=4):
    shape = (batch, n_heads, length, head_dim)
    return [torch.randn(shape, generator=generator) for _ in range(3)]


def with_spans(spans, max_span, ramp):
    attend = AdaptiveSpan(len(spans), max_span, ramp)
    with torch.no_grad():
        attend.share.copy_(torch.tensor(spans) / max_span)
    return attend


def soft(span, ramp, distance):
    """Equation 1 of the paper for one head and one distance, in the precision of the span."""
    return min(max((ramp + span - distance) / ramp, 0.0 * span), 0.0 * span + 1.0)


def by_definition(attend, q, k, v, seen=None, causal=True):
    """The paper's masked softmax, weight by weight: m·exp(s) over its sum, zeros for none."""
    _, n_heads, queries, head_dim = q.shape
    keys = k.shape[2]
    masks = torch.zeros(n_heads, queries, keys)
    for h, span in enumerate(attend.spans.detach()):
        by_distance = [float(soft(span, attend.ramp, far)) for far in range(attend.max_span)]
        for i, j in product(range(queries), range(keys)):
            offset = i + keys - queries - j
            if abs(offset) < attend.max_span and (offset >= 0 or not causal):
                masks[h, i, j] = by_distance[abs(offset)]
    weights = masks * (q @ k.mT / math.sqrt(head_dim)).exp()
    if seen is not None:
        weights = weights * seen
    total = weights.sum(-1, keepdim=True)
    return torch.where(total > 0, weights / total.clamp(min=1e-30), 0.0)


@settings(deadline=None, max_examples=25)
@given(
    length=st.integers(1, 150),
    spans=st.lists(st.floats(0, 30), min_size=1, max_size=3),
    ramp=st.sampled_from([0.5, 1, 3, 8]),
    max_span=st.sampled_from([30, 33]),
    causal=st.booleans(),
    padded=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_equation(length, spans, ramp, max_span, causal, padded, seed):
    generator = torch.Generator().manual_seed(seed)
    attend = with_spans(spans, max_span, ramp).eval()
    q, k, v = heads(generator, n_heads=len(spans), length=length)
    padding = torch.rand(2, length, generator=generator) < 0.4 if padded else None
    seen = None if padding is None else padding[:, None, None, :]
    expected = by_definition(attend, q, k, v, seen, causal)
    options = {"padding": padding, "causal": causal}
    with torch.no_grad():
        out = attend(q, k, v, **options)
    torch.testing.assert_close(out, expected @ v, atol=1e-5, rtol=1e-4)
    weights = attend.weights(q, k, **options)
    torch.testing.assert_close(weights, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_gradients_of_the_band_are_those_of_the_full_matrix(generator, causal):
    q, k, v = (x.requires_grad_() for x in heads(generator, length=200))
    attend = with_spans([5.5, 17.25, 40.0], 64, 8)
    assert 64 + 2 * attend.reach() < 200  # else the dense form is tested against itself
    padding = torch.rand(2, 200, generator=generator) < 0.5
    inputs = (q, k, v, attend.share)
    banded = attend(q, k, v, causal=causal, padding=padding)
    dense = attend.weights(q, k, causal=causal, padding=padding) @ v
    for ours, full in zip(
        torch.autograd.grad(banded.square().sum(), inputs),
        torch.autograd.grad(dense.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, full, atol=1e-4, rtol=1e-4)
        assert full.abs().max() > 0


def test_gradient_of_a_span_is_the_slope_of_the_loss(generator):
    attend = with_spans([9.3, 20.6], 40, 8).double()
    q, k, v = (x.double() for x in heads(generator, n_heads=2, length=140))
    target = torch.randn(v.shape, generator=generator).double()

    def loss():
        return (attend(q, k, v, causal=True) * target).sum()

    slope = torch.autograd.grad(loss(), attend.share)[0]
    for head in range(2):
        values = []
        for step in (1e-4, -1e-4):
            with torch.no_grad():
                attend.share[head] += step
                values.append(loss().item())
                attend.share[head] -= step
        assert (values[0] - values[1]) / 2e-4 == pytest.approx(slope[head].item(), rel=1e-3)


def test_soft_mask_is_one_then_falls_then_zero():
    attend = with_spans([10.0, 0.0], 50, 4)
    mask = attend.soft_mask(torch.tensor([0.0, 10.0, 11.0, 13.0, 14.0, 40.0]))
    expected = torch.tensor([[1, 1, 0.75, 0.25, 0, 0], [1, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(mask, expected)


def test_penalty_is_the_mean_span_of_each_layer_summed():
    attend = with_spans([10.0, 30.0], 40, 4)
    assert attend.penalty().item() == pytest.approx(20)
    attend.penalty().backward()
    torch.testing.assert_close(attend.share.grad, torch.tensor([20.0, 20.0]))  # S / M a share
    both = nn.ModuleList([attend, with_spans([4.0, 4.0], 40, 4)])
    assert penalty(both).item() == pytest.approx(24)


def lag_gradient(start, lag, ramp):
    """The gradient of a span when everything that matters lies `lag` tokens back."""
    attend = AdaptiveSpan(1, 64, ramp, start=start)
    q = torch.zeros(1, 1, 40, 2)
    v = torch.zeros(1, 1, 40, 1)
    v[..., 39 - lag, 0] = 1.0
    out = attend(q, q, v, causal=True)[0, 0, 39, 0]
    return torch.autograd.grad(out, attend.share)[0].item()


def test_a_span_that_starts_at_0_feels_nothing_beyond_its_ramp():
    for lag in (8, 9, 20):
        assert lag_gradient(0.0, lag, ramp=8) == 0.0
    assert lag_gradient(0.0, 7, ramp=8) > 0
    assert lag_gradient(16.0, 20, ramp=8) > 0


@pytest.mark.parametrize(("start", "learns"), [(0.0, False), (18.0, True)])
def test_the_start_decides_whether_a_lag_is_learned(start, learns):
    """Keys are all alike, so only the span can find what lies 12 tokens back."""
    attend = AdaptiveSpan(1, 32, 4, start=start)
    optimizer = torch.optim.Adam(attend.parameters(), lr=0.02)
    q = torch.zeros(1, 1, 32, 2)
    v = torch.zeros(1, 1, 32, 1)
    v[..., 19, 0] = 13.0  # an even look at 0 ... 12 gives 1, a longer or shorter one less
    for _ in range(150):
        optimizer.zero_grad()
        (attend(q, q, v, causal=True)[0, 0, 31, 0] - 1).square().backward()
        optimizer.step()
    reached = attend.spans.item() + attend.ramp > 12
    assert reached == learns
    if not learns:
        assert attend.spans.item() == 0.0


def test_an_update_past_the_edge_can_come_back():
    attend = AdaptiveSpan(2, 20, 4, start=0.5)
    with torch.no_grad():
        attend.share.copy_(torch.tensor([-0.3, 1.4]))
    assert attend.spans.tolist() == [0.0, 20.0]
    q = torch.randn(1, 2, 6, 3)
    attend(q, q, q, causal=True)
    assert attend.share.tolist() == [0.0, 1.0]
    attend.penalty().backward()
    assert (attend.share.grad > 0).all()
    # twice before the backward pass, as in layers that share their weights
    (attend(q, q, q, causal=True) + attend(q, q, q, causal=True)).sum().backward()


def test_works_inside_multi_head_attention_and_with_a_cache(generator):
    attention = MultiHeadAttention(12, 3, with_spans([2.0, 5.5, 9.0], 20, 4)).eval()
    x = torch.randn(2, 100, 12, generator=generator)
    with recording(attention) as recorder:
        whole = attention(x, causal=True)
    weights = recorder.weights[""]
    assert (weights[:, :, 50, : 50 - 12] == 0).all()
    assert (weights[:, 2, 50, 50 - 12] > 0).all()
    cache = KeyValueCache(100)
    with torch.no_grad():
        parts = [
            attention(x[:, i:j], cache=cache, causal=True)
            for i, j in ((0, 80), (80, 81), (81, 90), (90, 100))
        ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


def test_works_with_alibi_and_a_mask(generator):
    q, k, v = heads(generator, n_heads=2, length=100)
    attend = with_spans([3.0, 8.0], 20, 4)
    mask = torch.rand(2, 1, 100, 100, generator=generator) < 0.5
    expected = by_definition(attend, q, k, v, mask) @ v
    torch.testing.assert_close(attend(q, k, v, mask=mask, causal=True), expected)
    bias = torch.randn(2, 100, 100, generator=generator)
    weights = by_definition(attend, q, k, v) * bias.exp()
    expected = weights / weights.sum(-1, keepdim=True) @ v
    torch.testing.assert_close(attend(q, k, v, bias=bias, causal=True), expected)
    config = TransformerConfig(
        11, d_model=8, n_heads=2, positions="alibi", make_attend=lambda *_: AdaptiveSpan(2, 16, 4)
    )
    ids = torch.randint(11, (2, 30), generator=generator)
    model = Decoder(config)
    changed = ids.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 11
    torch.testing.assert_close(model(ids)[:, :-1], model(changed)[:, :-1])


def peak(attend, length, training=False):
    """Bytes that one pass holds at once, beside its inputs."""
    q, k, v = (torch.randn(1, 2, length, 16, requires_grad=training) for _ in range(3))
    run = partial(attend, causal=True)
    if training:
        return peak_bytes(forward_backward(run), q, k, v)
    with torch.no_grad():
        return peak_bytes(run, q, k, v)


def test_short_spans_touch_only_the_keys_within_reach():
    """A value out of reach may be NaN: if it were multiplied by 0 the result would be NaN."""
    attend = with_spans([10.0, 4.0], 2048, 8).eval()
    q, k, v = (torch.randn(1, 2, 640, 16) for _ in range(3))
    k[:, :, :100], v[:, :, :100] = torch.nan, torch.nan
    with torch.no_grad():
        out = attend(q, k, v, causal=True)
    # the last query that sees key 99 stands at 116, in the block that ends at 127
    assert out[:, :, 192:].isfinite().all()


@pytest.mark.parametrize("training", [False, True])
def test_memory_follows_the_span_and_not_the_square_of_the_length(training):
    short, long = with_spans([10.0, 4.0], 2048, 8), with_spans([1500.0, 4.0], 2048, 8)
    small = peak(short, 2048, training)
    assert small < 0.35 * peak(long, 2048, training)
    assert small < 2.3 * peak(short, 1024, training)


@pytest.mark.parametrize("first", ["penalty", "forward", "own"])
def test_the_order_of_penalty_and_forward_pass_does_not_matter(generator, first):
    """Also where an update has moved a span outside, which the next use puts back."""
    model = MultiHeadAttention(16, 2, AdaptiveSpan(2, 16, 4))
    x = torch.randn(1, 40, 16, generator=generator)
    found = []
    for order in (first, "forward"):
        with torch.no_grad():
            model.attend.share.copy_(torch.tensor([-0.2, 1.3]))
        loss = 0.0
        if order == "penalty":
            loss = penalty(model)
        elif order == "own":  # a penalty that somebody else wrote
            loss = model.attend.share.square().sum()
        loss = loss + model(x, causal=True).square().mean()
        loss = loss + (penalty(model) if order == "forward" else 0.0)
        (grad,) = torch.autograd.grad(loss, model.attend.share)
        found.append(grad)
        assert model.attend.share.tolist() == [0, 1]
    if first == "penalty":
        torch.testing.assert_close(found[0], found[1])


BAD = {
    "n_heads is 0": lambda q: AdaptiveSpan(0, 8),
    "max_span is 0": lambda q: AdaptiveSpan(2, 0),
    "ramp is 0": lambda q: AdaptiveSpan(2, 8, 0),
    "start is 9": lambda q: AdaptiveSpan(2, 8, start=9),
    "start is -1": lambda q: AdaptiveSpan(2, 8, start=-1),
    "q has 3 heads": lambda q: AdaptiveSpan(2, 8)(q, q, q),
    "q has length 2 and k has 5": lambda q: AdaptiveSpan(3, 8)(q[:, :, :2], q, q),
    "mask has dtype": lambda q: AdaptiveSpan(3, 8)(q, q, q, mask=torch.ones(5, 5)),
    "padding has shape": lambda q: AdaptiveSpan(3, 8)(
        q, q, q, padding=torch.ones(2, 4, dtype=torch.bool)
    ),
    "k has length 0": lambda q: AdaptiveSpan(3, 8)(q, q[:, :, :0], q[:, :, :0], causal=True),
    "such as AdaptiveSpan": lambda q: penalty(nn.Linear(2, 2)),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(generator, sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence](heads(generator, length=5)[0])
    assert sentence in str(caught.value)
