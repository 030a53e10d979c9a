"""Patterns against dense attention under the same mask, and against Hugging Face's Longformer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.attention.patterns import (
    PatternAttention,
    fixed_attention,
    naive,
    pattern_mask,
    sliding_window_attention,
    strided_attention,
)
from frugal.attention.patterns import attention as patterns
from frugal.attention.patterns import blocks as block_sparse
from frugal.attention.patterns.blocks import block_mask, block_sparse_attention
from frugal.attention.patterns.masks import pattern_rule, receptive_field
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.model import Decoder, TransformerConfig
from tests.launches import Launched

LENGTHS = st.one_of(st.integers(1, 20), st.integers(60, 330))
EXACT = {"atol": 1e-5, "rtol": 1e-5}


def heads(generator, batch=2, n_heads=2, queries=9, keys=9, head_dim=8, value_dim=8):
    shapes = (queries, head_dim), (keys, head_dim), (keys, value_dim)
    return [torch.randn(batch, n_heads, *shape, generator=generator) for shape in shapes]


def agree(fast, mask, tensors, generator, padding=None):
    """The output and all three gradients of `fast` are those of dense attention under `mask`."""
    tensors = [tensor.requires_grad_() for tensor in tensors]
    out, expected = fast(*tensors), softmax_attention(*tensors, mask=mask, padding=padding)
    torch.testing.assert_close(out, expected, **EXACT)
    # A random direction of the output; the norm 1 keeps the gradients' rounding comparable.
    direction = torch.nn.functional.normalize(torch.randn(out.shape, generator=generator), dim=-1)
    ours = torch.autograd.grad(out, tensors, direction)
    theirs = torch.autograd.grad(expected, tensors, direction)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


SEEN = {
    "window": (naive.window_sees, {"window": 3}),
    "strided": (naive.strided_sees, {"stride": 4}),
    "fixed": (naive.fixed_sees, {"stride": 4, "summary": 2}),
}


@pytest.mark.parametrize("name", SEEN)
def test_equals_the_definition(generator, name):
    sees, options = SEEN[name]
    q, k, v = heads(generator, queries=19, keys=19)
    pairs = [[sees(i, j, **options) for j in range(19)] for i in range(19)]
    right = naive.masked_attention(q, k, v, torch.tensor(pairs).expand(2, 2, 19, 19))
    torch.testing.assert_close(PatternAttention(name, **options)(q, k, v), right, **EXACT)
    assert pattern_mask(name, 19, **options).tolist() == pairs


@settings(deadline=None, max_examples=80)
@given(
    keys=LENGTHS,
    fewer=st.integers(0, 400),
    window=st.one_of(st.integers(0, 12), st.sampled_from([63, 64, 65, 128, 1000])),
    n_heads=st.integers(1, 3),
    value_dim=st.sampled_from([8, 5, 11]),
    causal=st.booleans(),
    share_global=st.sampled_from([None, 0.0, 0.02, 0.3]),
    padded=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_a_window_is_dense_attention_under_its_mask(
    keys, fewer, window, n_heads, value_dim, causal, share_global, padded, seed
):
    generator = torch.Generator().manual_seed(seed)
    queries = max(1, keys - (fewer if fewer < keys else 0))
    mask = pattern_mask("window", keys, window=window).expand(2, keys, keys)
    flags = padding = None
    if share_global is not None:
        flags = torch.rand(2, keys, generator=generator) < share_global
        mask = mask | flags[:, :, None] | flags[:, None, :]
    if causal:
        mask = mask & pattern_mask("full", keys, causal=True)
    if padded:
        padding = torch.rand(2, keys, generator=generator) < 0.7
    agree(
        lambda q, k, v: sliding_window_attention(
            q, k, v, window=window, causal=causal, global_tokens=flags, padding=padding
        ),
        mask[:, None, keys - queries :],
        heads(generator, n_heads=n_heads, queries=queries, keys=keys, value_dim=value_dim),
        generator,
        padding,
    )


@settings(deadline=None, max_examples=60)
@given(
    keys=LENGTHS,
    fewer=st.sampled_from([0, 0, 1, 7]),
    stride=st.one_of(st.integers(1, 12), st.sampled_from([64, 100, 400])),
    summary=st.one_of(st.none(), st.integers(1, 12)),
    padded=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_strided_and_fixed_are_dense_attention_under_their_masks(
    keys, fewer, stride, summary, padded, seed
):
    generator = torch.Generator().manual_seed(seed)
    queries = keys - fewer if fewer < keys else keys
    padding = torch.rand(2, keys, generator=generator) < 0.7 if padded else None
    if summary is None:
        mask = pattern_mask("strided", keys, stride=stride)
        attend, options = strided_attention, {"stride": stride}
    else:
        options = {"stride": stride, "summary": min(stride, summary)}
        mask, attend = pattern_mask("fixed", keys, **options), fixed_attention
    agree(
        lambda q, k, v: attend(q, k, v, padding=padding, **options),
        mask[keys - queries :],
        heads(generator, queries=queries, keys=keys),
        generator,
        padding,
    )


def test_gradients_are_derivatives(generator):
    """By finite differences in float64, where no other attention is involved."""
    tensors = [x.double().requires_grad_() for x in heads(generator, 1, 1, 70, 70, 2, 2)]
    flags = torch.zeros(1, 70, dtype=torch.bool)
    flags[0, 3] = True
    for attend in (
        lambda q, k, v: sliding_window_attention(q, k, v, window=3, global_tokens=flags),
        lambda q, k, v: strided_attention(q, k, v, stride=9),
        lambda q, k, v: fixed_attention(q, k, v, stride=9, summary=2),
    ):
        assert torch.autograd.gradcheck(attend, tensors, fast_mode=True)


def test_a_query_without_keys_gives_zeros_and_no_gradient(generator):
    q, k, v = [x.requires_grad_() for x in heads(generator, queries=200, keys=200)]
    padding = torch.ones(2, 200, dtype=torch.bool)
    padding[1, :150] = False
    out = sliding_window_attention(q, k, v, window=4, padding=padding)
    assert (out[1, :, :146] == 0).all()
    assert (out[1, :, 146:] != 0).any(-1).all()
    out.square().sum().backward()
    assert (q.grad[1, :, :146] == 0).all()
    for tensor in (q, k, v):
        assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes(generator, dtype):
    q, k, v = [x.to(dtype) for x in heads(generator, queries=150, keys=150)]
    padding = torch.rand(2, 150, generator=generator) < 0.7
    out = sliding_window_attention(q, k, v, window=9, padding=padding)
    assert out.dtype == dtype
    mask = pattern_mask("window", 150, window=9)
    expected = softmax_attention(*(x.double() for x in (q, k, v)), mask=mask, padding=padding)
    tolerance = 2e-2 if dtype == torch.bfloat16 else 1e-12
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance)


# --- the masks -------------------------------------------------------------------------------

DRAWN = {
    ("window", "window=1"): ["11000", "11100", "01110", "00111", "00011"],
    ("dilated", "window=1 dilation=2"): ["10100", "01010", "10101", "01010", "00101"],
    ("strided", "stride=2"): ["10000", "11000", "11100", "01110", "10111"],
    ("fixed", "stride=2 summary=1"): ["10000", "11000", "01100", "01110", "01011"],
    ("window+global", "window=0 global_tokens=1"): ["11000", "11111", "01100", "01010", "01001"],
}


@pytest.mark.parametrize(("name", "options"), DRAWN)
def test_masks_as_drawn_by_hand(name, options):
    given = dict(option.split("=") for option in options.split())
    given = {n: (int(v),) if n == "global_tokens" else int(v) for n, v in given.items()}
    mask = pattern_mask(name, 5, **given)
    assert ["".join(map(str, row)) for row in mask.int().tolist()] == DRAWN[name, options]


def test_a_composition_is_the_union_of_its_parts():
    parts = {
        "window": {"window": 2},
        "dilated": {"window": 2, "dilation": 3},
        "global": {"global_tokens": (0, 9)},
        "random": {"n_random": 2, "seed": 5},
    }
    options = {name: value for part in parts.values() for name, value in part.items()}
    whole = pattern_mask("+".join(parts), 40, **options)
    each = [pattern_mask(name, 40, **part) for name, part in parts.items()]
    assert torch.equal(whole, torch.stack(each).any(0))
    causal = pattern_mask("window+global", 40, causal=True, window=2, global_tokens=(7,))
    assert torch.equal(causal, causal.tril())
    assert causal[7, :8].all()
    assert causal[8:, 7].all()


@pytest.mark.parametrize("causal", [False, True])
def test_random_keys_are_spread_and_follow_the_seed(causal):
    length, n_random = 400, 4
    draw = [
        pattern_mask("random", length, causal=causal, n_random=n_random, seed=s) for s in (0, 1)
    ]
    assert not torch.equal(*draw)
    for mask in draw:
        assert (mask.sum(-1) <= n_random).all()
        assert (mask.sum(-1) >= 1).all()
        limit = torch.arange(1, length + 1) if causal else torch.full((length,), length)
        place = (mask * (torch.arange(length) + 0.5)).sum(-1) / mask.sum(-1) / limit
        # 400 means of about 4 uniform draws: 0.5 ± 0.0072.
        assert abs(place[20:].mean() - 0.5) < 0.03
        assert torch.equal(mask, mask.tril()) == causal


def test_child_s_two_hops_reach_every_earlier_position():
    """The paper's condition: any j <= i within two steps, from about 2·√N keys a query."""
    everything = pattern_mask("full", 1024, causal=True)
    for name, options in (("strided", {}), ("fixed", {"summary": 8})):
        mask = pattern_mask(name, 1024, stride=32, **options)
        assert torch.equal(receptive_field(mask, 2), everything)
        assert not torch.equal(receptive_field(mask, 1), everything)
    strided = pattern_mask("strided", 1024, stride=32)
    assert abs(strided.sum() / everything.sum() - 0.092) < 0.002


