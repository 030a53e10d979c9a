"""Attention under a rule on CUDA: `flex_attention` computes only the blocks that a rule touches.

A block mask says which tiles of 128 queries x 128 keys the rule fills, leaves empty, or fills in
part; only in the last kind the rule is asked pair by pair, inside the kernel. What a rule does to
each block is worked out once and kept; padding and global tokens, which come with the data, change
whole rows and columns of blocks. That is worked out once for every call with the same tensors, as
the layers of a model make, from flags of blocks and without a wait. On other devices the same call
runs unfused, in O(N²): it is right, and only good to test with.

Where no kernel can be made the same rule is written out as a mask over all pairs (`_masked`): in a
graph that is exported, which has to run on any device and without this library, and for tensors
that have a shape and no numbers.

In a compiled graph the block mask of a named rule comes from one operation (`pattern_blocks`),
which works it out once as well. Written into the graph it would be made anew at every call, from
all pairs; and that of "window+global+random" torch 2.11 could not compile. Global tokens that come
with the data are read by the rule itself, which it could not compile either: there the graph
breaks, in one place, which torch counts once for each function around it.

Chapter: fixed-patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from numbers import Integral
from typing import Any, NamedTuple, no_type_check

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from frugal.attention.kept import kept
from frugal.attention.patterns.masks import Rule, pattern_rule
from frugal.attention.softmax import softmax_attention

BLOCK = 128
LEAST_WIDTH = 16  # the fused kernel takes no narrower heads
KEPT = 64
"""Rules and lengths whose block masks are kept, and for which kernels are."""
KEPT_OF_DATA = 8
"""Tensors of padding or global tokens whose block masks are kept."""
PAIRS = 2**24
"""Pairs of a query and a key that a rule is asked about at once, to see which blocks it touches."""

Sees = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Named(NamedTuple):
    """A rule by its name, as `pattern_rule` makes it: what a graph can hold in place of a function.

    options: pairs of an option's name and its number, a pair for each number of a sequence.
    """

    name: str
    causal: bool
    options: tuple[tuple[str, int], ...]

    def rule(self, keys: int) -> Rule:
        """The function that is so named, for so many keys."""
        options: dict[str, Any] = {}
        if "global" in self.name.split("+"):
            options[SEVERAL] = tuple(value for option, value in self.options if option == SEVERAL)
        options |= {option: value for option, value in self.options if option != SEVERAL}
        return pattern_rule(self.name, keys, causal=self.causal, **options)


SEVERAL = "global_tokens"
"""The option that is several numbers."""


def named(name: str, *, causal: bool = False, **options: Any) -> Named | None:
    """The name of a rule, or None where an option is no whole number and has none."""
    pairs: list[tuple[str, int]] = []
    for option, value in options.items():
        if value is None:  # as if it were not given
            continue
        values = value if option == SEVERAL else (value,)
        if not all(isinstance(one, Integral) for one in values):
            return None
        pairs += [(option, int(one)) for one in values]
    return Named(name, causal, tuple(pairs))


class _Kept(NamedTuple):
    """What a rule does to each block, (rows, columns), and the block mask of the rule alone."""

    some: Tensor
    every: Tensor
    mask: BlockMask


_kept: dict[Hashable, _Kept] = {}
_kept_of_data: dict[Hashable, BlockMask] = {}


def block_sparse_attention(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    rule: Rule,
    *,
    key: Hashable | None = None,
    global_tokens: Bool[Tensor, "batch keys"] | None = None,
    causal: bool = False,
    padding: Bool[Tensor, "batch keys"] | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Softmax attention of each query over the keys that `rule` lets it see.

    The last query is at the place of the last key. global_tokens see all and are seen by all, up to
    the query's place if `causal` (the rule itself has to be causal then); no one sees a key whose
    `padding` is False. A query without keys gets zeros. key: names the rule, so that its block mask
    can be kept for the next call; a compiled graph keeps only those that are `Named`, and has a
    break where `global_tokens` are given.
    """
    queries, keys = q.shape[2], k.shape[2]
    # the number 0, not a difference of symbols, where a graph is made for any length
    offset = 0 if queries == keys else keys - queries

    @no_type_check  # traced into the kernel, see Rule
    def alone(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return rule(i + offset, j)

    @no_type_check
    def sees(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        i = i + offset
        seen = rule(i, j)
        if global_tokens is not None:
            joined = global_tokens[batch, i] | global_tokens[batch, j]
            seen = seen | (joined & (j <= i) if causal else joined)
        return seen if padding is None else seen & padding[batch, j]

    if torch.compiler.is_exporting() or _has_no_numbers(q):
        return _masked(q, k, v, sees)
    if global_tokens is not None and torch.compiler.is_dynamo_compiling():
        options = {"global_tokens": global_tokens, "causal": causal, "padding": padding}
        return _outside(q, k, v, rule, key=key, **options)
    of_rule = _blocks_of(alone, key, queries, keys, q.device)
    data, shape = (global_tokens, padding), (q.shape[0], queries, keys)
    if global_tokens is None and padding is None:
        mask = of_rule.mask
    elif key is not None and _can_be_told(q.device, data):
        # the flags stay in memory with the block mask that reads them, so no others have their id
        states = [None if x is None else (id(x), x._version) for x in data]
        make = partial(_with_data, of_rule, *data, causal, *shape, sees)
        mask = kept(
            _kept_of_data, (key, causal, *shape, q.device, *states), make, most=KEPT_OF_DATA
        )
    else:
        mask = _with_data(of_rule, *data, causal, *shape, sees)
    scale, value_dim = q.shape[-1] ** -0.5, v.shape[-1]
    q, k, v = (_wide_enough(x) for x in (q, k, v))
    alone_here = q.device.type == "cuda" and not torch.compiler.is_compiling()
    kernel = _fused if alone_here else flex_attention
    return kernel(q, k, v, block_mask=mask, scale=scale)[..., :value_dim]


def _with_data(
    of_rule: _Kept,
    global_tokens: Tensor | None,
    padding: Tensor | None,
    causal: bool,
    batch: int,
    queries: int,
    keys: int,
    sees: Sees,
) -> BlockMask:
    """The block mask of a rule, with the blocks that padding or global tokens change."""
    some, every = of_rule.some[None], of_rule.every[None]
    if global_tokens is not None:
        some = some | _touched(global_tokens, queries, causal)
    if padding is not None:
        real = _in_blocks(padding)  # (batch, columns, BLOCK)
        some = some & real.any(-1)[:, None]
        every = every & real.all(-1)[:, None]
    shape = (batch, *of_rule.some.shape)
    return _block_mask(some.expand(shape), every.expand(shape), queries, keys, sees)


def _can_be_told(device: torch.device, data: Sequence[Tensor | None]) -> bool:
    """Whether a later call can tell that the flags are still the same ones, unchanged.

    Tensors of inference mode do not count their changes; and what a CUDA graph replays has to work
    the blocks out again, from whatever the flags are then.
    """
    if torch.compiler.is_compiling() or any(x is not None and x.is_inference() for x in data):
        return False
    return device.type != "cuda" or not torch.cuda.is_current_stream_capturing()


def _wide_enough(x: Tensor) -> Tensor:
    """x with zeros up to the kernel's least width; x itself where it is: by 0 `F.pad` copies."""
    missing = LEAST_WIDTH - x.shape[-1]
    return F.pad(x, (0, missing)) if missing > 0 else x


def in_pieces(q: Tensor) -> bool:
    """Whether a pattern is cut into rectangles (`pieces`): on the CPU, and not to be exported."""
    return q.device.type == "cpu" and not torch.compiler.is_exporting()


def _has_no_numbers(q: Tensor) -> bool:
    """Whether only shapes are asked for: a block mask is made of numbers."""
    return isinstance(q, FakeTensor) or q.device.type == "meta"


def _masked(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    sees: Sees,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Attention under `sees(batch, head, query, key)` as a mask: all pairs, in any graph."""
    sizes = q.shape[0], q.shape[2], k.shape[2]  # which may be symbols
    batch, i, j = (torch.arange(size, device=q.device) for size in sizes)
    batch = batch[:, None, None]
    mask = sees(batch, batch, i[:, None], j)  # (queries, keys), or (batch, queries, keys)
    return softmax_attention(q, k, v, mask=mask.expand(sizes)[:, None])


_outside = torch.compiler.disable(block_sparse_attention)
"""The graph breaks here; the kernel itself is compiled as ever."""


def block_mask(sees: Sees, batch: int, queries: int, keys: int, device: torch.device) -> BlockMask:
    """The block mask of `sees(batch, head, query, key)`.

    Memory while it is made: some numbers for every pair of a row of blocks, or of `PAIRS` pairs.
    """
    some, every = _blocks(sees, batch, queries, keys, device)
    return _block_mask(some, every, queries, keys, sees)


def _blocks_of(
    alone: Sees, key: Hashable | None, queries: int, keys: int, device: torch.device
) -> _Kept:
    """What a rule does to each block, from the last call with this key or worked out now."""
    if torch.compiler.is_compiling():
        if not isinstance(key, Named):
            return _worked_out(alone, queries, keys, device)
        options, values = [one[0] for one in key.options], [one[1] for one in key.options]
        given = key.name, key.causal, options, values
        found = torch.ops.frugal.pattern_blocks(*given, queries, keys, device)
        return _Kept(found[0], found[1], _as_mask(found[2:], queries, keys, alone))
    if key is None:
        return _worked_out(alone, queries, keys, device)
    place = (key, queries, keys, device)
    return kept(_kept, place, lambda: _worked_out(alone, queries, keys, device), most=KEPT)


def _in_graph(
    name: str,
    causal: bool,
    options: Sequence[str],
    values: Sequence[int],
    queries: int,
    keys: int,
    device: torch.device,
) -> list[Tensor]:
    """What is kept of a rule, as tensors that the graph owns: it may write over them."""
    key = Named(name, causal, tuple(zip(options, values, strict=True)))
    rule, offset = key.rule(keys), keys - queries

    @no_type_check
    def alone(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return rule(i + offset, j)

    kept = _blocks_of(alone, key, queries, keys, device)
    return [x.clone() for x in (kept.some, kept.every, *_ordered_blocks(kept.mask))]


def _in_graph_shapes(
    name: str,
    causal: bool,
    options: Sequence[str],
    values: Sequence[int],
    queries: int,
    keys: int,
    device: torch.device,
) -> list[Tensor]:
    rows, columns = -(-queries // BLOCK), -(-keys // BLOCK)
    flags = [torch.empty(rows, columns, dtype=torch.bool, device=device) for _ in range(2)]
    sizes = [(rows,), (rows, columns)] * 2 + [(columns,), (columns, rows)] * 2
    counts = [torch.empty(1, 1, *size, dtype=torch.int32, device=device) for size in sizes]
    return [*flags, *counts]


torch.library.custom_op(
    "frugal::pattern_blocks",
    _in_graph,
    mutates_args=(),
    schema="(str name, bool causal, str[] options, SymInt[] values, SymInt queries, SymInt keys, "
    "Device device) -> Tensor[]",
).register_fake(_in_graph_shapes)


def _worked_out(alone: Sees, queries: int, keys: int, device: torch.device) -> _Kept:
    some, every = _blocks(alone, 1, queries, keys, device)
    return _Kept(some[0], every[0], _block_mask(some, every, queries, keys, alone))


def _blocks(
    sees: Sees, batch: int, queries: int, keys: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Of which blocks some pairs are seen, and of which all: (batch, rows, columns) each."""
    rows = -(-queries // BLOCK)
    at_once = max(1, PAIRS // (batch * BLOCK * keys))
    if torch.compiler.is_compiling():
        at_once = rows  # fused, and never stored
    b = torch.arange(batch, device=device)[:, None, None]
    j = torch.arange(keys, device=device)
    some, every = [], []
    for start in range(0, rows, at_once):
        stop = min(start + at_once, rows)
        i = torch.arange(start * BLOCK, min(stop * BLOCK, queries), device=device)[:, None]
        seen = sees(b, torch.zeros_like(b), i, j).expand(batch, len(i), keys)
        # What lies outside the sequence is not seen: a block that sticks out is never full.
        seen = F.pad(seen, (0, -keys % BLOCK, 0, (stop - start) * BLOCK - len(i)))
        seen = seen.unflatten(-1, (-1, BLOCK)).unflatten(1, (-1, BLOCK))
        some.append(seen.any(-1).any(2))  # (batch, rows, columns)
        every.append(seen.all(-1).all(2))
    return torch.cat(some, 1), torch.cat(every, 1)


def _in_blocks(flags: Bool[Tensor, "batch length"]) -> Bool[Tensor, "batch blocks size"]:
    """A flag for each position, and False after the end."""
    return F.pad(flags, (0, -flags.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))


def _touched(global_tokens: Tensor, queries: int, causal: bool) -> Tensor:
    """Blocks that have a global query or a global key: (batch, rows, columns)."""
    offset = global_tokens.shape[1] - queries
    asking = _in_blocks(global_tokens[:, offset:]).any(-1)  # (batch, rows)
    asked = _in_blocks(global_tokens).any(-1)  # (batch, columns)
    touched = asking[:, :, None] | asked[:, None]
    if not causal:
        return touched
    last = BLOCK * torch.arange(1, asking.shape[1] + 1, device=touched.device) + offset - 1
    first = BLOCK * torch.arange(asked.shape[1], device=touched.device)
    return touched & (first <= last[:, None])


def _block_mask(
    some: Bool[Tensor, "batch rows columns"],
    every: Bool[Tensor, "batch rows columns"],
    queries: int,
    keys: int,
    sees: Sees,
) -> BlockMask:
    full, partial = every[:, None], (some & ~every)[:, None]  # (batch, 1, rows, columns)
    ordered = [*_ordered(partial), *_ordered(full), *_ordered(partial.mT), *_ordered(full.mT)]
    return _as_mask(ordered, queries, keys, sees)


def _as_mask(ordered: Sequence[Tensor], queries: int, keys: int, sees: Sees) -> BlockMask:
    """Of what `_ordered` gives for partial and full blocks, by rows and then by columns."""
    return BlockMask((queries, keys), *ordered, BLOCK_SIZE=(BLOCK, BLOCK), mask_mod=sees)


def _ordered_blocks(mask: BlockMask) -> list[Tensor]:
    """The tensors that `_as_mask` was given."""
    return [
        *(mask.kv_num_blocks, mask.kv_indices, mask.full_kv_num_blocks, mask.full_kv_indices),
        *(mask.q_num_blocks, mask.q_indices, mask.full_q_num_blocks, mask.full_q_indices),
    ]


def _ordered(blocks: Bool[Tensor, "batch 1 rows columns"]) -> tuple[Tensor, Tensor]:
    """How many blocks each row has, and which, those first."""
    marks = blocks.to(torch.int32)
    which = marks.argsort(dim=-1, descending=True, stable=True)
    return marks.sum(-1).to(torch.int32), which.to(torch.int32).contiguous()


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(flex_attention, dynamic=False)


def _fused(*args: Tensor, **options: Any) -> Tensor:
    """The kernel, which is compiled anew for every rule, length and dtype.

    Beyond torch's limit, 8 such variants by default, the unfused form would run instead.
    """
    with torch._dynamo.config.patch(recompile_limit=4 * KEPT):
        return _compiled()(*args, **options)
