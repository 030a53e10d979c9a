"""Caches: what is kept equals what would be seen, in any steps, and no more memory than that."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.attention.cache import ROOM, KeyValueCache, OwnCache
from frugal.attention.kernels import (
    FavorFeatures,
    KernelAttention,
    RandomFeatureAttention,
    RandomFourierFeatures,
    elu_features,
)
from frugal.attention.kernels.features import Prepared
from frugal.attention.patterns import PatternAttention
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.attention.span import AdaptiveSpan


@given(
    reach=st.integers(0, 70),
    steps=st.lists(st.integers(1, 90), min_size=1, max_size=12),
)
@settings(deadline=None, max_examples=60)
def test_a_rolling_cache_gives_the_last_keys(reach, steps):
    total = sum(steps)
    k = torch.arange(2.0 * total).reshape(1, 2, total, 1)
    rolling, begin = KeyValueCache(total, reach=reach), 0
    for step in steps:
        end = begin + step
        found = rolling.append(k[:, :, begin:end], -k[:, :, begin:end])
        seen = k[:, :, max(0, begin - reach) : end]
        assert torch.equal(found[0], seen)
        assert torch.equal(found[1], -seen)
        begin = end
    assert rolling.length == total
    assert rolling.k.shape[2] <= max(2 * reach, reach + ROOM)


def test_a_rolling_cache_does_not_grow_with_its_capacity():
    small, large = KeyValueCache(300, reach=8), KeyValueCache(10**9, reach=8)
    k = torch.zeros(1, 1, 1, 4)
    for _ in range(300):
        small.append(k, k)
        large.append(k, k)
    assert small.k.shape == large.k.shape == (1, 1, 8 + ROOM, 4)


KERNELS = {
    "elu": lambda: KernelAttention(elu_features),
    "favor": lambda: KernelAttention(FavorFeatures(8, 16)),
    "fourier": lambda: KernelAttention(RandomFourierFeatures(8, 16)),
    "rfa": lambda: RandomFeatureAttention(2, 8, 16, memory=4),
    "rfa without a gate": lambda: RandomFeatureAttention(2, 8, 16, gate=False),
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_steps_from_a_state_are_the_whole_pass(generator, name, dtype):
    attend = KERNELS[name]().eval()
    q, k, v = (torch.randn(2, 2, 200, 8, generator=generator).to(dtype) for _ in range(3))
    padding = torch.arange(200) >= torch.tensor([[0], [37]])
    state, parts = attend.new_cache(200), []
    with torch.no_grad():
        for i, j in ((0, 30), (30, 31), (31, 40), (40, 41), (41, 42), (42, 199), (199, 200)):
            part = (x[:, :, i:j] for x in (q, k, v))
            parts.append(attend.step(*part, state, padding=padding[:, :j]))
        whole = attend(q, k, v, causal=True, padding=padding)
    assert state.sums.shape[0] == 4
    tolerance = {torch.float32: 2e-4, torch.float64: 1e-9, torch.bfloat16: 2e-2}[dtype]
    real = padding[:, None, :, None]
    stepped = torch.cat(parts, 2)
    assert stepped.dtype == dtype
    torch.testing.assert_close(stepped * real, whole * real, atol=tolerance, rtol=tolerance)


def test_a_state_has_the_same_size_after_any_number_of_tokens(generator):
    attend = KernelAttention()
    state = attend.new_cache(10**9)
    sizes = set()
    with torch.no_grad():
        for n in (1, 300, 1, 700):
            attend.step(*torch.randn(3, 1, 2, n, 8, generator=generator), state)
            sizes.add(tuple(state.sums.shape))
    assert sizes == {(2, 8, 9)}
    assert state.length == 1002


def test_features_without_a_next_step_keep_all_keys():
    class Together:
        def __call__(self, x):
            return x.exp()

        def prepare(self, q, k, *, causal=False, padding=None):
            return Prepared(q.exp(), k.exp())

    attend = KernelAttention(Together())
    assert isinstance(attend.new_cache(5), KeyValueCache)
    assert not attend.shifts
    drawn = KernelAttention(FavorFeatures(8, 16, redraw_every=1))
    assert isinstance(drawn.train().new_cache(5), KeyValueCache)
    assert not isinstance(drawn.eval().new_cache(5), KeyValueCache)


def test_a_recording_from_the_first_step_on_sees_all_keys(generator):
    x = torch.randn(1, 12, 16, generator=generator)
    for attend in (KernelAttention(), PatternAttention("window", window=2)):
        layer, cache = MultiHeadAttention(16, 2, attend).eval(), OwnCache(12)
        with torch.no_grad(), recording(layer) as recorder:
            whole = layer(x, causal=True)
            weights = recorder.weights[""]
            parts = [layer(x[:, i : i + 4], cache=cache, causal=True) for i in (0, 4, 8)]
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(recorder.weights[""], weights[:, :, 8:], atol=1e-5, rtol=1e-5)


def test_masks_and_biases_are_cut_to_the_keys_that_are_kept(generator):
    attend = AdaptiveSpan(2, 5, 2, start=2)
    layer = MultiHeadAttention(16, 2, attend).eval()
    x = torch.randn(2, 30, 16, generator=generator)
    mask = torch.rand(2, 1, 30, 30, generator=generator) < 0.7
    bias = torch.randn(1, 2, 30, 30, generator=generator)
    cache, parts = OwnCache(30), []
    with torch.no_grad():
        whole = layer(x, causal=True, mask=mask, bias=bias)
        for i, j in ((0, 11), (11, 12), (12, 30)):
            cut = {"mask": mask[:, :, i:j, :j], "bias": bias[:, :, i:j, :j]}
            parts.append(layer(x[:, i:j], cache=cache, causal=True, **cut))
    assert cache.kept.reach == 4
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


def test_without_causality_all_keys_are_kept():
    layer, cache = MultiHeadAttention(16, 2, PatternAttention("window", window=1)), OwnCache(9)
    layer(torch.zeros(1, 4, 16), cache=cache)
    assert cache.kept.reach is None
    assert MultiHeadAttention(16, 2, softmax_attention).shifts


def started(attend, *, causal=True):
    layer, cache = MultiHeadAttention(16, 2, attend), OwnCache(5)
    x = torch.ones(2, 3, 16)
    with torch.no_grad():
        layer(x, cache=cache, causal=causal)
    return layer, cache, x


def read_both_ways():
    layer, cache, x = started(KernelAttention())
    layer(x[:, :1], cache=cache)


def with_a_gradient():
    layer, cache, x = started(KernelAttention())
    layer(x[:, :1], cache=cache, causal=True).sum().backward()


def too_long():
    layer, cache, x = started(KernelAttention())
    layer(x, cache=cache, causal=True)


def redrawn():
    layer, cache, x = started(KernelAttention(FavorFeatures(8, 16)).eval())
    layer.attend.features.redraw()
    layer(x[:, :1], cache=cache, causal=True)


def of_another_batch():
    layer, cache, x = started(KernelAttention())
    layer(x[:1, :1], cache=cache, causal=True)


def recorded_late():
    layer, cache, x = started(KernelAttention())
    with recording(layer):
        layer(x[:, :1], cache=cache, causal=True)


def padding_of_the_new_alone():
    layer, cache, x = started(KernelAttention())
    layer(x[:, :1], cache=cache, causal=True, padding=torch.ones(2, 2, dtype=torch.bool))


BAD = {
    "causal is False; it must be True": read_both_ways,
    "a state has no gradient; training must call the model without caches": with_a_gradient,
    "the cache holds 5 positions and 6 are needed": too_long,
    "the random vectors were drawn anew; the state must begin anew": redrawn,
    "it must have (batch, heads, value_dim) (2, 2, 8), as the state has": of_another_batch,
    "a recording began after the first step": recorded_late,
    "padding has shape (2, 2); it must broadcast to (2, 4)": padding_of_the_new_alone,
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