def test_the_receptive_field_of_a_window_grows_by_a_window_a_layer():
    mask = pattern_mask("window", 60, window=3)
    for layers in range(5):
        expected = pattern_mask("window", 60, window=3 * layers)
        assert torch.equal(receptive_field(mask, layers), expected)


def test_information_travels_as_far_as_the_receptive_field_says(generator):
    torch.manual_seed(0)
    layers = [
        MultiHeadAttention(8, 2, PatternAttention("window+global", window=2, global_tokens=(0,)))
        for _ in range(2)
    ]
    x = torch.randn(1, 30, 8, generator=generator, requires_grad=True)
    out = x
    for layer in layers:
        out = out + layer(out)
    mask = pattern_mask("window+global", 30, window=2, global_tokens=(0,))
    reached = [torch.autograd.grad(out[0, i].sum(), x, retain_graph=True)[0][0] for i in range(30)]
    moved = torch.stack([gradient.abs().sum(-1) > 0 for gradient in reached])
    assert torch.equal(moved, receptive_field(mask, 2))


# --- in a model ------------------------------------------------------------------------------

PATTERNS = {
    "window": {"window": 2},
    "window+global": {"window": 2, "global_tokens": (0, 11)},
    "strided": {"stride": 3},
    "fixed": {"stride": 3, "summary": 1},
    "window+dilated+random": {"window": 1, "dilation": 3, "n_random": 2},
}


