"""The baseline against torch's own: SDPA, nn.MultiheadAttention, and the paper's formula."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from frugal.attention import softmax
from frugal.attention.cache import KeyValueCache
from frugal.attention.patterns.naive import masked_attention
from frugal.attention.recording import recording
from frugal.attention.softmax import (
    MultiHeadAttention,
    attention_weights,
    causal_mask,
    softmax_attention,
)


def heads(generator, batch=2, n_heads=3, queries=5, keys=7, head_dim=4, value_dim=6):
    shapes = (queries, head_dim), (keys, head_dim), (keys, value_dim)
    return [torch.randn(batch, n_heads, *shape, generator=generator) for shape in shapes]


@settings(deadline=None, max_examples=40)
@given(
    queries=st.integers(1, 5),
    keys=st.integers(1, 6),
    causal=st.booleans(),
    padded=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_matches_the_definition_under_any_masks(queries, keys, causal, padded, masked, seed):
    generator = torch.Generator().manual_seed(seed)
    q, k, v = heads(generator, queries=queries, keys=keys)
    seen = torch.ones(2, 3, queries, keys, dtype=torch.bool)
    mask = padding = None
    if masked:
        mask = torch.rand(3, queries, keys, generator=generator) < 0.6
        seen = seen & mask
    if padded:
        padding = torch.rand(2, keys, generator=generator) < 0.6
        seen = seen & padding[:, None, None, :]
    if causal:
        place = torch.arange(queries)[:, None] + keys - queries
        seen = seen & (torch.arange(keys)[None, :] <= place)
    options = {"mask": mask, "padding": padding, "causal": causal}
    expected = masked_attention(q, k, v, seen)
    torch.testing.assert_close(softmax_attention(q, k, v, **options), expected)
    weights = attention_weights(q, k, **options)
    torch.testing.assert_close(weights @ v, expected)
    assert (weights[~seen] == 0).all()


def test_equals_sdpa_with_and_without_causality(generator):
    q, k, v = heads(generator, keys=5)
    torch.testing.assert_close(
        softmax_attention(q, k, v, causal=True),
        F.scaled_dot_product_attention(q, k, v, is_causal=True),
    )
    q, k, v = heads(generator)
    torch.testing.assert_close(softmax_attention(q, k, v), F.scaled_dot_product_attention(q, k, v))


def test_bias_is_added_to_the_scores(generator):
    q, k, v = heads(generator, keys=5)
    bias = torch.randn(3, 5, 5, generator=generator)
    expected = (q @ k.mT / 2 + bias).masked_fill(~causal_mask(5, 5), -torch.inf).softmax(-1) @ v
    torch.testing.assert_close(softmax_attention(q, k, v, bias=bias, causal=True), expected)
    torch.testing.assert_close(attention_weights(q, k, bias=bias, causal=True) @ v, expected)


@pytest.mark.parametrize("bias", [None, torch.zeros(1, 1, 5, 7)])
def test_a_row_with_nothing_to_see_gives_zeros_and_finite_gradients(generator, bias):
    q, k, v = [x.requires_grad_() for x in heads(generator)]
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    out = softmax_attention(q, k, v, mask=mask, bias=bias)
    assert (out[:, :, 2] == 0).all()
    assert (out[:, :, 3] != 0).any()
    out.square().sum().backward()
    for tensor in (q, k, v):
        assert tensor.grad.isfinite().all()


def test_queries_align_with_the_last_keys():
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True] * 4]


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention_equals_torch(generator, causal):
    torch.manual_seed(0)
    ours = MultiHeadAttention(12, 3)
    oracle = nn.MultiheadAttention(12, 3, batch_first=True)
    for projection in (ours.to_q, ours.to_k, ours.to_v, ours.to_out):
        nn.init.normal_(projection.bias)
    with torch.no_grad():
        parts = (ours.to_q, ours.to_k, ours.to_v)
        oracle.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        oracle.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        oracle.out_proj.load_state_dict(ours.to_out.state_dict())
    x = torch.randn(2, 5, 12, generator=generator)
    context = x if causal else torch.randn(2, 7, 12, generator=generator)
    padding = torch.ones(2, context.shape[1], dtype=torch.bool)
    padding[1, -2:] = False
    with recording(ours) as recorder:
        out = ours(x, None if causal else context, padding=padding, causal=causal)
    expected, weights = oracle(
        x,
        context,
        context,
        key_padding_mask=~padding,
        attn_mask=~causal_mask(5, 5) if causal else None,
        average_attn_weights=False,
    )
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(recorder.weights[""], weights, atol=1e-5, rtol=0)


def test_recording_ends_with_its_block(generator):
    attention = MultiHeadAttention(8, 2)
    with recording(attention):
        pass
    assert attention.recorders == ()


def test_a_cache_gives_the_same_as_recomputing(generator):
    attention = MultiHeadAttention(8, 2)
    x = torch.randn(2, 6, 8, generator=generator)
    whole = attention(x, causal=True)
    cache = KeyValueCache(6)
    with torch.no_grad():
        parts = [
            attention(x[:, i:j], cache=cache, causal=True) for i, j in ((0, 3), (3, 4), (4, 6))
        ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("axes", [0, 1, 2, 3, 4])
def test_what_is_broadcast_to_the_scores_may_have_few_axes(generator, axes):
    q, k, v = heads(generator)
    shape = (2, 3, 5, 7)[4 - axes :]
    mask = torch.rand(shape, generator=generator) < 0.7
    mask = mask | torch.ones_like(mask).tril(-1) if axes > 1 else mask | True
    bias = torch.randn(shape, generator=generator)
    for options in ({"mask": mask}, {"bias": bias}, {"mask": mask, "bias": bias}):
        right = attention_weights(q, k, **options) @ v
        torch.testing.assert_close(softmax_attention(q, k, v, **options), right)


def test_recordings_may_stand_inside_each_other(generator):
    x = torch.randn(1, 5, 8, generator=generator)
    model = nn.ModuleDict({"part": MultiHeadAttention(8, 2)})
    with recording(model) as outer:
        with recording(model["part"]) as inner:
            model["part"](x)
        assert torch.equal(inner.weights[""], outer.weights["part"])
        model["part"](2 * x)
    assert not torch.equal(inner.weights[""], outer.weights["part"])
    assert model["part"].recorders == ()


BAD = {
    "q has shape": lambda q, k, v: softmax_attention(q[0], k, v),
    "k has length 0": lambda q, k, v: softmax_attention(q, k[:, :, :0], v[:, :, :0]),
    "q has head_dim 4 and k has 3": lambda q, k, v: softmax_attention(q, k[..., :3], v),
    "k has length 7 and v has 6": lambda q, k, v: softmax_attention(q, k, v[:, :, :6]),
    "must agree": lambda q, k, v: softmax_attention(q[:1], k, v),
    "mask has dtype torch.float32": lambda q, k, v: softmax_attention(
        q, k, v, mask=torch.ones(5, 7)
    ),
    "mask has shape": lambda q, k, v: softmax_attention(
        q, k, v, mask=torch.ones(5, 6, dtype=torch.bool)
    ),
    "padding has shape (3, 7)": lambda q, k, v: softmax_attention(
        q, k, v, padding=torch.ones(3, 7, dtype=torch.bool)
    ),
    "padding has shape (7,)": lambda q, k, v: softmax_attention(
        q, k, v, padding=torch.ones(7, dtype=torch.bool)
    ),
    "n_heads is 5": lambda q, k, v: MultiHeadAttention(8, 5),
    "n_heads is 0": lambda q, k, v: MultiHeadAttention(8, 0),
    "it must be (batch, length, 8)": lambda q, k, v: MultiHeadAttention(8, 2)(q[0]),
    "the cache holds 4 positions and 5": lambda q, k, v: MultiHeadAttention(8, 2)(
        torch.randn(1, 5, 8), cache=KeyValueCache(4)
    ),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(generator, sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence](*heads(generator))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("with_bias", [False, True])
def test_no_kernel_is_handed_a_row_with_nothing_to_see(generator, monkeypatch, with_bias):
    """On a GPU in bfloat16 the gradient of such a row was NaN."""
    handed = []
    kernel = softmax.F.scaled_dot_product_attention

    def spy(q, k, v, *, attn_mask, **options):
        handed.append(attn_mask if attn_mask.dtype == torch.bool else attn_mask > -torch.inf)
        return kernel(q, k, v, attn_mask=attn_mask, **options)

    monkeypatch.setattr(softmax.F, "scaled_dot_product_attention", spy)
    q, k, v = (torch.randn(2, 2, 5, 4, generator=generator, requires_grad=True) for _ in "qkv")
    padding = torch.tensor([[False] * 5, [True] * 5])
    bias = torch.zeros(1, 2, 5, 5, requires_grad=True) if with_bias else None
    out = softmax_attention(q, k, v, padding=padding, bias=bias)
    out.square().sum().backward()
    assert handed[0].any(-1).all()
    assert (out[0] == 0).all()
    for tensor in (q, k, v):
        assert tensor.grad.isfinite().all()
        assert (tensor.grad[0] == 0).all()
        assert (tensor.grad[1] != 0).any()


def test_weights_of_a_row_with_nothing_to_see_have_a_finite_gradient(generator):
    q, k = (torch.randn(1, 1, 3, 4, generator=generator, requires_grad=True) for _ in "qk")
    weights = attention_weights(q, k, padding=torch.zeros(1, 3, dtype=torch.bool))
    assert (weights == 0).all()
    weights.square().sum().backward()
    assert (q.grad == 0).all()
    assert (k.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_those_of_the_kernel(generator, dtype):
    """Products of float16 reach beyond its end, where weights would be NaN."""
    q, k, v = (torch.randn(1, 2, 13, 8, generator=generator) for _ in range(3))
    for size in (1, 30, 300):
        half = [(size * x).to(dtype) for x in (q, k)]
        weights = attention_weights(*half)
        assert weights.dtype == dtype
        out = softmax_attention(*half, v.to(dtype))
        torch.testing.assert_close(weights.float() @ v, out.float(), atol=0.03, rtol=0.03)


@pytest.mark.parametrize("masked", [False, True])
def test_a_bias_of_minus_infinity_hides_as_a_mask_does(generator, masked):
    q, k, v = (torch.randn(2, 2, 6, 8, generator=generator) for _ in range(3))
    hidden = torch.zeros(6, 6, dtype=torch.bool)
    hidden[2] = hidden[:, 4] = True
    bias, mask = torch.zeros(6, 6).masked_fill(hidden, -torch.inf), None
    if masked:  # row 2 is hidden by both together
        mask = torch.ones(6, 6, dtype=torch.bool)
        mask[2, 3:] = False
        bias[2, 3:] = 0.0
    right = attention_weights(q, k, mask=~hidden)
    weights = attention_weights(q, k, mask=mask, bias=bias)
    torch.testing.assert_close(weights, right)
    assert (weights[:, :, 2] == 0).all()
    torch.testing.assert_close(softmax_attention(q, k, v, mask=mask, bias=bias), right @ v)


@pytest.mark.usefixtures("unchecked")
def test_options_of_another_kind_get_one_sentence(generator):
    q, k, v = (torch.randn(2, 2, 6, 8, generator=generator) for _ in range(3))
    for options in (
        {"scale": "2"},
        {"scale": [1.0]},
        {"padding": [[True] * 6] * 2},
        {"padding": torch.ones(2, 1, dtype=torch.bool)},  # a flag for all keys of a text
        {"mask": [[True] * 6] * 6},
        {"bias": 1.0},
    ):
        with pytest.raises(ValueError, match=r"^(scale|padding|mask|bias) [^\n]*\.$"):
            softmax_attention(q, k, v, **options)
    with pytest.raises(ValueError, match=r"^k is a list; it must be a tensor\.$"):
        softmax_attention(q, [k], v)
