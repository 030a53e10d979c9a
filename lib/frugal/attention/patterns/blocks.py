"""Attention under a rule on CUDA: `flex_attention` computes only the blocks that a rule touches.

A block mask says which tiles of 128 queries x 128 keys the rule fills, leaves empty, or fills in
part; only in the last kind the rule is asked pair by pair, inside the kernel. Block masks of rules
that do not depend on the data are kept. On other devices the same call runs unfused, in O(N²): it
is right, and only good to test with.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import no_type_check

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

_kept: dict[Hashable, BlockMask] = {}


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
    can be kept for the next call.
    """
    offset = k.shape[2] - q.shape[2]

    @no_type_check  # traced into the kernel, see Rule
    def sees(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        i = i + offset
        seen = rule(i, j)
        if global_tokens is not None:
            joined = global_tokens[batch, i] | global_tokens[batch, j]
            seen = seen | (joined & (j <= i) if causal else joined)
        return seen if padding is None else seen & padding[batch, j]

    depends = global_tokens is not None or padding is not None
    batches = q.shape[0] if depends else 1
    place = (key, q.shape[2], k.shape[2], q.device)
    mask = None if depends or key is None else _kept.get(place)
    if mask is None:
        mask = block_mask(sees, batches, q.shape[2], k.shape[2], q.device)
        if not depends and key is not None and not isinstance(q, FakeTensor):
            if len(_kept) >= KEPT:
                _kept.pop(next(iter(_kept)))  # the oldest
            _kept[place] = mask
    if isinstance(q, FakeTensor):  # shapes without numbers: no kernel can be compiled for them
        return softmax_attention(q, k, v)
    scale, value_dim = q.shape[-1] ** -0.5, v.shape[-1]
    q, k, v = (F.pad(x, (0, max(0, LEAST_WIDTH - x.shape[-1]))) for x in (q, k, v))
    kernel = _compiled() if q.device.type == "cuda" else flex_attention
    return kernel(q, k, v, block_mask=mask, scale=scale)[..., :value_dim]


def block_mask(
    sees: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    batch: int,
    queries: int,
    keys: int,
    device: torch.device,
) -> BlockMask:
    """The block mask of `sees(batch, head, query, key)`, a row of blocks at a time.

    Memory while it is made: batch x 128 x keys booleans.
    """
    columns = -(-keys // BLOCK)
    b = torch.arange(batch, device=device)[:, None, None]
    j = torch.arange(keys, device=device)
    some, every = [], []
    for start in range(0, queries, BLOCK):
        i = torch.arange(start, min(start + BLOCK, queries), device=device)[:, None]
        seen = sees(b, torch.zeros_like(b), i, j).expand(batch, len(i), keys)
        # What lies outside the sequence is not seen: a block that sticks out is never full.
        seen = F.pad(seen, (0, columns * BLOCK - keys, 0, BLOCK - len(i)))
        blocks = seen.unflatten(-1, (columns, BLOCK))
        some.append(blocks.any(-1).any(1))  # (batch, columns)
        every.append(blocks.all(-1).all(1))
    full = torch.stack(every, 1)[:, None]  # (batch, 1, rows, columns)
    partial = torch.stack(some, 1)[:, None] & ~full
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