@pytest.mark.parametrize("name", PATTERNS)
def test_weights_are_what_the_output_was_made_of(generator, name):
    q, k, v = heads(generator)
    attend = PatternAttention(name, **PATTERNS[name])
    padding = torch.rand(2, 9, generator=generator) < 0.7
    causal = name in ("strided", "fixed")
    weights = attend.weights(q, k, causal=causal, padding=padding)
    torch.testing.assert_close(weights @ v, attend(q, k, v, causal=causal, padding=padding))
    attention = MultiHeadAttention(8, 2, attend)
    with recording(attention) as recorder:
        attention(torch.randn(2, 9, 8, generator=generator), causal=causal)
    outside = ~pattern_mask(name, 9, causal=causal, **PATTERNS[name])
    assert (recorder.weights[""][:, :, outside] == 0).all()


@pytest.mark.parametrize("name", PATTERNS)
def test_decoding_with_a_cache_gives_what_the_whole_sequence_gives(name):
    torch.manual_seed(0)
    config = TransformerConfig(
        vocab_size=11,
        d_model=8,
        n_heads=2,
        make_attend=lambda index, config: PatternAttention(name, **PATTERNS[name]),
    )
    model = Decoder(config).eval()
    ids = torch.randint(11, (2, 14))
    with torch.no_grad():
        whole = model(ids)
        caches = model.new_caches(14)
        parts = [model(ids[:, i:j], caches=caches) for i, j in ((0, 6), (6, 7), (7, 14))]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


