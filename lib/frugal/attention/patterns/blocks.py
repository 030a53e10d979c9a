"""Attention under a rule on CUDA: `flex_attention` computes only the blocks that a rule touches.

A block mask says which tiles of 128 queries x 128 keys the rule fills, leaves empty, or fills in
part; only in the last kind the rule is asked pair by pair, inside the kernel. What a rule does to
each block is worked out once and kept; padding and global tokens, which come with the data, change
whole rows and columns of blocks. On other devices the same call runs unfused, in O(N²): it is
right, and only good to test with.

Where no kernel can be made the same rule is written out as a mask over all pairs (`_masked`): in a
graph that is exported, which has to run on any device and without this library, and for tensors
that have a shape and no numbers.

On CUDA under `torch.compile`, "window+global" and "window+global+random" raised an
`InductorError`, as measured with torch 2.11 (`experiments/results/gpu_compile.json`). They are
called through one break in the graph; the window alone is part of it.

Chapter: fixed-patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, NamedTuple, no_type_check

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from frugal.attention.patterns.masks import Rule
from frugal.attention.softmax import softmax_attention

BLOCK = 128
LEAST_WIDTH = 16  # the fused kernel takes no narrower heads
KEPT = 64
"""Rules and lengths whose block masks are kept, and for which kernels are."""
PAIRS = 2**24
"""Pairs of a query and a key that a rule is asked about at once, to see which blocks it touches."""

Sees = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class _Kept(NamedTuple):
    """What a rule does to each block, (rows, columns), and the block mask of the rule alone."""

    some: Tensor
    every: Tensor
    mask: BlockMask


_kept: dict[Hashable, _Kept] = {}


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
    apart: bool = False,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Softmax attention of each query over the keys that `rule` lets it see.

    The last query is at the place of the last key. global_tokens see all and are seen by all, up to
    the query's place if `causal` (the rule itself has to be causal then); no one sees a key whose
    `padding` is False. A query without keys gets zeros. key: names the rule, so that its block mask
    can be kept for the next call. apart: the rule is one that a compiled graph cannot write down,
    as it never can one that reads `global_tokens`; the graph has a break there.
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

    if torch.compiler.is_exporting() or isinstance(q, FakeTensor):
        return _masked(q, k, v, sees)
    if (apart or global_tokens is not None) and torch.compiler.is_dynamo_compiling():
        options = {"global_tokens": global_tokens, "causal": causal, "padding": padding}
        return _outside(q, k, v, rule, key=key, **options)
    kept = _blocks_of(alone, key, queries, keys, q.device)
    if global_tokens is None and padding is None:
        mask = kept.mask
    else:
        some, every = kept.some[None], kept.every[None]
        if global_tokens is not None:
            some = some | _touched(global_tokens, queries, causal)
        if padding is not None:
            real = _in_blocks(padding)  # (batch, columns, BLOCK)
            some = some & real.any(-1)[:, None]
            every = every & real.all(-1)[:, None]
        batch = q.shape[0]
        shape = (batch, *kept.some.shape)
        mask = _block_mask(some.expand(shape), every.expand(shape), queries, keys, sees)
    scale, value_dim = q.shape[-1] ** -0.5, v.shape[-1]
    q, k, v = (F.pad(x, (0, max(0, LEAST_WIDTH - x.shape[-1]))) for x in (q, k, v))
    alone_here = q.device.type == "cuda" and not torch.compiler.is_compiling()
    kernel = _fused if alone_here else flex_attention
    return kernel(q, k, v, block_mask=mask, scale=scale)[..., :value_dim]


def in_pieces(q: Tensor) -> bool:
    """Whether a pattern is cut into rectangles (`pieces`): on the CPU, and not to be exported."""
    return q.device.type == "cpu" and not torch.compiler.is_exporting()


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
"""One break in the graph; the kernel itself is compiled as ever."""


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
    place = (key, queries, keys, device)
    keep = key is not None and not torch.compiler.is_compiling()
    if keep and place in _kept:
        return _kept[place]
    if not keep:
        return _worked_out(alone, queries, keys, device)
    # what inference mode makes could not be trained with afterwards
    with torch.inference_mode(False):
        made = _worked_out(alone, queries, keys, device)
    if len(_kept) >= KEPT:
        _kept.pop(next(iter(_kept)))  # the oldest
    _kept[place] = made
    return made


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
    return BlockMask(
        (queries, keys),
        *_ordered(partial),
        *_ordered(full),
        *_ordered(partial.mT),
        *_ordered(full.mT),
        BLOCK_SIZE=(BLOCK, BLOCK),
        mask_mod=sees,
    )


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
