"""Dynamic spans against the paper's equations, and what a token can and cannot change."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.attention.cache import KeyValueCache
from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.softmax import MultiHeadAttention
from frugal.attention.span import AdaptiveSpan
from frugal.penalty import penalty


def random_heads(generator, batch=2, n_heads=3, length=40, head_dim=4):
    shape = (batch, n_heads, length, head_dim)
    return [torch.randn(shape, generator=generator) for _ in range(3)]


def with_any_vector(n_heads=3, head_dim=4, max_span=20, ramp=4, start=6):
    attend = DynamicSpan(n_heads, head_dim, max_span, ramp, start=start)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        attend.vector.copy_(torch.randn(n_heads, head_dim, generator=generator))
        attend.offset.add_(torch.randn(n_heads, generator=generator))
    return attend


def by_definition(attend, q, k, causal):
    """The span of each query by the sigmoid, its soft mask, and the masked softmax, by loops."""
    weights = torch.zeros(*q.shape[:3], k.shape[2])
    S, R = attend.max_span, attend.ramp
    for b, h, i in torch.cartesian_prod(*map(torch.arange, q.shape[:3])).tolist():
        read = sum(
            a * c for a, c in zip(attend.vector[h].tolist(), q[b, h, i].tolist(), strict=True)
        )
        z = S / (1 + math.exp(-read - attend.offset[h].item()))
        for j in range(k.shape[2]):
            x = i + k.shape[2] - q.shape[2] - j
            if abs(x) < S and (x >= 0 or not causal):
                m = min(max((R + z - abs(x)) / R, 0), 1)
                weights[b, h, i, j] = m * math.exp(
                    (q[b, h, i] @ k[b, h, j]).item() / q.shape[-1] ** 0.5
                )
    return weights / weights.sum(-1, keepdim=True)


@settings(deadline=None, max_examples=12)
@given(
    length=st.integers(1, 24),
    ramp=st.sampled_from([0.5, 3, 8]),
    causal=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_equations(length, ramp, causal, seed):
    generator = torch.Generator().manual_seed(seed)
    attend = with_any_vector(max_span=15, ramp=ramp)
    q, k, v = random_heads(generator, batch=1, length=length)
    expected = by_definition(attend, q, k, causal)
    with torch.no_grad():
        torch.testing.assert_close(attend.weights(q, k, causal=causal), expected, atol=1e-5, rtol=0)
        out = attend(q, k, v, causal=causal)
    torch.testing.assert_close(out, expected @ v, atol=1e-5, rtol=1e-4)


def test_without_a_vector_it_is_an_adaptive_span(generator):
    dynamic, fixed = DynamicSpan(3, 4, 20, 4, start=6), AdaptiveSpan(3, 20, 4, start=6)
    q, k, v = random_heads(generator)
    out = dynamic(q, k, v, causal=True)
    torch.testing.assert_close(out, fixed(q, k, v, causal=True), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(penalty(dynamic), penalty(fixed))


def test_starts_as_in_the_paper():
    attend = DynamicSpan(2, 4, 100)
    spans = attend.spans(torch.randn(1, 2, 5, 4))
    torch.testing.assert_close(spans, torch.full((1, 2, 5), 100 / (1 + math.exp(4))))


def test_a_query_changes_its_own_span_and_no_other(generator):
    attend = with_any_vector()
    q, k, v = random_heads(generator)
    changed = q.clone()
    changed[:, :, 7] += 1
    before, after = attend.spans(q), attend.spans(changed)
    moved = (before != after).any(0).any(0)
    assert moved.nonzero().flatten().tolist() == [7]
    same = torch.arange(40) != 7
    out, other = attend(q, k, v, causal=True), attend(changed, k, v, causal=True)
    torch.testing.assert_close(out[:, :, same], other[:, :, same])


def test_gradients_are_the_slopes_of_the_loss(generator):
    attend = with_any_vector(n_heads=2).double()
    q, k, v = (x.double() for x in random_heads(generator, n_heads=2))
    target = torch.randn(v.shape, generator=generator).double()

    def loss():
        return (attend(q, k, v, causal=True) * target).sum() + attend.penalty()

    slopes = torch.autograd.grad(loss(), (attend.vector, attend.offset))
    for parameter, slope, place in zip(
        (attend.vector, attend.offset), slopes, ((1, 2), (0,)), strict=True
    ):
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter[place] += step
                values.append(loss().item())
                parameter[place] -= step
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope[place].item(), rel=1e-3)


def test_learns_to_look_far_only_where_a_token_asks():
    """A marked query needs what lies 12 back, another only itself: one span cannot serve both."""
    torch.manual_seed(0)
    attend = DynamicSpan(1, 2, 32, 4, start=10)
    optimizer = torch.optim.Adam(attend.parameters(), lr=0.05)
    q = torch.zeros(1, 1, 32, 2)
    q[..., 0] = torch.where(torch.arange(32) % 2 == 0, 1.0, -1.0)
    k, v = torch.zeros_like(q), torch.arange(32.0).view(1, 1, 32, 1)
    wanted = torch.where(torch.arange(32) % 2 == 0, 8.0, 2.0)  # how far back the mean lies
    for _ in range(300):
        optimizer.zero_grad()
        back = torch.arange(32) - attend(q, k, v, causal=True)[0, 0, :, 0]
        (back - wanted)[20:].square().mean().backward()
        optimizer.step()
    spans = attend.spans(q)[0, 0]
    assert spans[20] > spans[21] + 8
    assert (back - wanted)[20:].abs().max() < 0.5


def test_penalty_is_the_mean_span_of_real_tokens(generator):
    attend = with_any_vector()
    q, k, v = random_heads(generator)
    padding = torch.arange(40)[None] < torch.tensor([[40], [25]])
    attend(q, k, v, padding=padding, causal=True)
    spans = attend.spans(q)
    expected = torch.cat([spans[0].T, spans[1, :, :25].T]).mean()
    torch.testing.assert_close(attend.penalty(), expected)
    before = attend.penalty()
    attend.weights(q + 1, k, causal=True)
    assert attend.penalty() is before  # to look is no forward pass
    copy.deepcopy(attend)


def test_one_token_at_a_time_with_a_cache(generator):
    attention = MultiHeadAttention(12, 3, with_any_vector()).eval()
    x = torch.randn(2, 50, 12, generator=generator)
    cache = KeyValueCache(50)
    with torch.no_grad():
        whole = attention(x, causal=True)
        parts = [
            attention(x[:, i:j], cache=cache, causal=True) for i, j in ((0, 40), (40, 41), (41, 50))
        ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


BAD = {
    "n_heads is 0": lambda q: DynamicSpan(0, 4, 8),
    "head_dim is 0": lambda q: DynamicSpan(3, 0, 8),
    "ramp is 0": lambda q: DynamicSpan(3, 4, 8, 0),
    "start is 0": lambda q: DynamicSpan(3, 4, 8, start=0),
    "start is 8": lambda q: DynamicSpan(3, 4, 8, start=8),
    "q has 3 heads": lambda q: DynamicSpan(2, 4, 8)(q, q, q),
    "q has length 2 and k has 5": lambda q: DynamicSpan(3, 4, 8)(q[:, :, :2], q, q),
    "penalty must follow a forward pass": lambda q: DynamicSpan(3, 4, 8).penalty(),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(generator, sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence](random_heads(generator, length=5)[0])
    assert sentence in str(caught.value)