# --- oracles ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "window"), [(96, 8), (384, 64)])
@pytest.mark.parametrize("with_global", [False, True])
def test_equals_longformer_with_equal_weights(generator, length, window, with_global):
    transformers = pytest.importorskip("transformers")
    from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

    torch.manual_seed(0)
    config = transformers.LongformerConfig(
        hidden_size=32,
        num_attention_heads=4,
        attention_window=[2 * window],
        attention_probs_dropout_prob=0.0,
    )
    theirs = LongformerSelfAttention(config, layer_id=0).eval()
    for name in ("query", "key", "value"):  # we have one projection for both kinds of token
        getattr(theirs, f"{name}_global").load_state_dict(getattr(theirs, name).state_dict())
    x = torch.randn(2, length, 32, generator=generator)
    padding = torch.ones(2, length, dtype=torch.bool)
    padding[1, -29:] = False
    flags = torch.zeros(2, length, dtype=torch.bool)
    if with_global:
        flags[0, [0, 50]] = True
        flags[1, 7] = True
    codes = torch.zeros(2, length).masked_fill(~padding, -10000.0).masked_fill(flags, 10000.0)
    with torch.no_grad():
        expected = theirs(
            x,
            attention_mask=codes,
            is_index_masked=codes < 0,
            is_index_global_attn=codes > 0,
            is_global_attn=with_global,
        )[0]
        q, k, v = (
            getattr(theirs, name)(x).unflatten(-1, (4, 8)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        out = sliding_window_attention(q, k, v, window=window, global_tokens=flags, padding=padding)
    out = out.transpose(1, 2).flatten(2)
    torch.testing.assert_close(out[padding], expected[padding], atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dependent", [False, True])
def test_the_cuda_path_computes_the_same(generator, causal, dependent):
    """flex_attention, unfused on the CPU, with the block mask that a GPU would get."""
    q, k, v = heads(generator, queries=290, keys=300)
    options = {"causal": causal}
    if dependent:
        options["padding"] = torch.rand(2, 300, generator=generator) < 0.7
        options["padding"][0, :150] = False
        options["global_tokens"] = torch.rand(2, 300, generator=generator) < 0.02
    rule = pattern_rule("window", 300, window=20, causal=causal)
    for _ in range(2):  # the second call takes the block mask that the first one kept
        out = block_sparse_attention(q, k, v, rule, key=("window", 20, causal), **options)
        expected = sliding_window_attention(q, k, v, window=20, **options)
        torch.testing.assert_close(out, expected, **EXACT)


def test_block_masks_are_torch_s():
    from torch.nn.attention.flex_attention import create_block_mask

    rule = pattern_rule("window", 700, window=300)  # empty, full and partial blocks

    def sees(batch, head, i, j):
        return rule(i, j)

    theirs = create_block_mask(sees, 1, None, 700, 700, device="cpu")
    ours = block_mask(sees, 1, 700, 700, torch.device("cpu"))
    for name in ("kv", "full_kv", "q", "full_q"):
        for part in (f"{name}_num_blocks", f"{name}_indices"):
            assert torch.equal(getattr(ours, part), getattr(theirs, part)), part


def test_a_rule_is_asked_once_whatever_the_padding(generator, monkeypatch):
    """Padding and global tokens change which blocks are read; what the rule says is kept."""
    asked = []

    def rule(i, j):
        asked.append(i)
        return (i - j).abs() <= 20

    q, k, v = heads(generator, queries=300, keys=300)
    padding = torch.ones(2, 300, dtype=torch.bool)
    padding[0, 100:] = False
    flags = torch.zeros(2, 300, dtype=torch.bool)
    flags[1, 290] = True
    masks = []
    monkeypatch.setattr(block_sparse, "_kept", {})
    monkeypatch.setattr(
        block_sparse,
        "flex_attention",
        lambda q, k, v, block_mask, scale: masks.append(block_mask) or v,
    )
    for options in ({}, {"padding": padding}, {"padding": ~padding}, {"global_tokens": flags}):
        block_sparse_attention(q, k, v, rule, key="once", **options)
    assert len(asked) == 1
    alone, padded, flipped, flagged = (mask.to_dense()[:, 0].tolist() for mask in masks)
    assert alone == [[[1, 1, 0], [1, 1, 1], [0, 1, 1]]]
    assert padded == [[[1, 0, 0], [1, 0, 0], [0, 0, 0]], alone[0]]
    assert flipped == [alone[0], [[0, 0, 0]] * 3]
    assert flagged == [alone[0], [[1, 1, 1], [1, 1, 1], [1, 1, 1]]]


OF_WINDOWS = {
    "window": {"window": 2},
    "window+dilated": {"window": 2, "dilation": 2},
    "window+random": {"window": 2, "n_random": 1},
}


@pytest.mark.parametrize("name", OF_WINDOWS)
def test_patterns_without_global_tokens_name_their_rule(generator, monkeypatch, name):
    given = []
    monkeypatch.setattr(
        patterns,
        "block_sparse_attention",
        lambda q, k, v, rule, **options: given.append(options) or v,
    )
    attend = PatternAttention(name, **OF_WINDOWS[name])
    for _ in range(2):
        attend(*(x.to("meta") for x in heads(generator)), causal=True)
    assert given[0]["key"] == given[1]["key"] is not None
    assert given[0].get("global_tokens") is None


KEPT = {
    "window": {"window": 2},
    "strided": {"stride": 4},
    "fixed": {"stride": 4, "summary": 1},
    "dilated": {"window": 2, "dilation": 2},
    "window+global": {"window": 2, "global_tokens": [0, 1, 9]},
    "window+global+random": {"window": 2, "global_tokens": [3], "n_random": 1},
}


@pytest.fixture
def masks_made(monkeypatch) -> list:
    """The block masks that a test makes: none is kept from before, and no CPU cuts into pieces."""
    made, blocks_of = [], block_sparse._blocks
    monkeypatch.setattr(block_sparse, "_kept", {})
    monkeypatch.setattr(block_sparse, "_kept_of_data", {})
    monkeypatch.setattr(patterns, "in_pieces", lambda q: False)
    monkeypatch.setattr(
        block_sparse, "_blocks", lambda *args: made.append(args) or blocks_of(*args)
    )
    return made


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", KEPT)
def test_three_calls_elsewhere_make_one_block_mask(generator, masks_made, name):
    """Of the layers of a model, and of its steps; the first call is one of inference."""
    tensors = heads(generator, queries=30, keys=30)
    for inference in (True, False, False):
        with torch.inference_mode(inference):
            out = PatternAttention(name, **KEPT[name])(*tensors, causal=True)
    assert len(masks_made) == 1
    (kept,) = block_sparse._kept.values()
    assert not any(x.is_inference() for x in (kept.some, kept.mask.kv_indices))
    mask = pattern_mask(name, 30, causal=True, **KEPT[name])
    torch.testing.assert_close(out, softmax_attention(*tensors, mask=mask), **EXACT)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", KEPT)
def test_a_second_call_elsewhere_starts_the_kernel_and_nothing_else(monkeypatch, name, padded):
    """No block mask is made again, and no head of a usual width is copied to be padded by 0."""
    monkeypatch.setattr(block_sparse, "_kept", {})
    monkeypatch.setattr(block_sparse, "flex_attention", lambda q, k, v, **options: v)
    monkeypatch.setattr(block_sparse, "_has_no_numbers", lambda q: False)  # meta stands for a card
    attend = PatternAttention(name, **KEPT[name])
    tensors = torch.ones(3, 2, 3, 30, 16, device="meta")
    padding = torch.ones(2, 30, dtype=torch.bool, device="meta") if padded else None
    started = []
    for _ in range(2):
        with Launched() as mode:
            attend(*tensors, causal=True, padding=padding)
        started.append(mode.names)
    assert started[0]
    assert not started[1]


@pytest.fixture
def masks_used(masks_made, monkeypatch) -> list:
    """The block masks that the kernel is given."""
    used = []
    monkeypatch.setattr(
        block_sparse,
        "flex_attention",
        lambda q, k, v, block_mask, scale: used.append(block_mask) or v,
    )
    return used


@pytest.mark.parametrize("name", KEPT)
def test_layers_with_the_same_padding_share_a_block_mask(generator, masks_made, masks_used, name):
    """It is made anew for other padding, for padding changed in place, and where none can tell."""
    attend = PatternAttention(name, **KEPT[name])
    tensors = heads(generator, queries=300, keys=300)
    padding = torch.ones(2, 300, dtype=torch.bool)
    padding[0, 100:] = False

    def masks(padding, times=1):
        masks_used.clear()
        for _ in range(times):
            attend(*tensors, causal=True, padding=padding)
        return masks_used

    first = masks(padding, 3)[0]
    assert all(mask is first for mask in masks_used)
    padding[1, 100:] = False
    changed = masks(padding, 2)[0]
    assert changed is masks_used[1] is not first
    assert not changed.to_dense()[:, :, :, 1:].any()  # the blocks of keys from 128 on
    assert first.to_dense()[1, :, :, 1:].any()
    assert masks(padding.clone())[0] is not changed
    with torch.inference_mode():
        assert masks(padding)[0] is changed
        one, other = masks(padding.clone(), 2)
        assert one is not other
    assert len(masks_made) == 1  # the rule was asked at the first call alone


@pytest.mark.usefixtures("masks_used")
def test_block_masks_of_padding_do_not_pile_up(generator):
    attend = PatternAttention("window", window=2)
    for _ in range(2 * block_sparse.KEPT_OF_DATA):
        padding = torch.ones(2, 9, dtype=torch.bool)
        attend(*heads(generator), causal=True, padding=padding)
    assert len(block_sparse._kept_of_data) == block_sparse.KEPT_OF_DATA


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.usefixtures("masks_made")
@pytest.mark.parametrize("name", KEPT)
def test_padding_changed_in_place_is_read_again(generator, name):
    q, k, v = heads(generator, queries=140, keys=140)
    padding = torch.ones(2, 140, dtype=torch.bool)
    mask = pattern_mask(name, 140, causal=True, **KEPT[name])
    attend = PatternAttention(name, **KEPT[name])
    for place in (130, 20, 0):
        padding[0, place:] = False
        found = attend(q, k, v, causal=True, padding=padding)
        expected = softmax_attention(q, k, v, mask=mask, padding=padding)
        torch.testing.assert_close(found, expected, **EXACT)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", ["window", "window+global", "window+global+random"])
def test_a_pattern_elsewhere_is_one_graph_with_its_mask_kept(generator, masks_made, name, padded):
    """Its block mask is worked out at the first call, outside, and is the same in the graph."""
    padding = torch.rand(2, 140, generator=generator) < 0.7 if padded else None
    attend = PatternAttention(name, **KEPT[name])
    q, k, v = heads(generator, queries=140, keys=140)
    torch._dynamo.reset()
    compiled = torch.compile(attend, backend="aot_eager", fullgraph=True)  # no break, or an error
    with torch.no_grad():
        for _ in range(2):
            found = compiled(q, k, v, causal=True, padding=padding)
    mask = pattern_mask(name, 140, causal=True, **KEPT[name])
    expected = softmax_attention(q, k, v, mask=mask, padding=padding)
    torch.testing.assert_close(found, expected, **EXACT)
    assert len(masks_made) == 1


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("queries", [140, 5])
def test_the_blocks_of_a_graph_are_those_of_a_call(monkeypatch, name, queries):
    monkeypatch.setattr(block_sparse, "_kept", {})
    key = block_sparse.named(name, causal=True, **KEPT[name])
    options, values = zip(*key.options, strict=True)
    here = torch.device("cpu")
    given = name, True, list(options), list(values), queries, 140, here
    rule = pattern_rule(name, 140, causal=True, **KEPT[name])
    mask = block_mask(lambda b, h, i, j: rule(i + 140 - queries, j), 1, queries, 140, here)
    some, every, *found = torch.ops.frugal.pattern_blocks(*given)
    assert some.shape == every.shape == mask.to_dense()[0, 0].shape
    for one, other in zip(found, block_sparse._ordered_blocks(mask), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(
        block_sparse._in_graph_shapes(*given), (some, every, *found), strict=True
    ):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


def test_a_rule_without_a_name_is_not_kept_in_a_graph():
    assert block_sparse.named("window", window=3, generator=torch.Generator()) is None
    assert block_sparse.named("window", window=3).rule(9)(torch.tensor(5), torch.tensor(2))
    nobody = block_sparse.named("window+global", window=3, global_tokens=())
    assert not nobody.rule(9)(torch.tensor(5), torch.tensor(0))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("padded", [False, True])
def test_an_exported_pattern_is_the_pattern(generator, padded):
    """While a graph is exported no kernel can be made; what is written down sees the same keys."""
    padding = torch.rand(2, 70, generator=generator) < 0.7 if padded else None
    rule = pattern_rule("window", 70, window=4, causal=True)

    class Model(torch.nn.Module):
        def forward(self, q, k, v, padding=None):
            options = {"key": ("window", 4, True), "causal": True, "padding": padding}
            return block_sparse_attention(q, k, v, rule, **options)

    given = (*heads(generator, queries=70, keys=70), *([padding] if padded else []))
    for strict in (False, True):
        exported = torch.export.export(Model(), given, strict=strict).module()
        torch.testing.assert_close(exported(*given), Model()(*given), **EXACT)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_pattern_fits_any_length(generator, strict):
    if strict and torch.__version__.startswith("2.9."):
        pytest.skip("torch 2.9 writes a strict graph of any length that names what is not there")
    attend = PatternAttention("window+global", window=3, global_tokens=(0, 5))
    length = torch.export.Dim("length", min=8, max=2048)
    shapes = {name: {2: length} for name in "qkv"}
    given = tuple(heads(generator, queries=70, keys=70))
    exported = torch.export.export(
        attend, given, {"causal": True}, strict=strict, dynamic_shapes=shapes | {"causal": None}
    ).module()
    for n in (70, 33):
        given = heads(generator, queries=n, keys=n)
        torch.testing.assert_close(
            exported(*given, causal=True), attend(*given, causal=True), **EXACT
        )


# --- bad input -------------------------------------------------------------------------------


def window(q, k, v, **options):
    return sliding_window_attention(q, k, v, **({"window": 2} | options))


BAD = {
    "window is -1": lambda q, k, v: window(q, k, v, window=-1),
    "window is 1.5": lambda q, k, v: window(q, k, v, window=1.5),
    "global_tokens has shape (2, 8)": lambda q, k, v: window(
        q, k, v, global_tokens=torch.ones(2, 8, dtype=torch.bool)
    ),
    "global_tokens has shape (9,)": lambda q, k, v: window(
        q, k, v, global_tokens=torch.ones(9, dtype=torch.bool)
    ),
    "global_tokens has dtype torch.int64": lambda q, k, v: window(
        q, k, v, global_tokens=torch.ones(2, 9, dtype=torch.int64)
    ),
    "padding has shape (3, 9)": lambda q, k, v: window(
        q, k, v, padding=torch.ones(3, 9, dtype=torch.bool)
    ),
    "q has length 9 and k has 5": lambda q, k, v: window(q, k[:, :, :5], v[:, :, :5]),
    "q has shape (2, 9, 8)": lambda q, k, v: window(q[:, 0], k, v),
    "stride is 0": lambda q, k, v: strided_attention(q, k, v, stride=0),
    "summary is 4": lambda q, k, v: fixed_attention(q, k, v, stride=3, summary=4),
    "the pattern 'ring'": lambda q, k, v: pattern_mask("window+ring", 5, window=1),
    "window is missing": lambda q, k, v: pattern_mask("window", 5),
    "stride is given": lambda q, k, v: PatternAttention("window", window=1, stride=3),
    "dilation is 0": lambda q, k, v: pattern_mask("dilated", 5, window=1, dilation=0),
    "global_tokens has -1": lambda q, k, v: pattern_mask("global", 5, global_tokens=(-1,)),
    "length is 0": lambda q, k, v: pattern_mask("full", 0),
    "layers is -1": lambda q, k, v: receptive_field(pattern_mask("full", 3), -1),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(generator, sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence](*heads(generator))
    assert sentence in str(caught.value)


def test_random_keys_are_the_same_for_positions_in_32_bits():
    """On a GPU the kernel asks about positions in int32, where the hash's products would wrap."""
    rule = pattern_rule("random", 300, n_random=3, seed=5)
    i, j = torch.arange(300)[:, None], torch.arange(300)
    torch.testing.assert_close(rule(i.int(), j.int()), rule(i, j))
