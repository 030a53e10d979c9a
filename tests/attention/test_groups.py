"""Grouped heads: equal to repeated keys and values, to torch's own, and without copies of them."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from frugal.attention.alibi import AlibiAttention
from frugal.attention.cache import KeyValueCache
from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.groups import attend_grouped, grouped, groups_of, repeated
from frugal.attention.heads import masked_heads, prune_heads
from frugal.attention.kernels import FavorFeatures, KernelAttention, RandomFeatureAttention
from frugal.attention.linformer import LinformerAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import PatternAttention, sliding_window_attention
from frugal.attention.recording import recording
from frugal.attention.relative import RelativeAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention, attention_weights, softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.model import Decoder, EncoderDecoder, TransformerConfig

HEADS, KV_HEADS, HEAD_DIM = 6, 2, 8
SHORT, LONG = 21, 130

ATTENTIONS = {
    "softmax": lambda: softmax_attention,
    "window": lambda: PatternAttention("window", window=5),
    "window of a function": lambda: partial(sliding_window_attention, window=5),
    "window+global": lambda: PatternAttention("window+global", window=5, global_tokens=(0,)),
    "strided": lambda: PatternAttention("strided", stride=4),
    "fixed": lambda: PatternAttention("fixed", stride=4, summary=1),
    "dilated": lambda: PatternAttention("dilated", window=2, dilation=2),
    "elu": KernelAttention,
    "favor": lambda: KernelAttention(FavorFeatures(HEAD_DIM, 16)),
    "gated": lambda: RandomFeatureAttention(HEADS, HEAD_DIM, 16),
    "span": lambda: AdaptiveSpan(HEADS, 20, 4),
    "dynamic span": lambda: DynamicSpan(HEADS, HEAD_DIM, 20, 4),
    "entmax": lambda: EntmaxAttention(HEADS, learned=True),
    "linformer": lambda: LinformerAttention(HEADS, LONG, 8),
    "linformer by head": lambda: LinformerAttention(HEADS, LONG, 8, sharing="none"),
    "lsh": lambda: LshAttention(8, 2, seed=1),
    "sinkhorn": lambda: SinkhornAttention(HEADS, HEAD_DIM, block_size=8, max_blocks=40),
    "alibi": lambda: AlibiAttention(HEADS),
    "alibi on entmax": lambda: AlibiAttention(HEADS, EntmaxAttention(HEADS)),
    "relative": lambda: RelativeAttention(HEADS, HEADS * HEAD_DIM),
}
COPIES = {"gated", "lsh", "sinkhorn"}
"""Those that sort or weigh the keys of every query head in a way of its own."""

every = pytest.mark.parametrize("name", ATTENTIONS)
either_length = pytest.mark.parametrize("length", [SHORT, LONG])


def made(name: str):
    torch.manual_seed(0)
    attend = ATTENTIONS[name]()
    return attend.eval() if isinstance(attend, nn.Module) else attend


def given(length: int, queries: int | None = None) -> list[Tensor]:
    generator = torch.Generator().manual_seed(length)
    shapes = [(HEADS, queries or length), (KV_HEADS, length), (KV_HEADS, length)]
    return [torch.randn(2, *shape, HEAD_DIM, generator=generator) for shape in shapes]


def asked(name: str) -> list[dict]:
    padding = torch.ones(2, LONG, dtype=torch.bool)
    padding[0, :3] = False
    orders = [{}] if "linformer" in name else [{}, {"causal": True}]
    if name in ("strided", "fixed"):
        orders = [{}]
    return [order | more for order in orders for more in ({}, {"padding": padding})]


def fitted(options: dict, length: int) -> dict:
    return {n: o[:, :length] if n == "padding" else o for n, o in options.items()}


@either_length
@every
def test_a_shared_head_is_one_that_is_repeated(name, length):
    attend = made(name)
    for options in asked(name):
        options = fitted(options, length)
        tensors = [x.requires_grad_() for x in given(length)]
        found = attend_grouped(attend, *tensors, options)
        q, k, v = tensors
        expected = attend(q, repeated(k, HEADS), repeated(v, HEADS), **options)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        ours, theirs = (
            torch.autograd.grad(out.square().sum(), tensors, allow_unused=True, retain_graph=True)
            for out in (found, expected)
        )
        for one, other in zip(ours, theirs, strict=True):
            if one is not None or other is not None:
                torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-3)


def test_equals_torch_and_its_order_of_heads():
    q, k, v = given(LONG)
    expected = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    assert torch.equal(softmax_attention(q, k, v), expected)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    assert torch.equal(softmax_attention(q, k, v, causal=True), expected)
    mask = torch.rand(2, HEADS, LONG, LONG) < 0.7
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    assert torch.equal(softmax_attention(q, k, v, mask=mask), expected)
    weights = attention_weights(q, k, mask=mask)
    torch.testing.assert_close(weights @ repeated(v, HEADS), expected)


def test_a_mask_by_head_goes_with_its_heads():
    """In turns, an attention gets the rows of the mask that are of its heads."""

    @grouped("in turns")
    def attend(q, k, v, *, mask):
        assert mask.shape[-3] in (1, q.shape[1])
        return softmax_attention(q, k, v, mask=mask)

    q, k, v = given(SHORT)
    for shape in ((2, HEADS), (HEADS,), (2, 1), ()):
        mask = torch.rand(*shape, SHORT, SHORT) < 0.7
        if not shape:
            mask = mask[None]
        found = attend_grouped(attend, q, k, v, {"mask": mask})
        torch.testing.assert_close(found, softmax_attention(q, k, v, mask=mask))


class Copies(TorchDispatchMode):
    """Whether an operation has filled new memory of the size of repeated keys."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.found: list[str] = []
        self.shapes = {(2, HEADS, length, HEAD_DIM), (2, KV_HEADS, HEADS // KV_HEADS, length, 8)}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        outs = out if isinstance(out, tuple | list) else [out]
        for x in outs:
            if isinstance(x, Tensor) and tuple(x.shape) in self.shapes and not func.is_view:
                shares = any(
                    isinstance(y, Tensor)
                    and y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
                    for y in args
                )
                if not shares:
                    self.found.append(str(func))
        return out


@pytest.mark.parametrize("name", sorted(ATTENTIONS.keys() - COPIES))
def test_no_repeated_keys_are_made(name):
    """One query beside many keys: nothing of the shape of repeated keys can be anything else."""
    length, queries = (LONG, 1)
    attend = made(name)
    q, k, v = given(length, queries)
    options = {} if "linformer" in name or name in ("strided", "fixed") else {"causal": True}
    with torch.no_grad(), Copies(length) as copies:
        attend_grouped(attend, q, k, v, options)
    assert not copies.found
    with torch.no_grad(), Copies(length) as copies:
        repeated(k, HEADS)
    assert copies.found, "what looks for copies must see one"


def test_an_attention_that_says_nothing_gets_repeated_keys():
    def attend(q, k, v):
        assert q.shape == k.shape == v.shape
        return softmax_attention(q, k, v)

    assert groups_of(attend) == "repeated"
    q, k, v = given(SHORT)
    torch.testing.assert_close(attend_grouped(attend, q, k, v, {}), softmax_attention(q, k, v))


def test_random_vectors_are_drawn_once_in_a_pass():
    attend = KernelAttention(FavorFeatures(HEAD_DIM, 16, redraw_every=1)).train()
    attend(*given(SHORT))
    assert attend.features.passes == 1


@pytest.mark.usefixtures("unchecked")
def test_heads_that_do_not_divide_get_one_sentence():
    q, k, v = given(SHORT)
    with pytest.raises(ValueError, match="the heads of k must divide those of q"):
        softmax_attention(q[:, :5], k, v)
    with pytest.raises(ValueError, match="they must agree"):
        PatternAttention("window", window=2)(q[:, :5], k, v)
    for bad in (0, 4, 1.5, True):
        with pytest.raises(ValueError, match="n_kv_heads is"):
            MultiHeadAttention(48, HEADS, n_kv_heads=bad)
    with pytest.raises(ValueError, match="n_kv_heads is 3; it must divide n_heads=4"):
        TransformerConfig(vocab_size=9, n_heads=4, n_kv_heads=3)


# --- layers and models -------------------------------------------------------------------------


def layer(n_kv_heads: int | None, attend=softmax_attention) -> MultiHeadAttention:
    torch.manual_seed(0)
    return MultiHeadAttention(HEADS * HEAD_DIM, HEADS, attend, n_kv_heads=n_kv_heads).eval()


def test_as_many_as_heads_is_the_layer_of_before():
    x = torch.randn(2, SHORT, HEADS * HEAD_DIM)
    assert torch.equal(layer(None)(x, causal=True), layer(HEADS)(x, causal=True))


def test_a_layer_is_the_full_one_with_repeated_weights():
    small, full = layer(KV_HEADS), layer(None)
    own = small.state_dict()
    for name in ("to_k", "to_v"):
        for part in ("weight", "bias"):
            by_head = own[f"{name}.{part}"].unflatten(0, (KV_HEADS, HEAD_DIM))
            own[f"{name}.{part}"] = by_head.repeat_interleave(HEADS // KV_HEADS, 0).flatten(0, 1)
    full.load_state_dict(own)
    x, context = torch.randn(2, SHORT, 48), torch.randn(2, 9, 48)
    torch.testing.assert_close(small(x, causal=True), full(x, causal=True))
    torch.testing.assert_close(small(x, context), full(x, context))
    with recording(small) as ours, recording(full) as theirs:
        small(x), full(x)
    torch.testing.assert_close(ours.weights[""], theirs.weights[""])


@pytest.mark.parametrize("name", ["softmax", "window", "elu", "lsh", "span"])
def test_weights_are_recorded(name):
    asked_of = layer(KV_HEADS, made(name))
    with recording(asked_of) as recorder:
        asked_of(torch.randn(2, SHORT, 48))
    assert recorder.weights[""].shape == (2, HEADS, SHORT, SHORT)


def test_the_cache_holds_the_shared_heads_alone():
    attend, x = layer(KV_HEADS), torch.randn(2, SHORT, 48)
    cache, whole = KeyValueCache(SHORT), attend(x, causal=True)
    steps = [attend(x[:, i : i + 1], cache=cache, causal=True) for i in range(SHORT)]
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    assert cache.k.shape == (2, KV_HEADS, SHORT, HEAD_DIM)


@pytest.mark.parametrize("name", ["window", "elu", "favor", "gated", "span", "entmax", "strided"])
def test_decoding_goes_on_from_what_an_attention_keeps(name):
    """All keys, those in reach, or a state: each step is a row of the whole pass."""
    torch.manual_seed(0)
    config = TransformerConfig(
        vocab_size=11,
        d_model=HEADS * HEAD_DIM,
        n_heads=HEADS,
        n_kv_heads=KV_HEADS,
        make_attend=lambda index, config: made(name),
    )
    model = Decoder(config).eval()
    ids = torch.randint(11, (2, 40))
    whole, caches = model(ids), model.new_caches(40)
    steps = [model(ids[:, :9], caches=caches)]
    steps += [model(ids[:, i : i + 1], caches=caches) for i in range(9, 40)]
    torch.testing.assert_close(torch.cat(steps, 1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("positions", ["sinusoidal", "rope", "alibi"])
def test_models_train_and_decode_with_a_cache(positions):
    torch.manual_seed(0)
    config = TransformerConfig(
        vocab_size=11, d_model=48, n_heads=HEADS, n_kv_heads=KV_HEADS, positions=positions
    )
    model = Decoder(config).eval()
    ids = torch.randint(11, (2, 9))
    whole = model(ids)
    caches = model.new_caches(9)
    steps = [model(ids[:, i : i + 1], caches=caches) for i in range(9)]
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    assert caches[0].own.kept.k.shape[1] == KV_HEADS
    both = EncoderDecoder(config)
    both(ids, ids).square().mean().backward()
    assert all(p.grad is not None for p in both.parameters())
    assert both.decoder.stack.layers[0].cross.sublayer.to_k.out_features == KV_HEADS * HEAD_DIM


def test_heads_that_share_are_pruned_together():
    x = torch.randn(2, SHORT, 48)
    attend = layer(KV_HEADS)
    with pytest.raises(ValueError, match="3 heads share keys and values there"):
        prune_heads(attend, [0, 1])
    with masked_heads(attend, {"": [3, 4, 5]}):
        expected = attend(x)
    prune_heads(attend, [3, 4, 5])
    torch.testing.assert_close(attend(x), expected)
    assert (attend.n_heads, attend.n_kv_heads, attend.to_k.out_features) == (3, 1, HEAD_DIM)
    prune_heads(attend, [0, 1, 2])
    assert attend(x).shape == x.shape
