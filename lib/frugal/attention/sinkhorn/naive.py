"""The definition, one query after the other: what `SinkhornAttention` is held against.

Source: tay2020sinkhorn. Chapter: sorting.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def sinkhorn_attention(
    q: Float[Tensor, "batch heads length head_dim"],
    k: Float[Tensor, "batch heads length head_dim"],
    v: Float[Tensor, "batch heads length value_dim"],
    order: Float[Tensor, "batch heads blocks blocks"],
    real: Bool[Tensor, "batch length"],
    *,
    block_size: int,
    sort_cut: int | None = None,
    causal: bool = False,
) -> Float[Tensor, "batch heads length value_dim"]:
    """Softmax over the keys of a query's own block, and of the mixture that `order` makes for it.

    order: Π, what share of each block goes into each mixture. sort_cut: all queries read the first
    mixtures, and no block of their own.
    """
    batch, heads, length, head_dim = q.shape
    out = torch.zeros_like(v)
    for b, h, i in torch.cartesian_prod(*map(torch.arange, (batch, heads, length))).tolist():
        block = i // block_size
        keys, values = [], []
        for row in [block] if sort_cut is None else range(sort_cut):
            for place in range(block_size):
                shares = mixture(order[b, h, row], real[b], place, block_size)
                total = sum(shares.values(), torch.tensor(0.0)) / order[b, h, row].sum()
                if total > 1e-6:
                    keys.append(sum(share * k[b, h, j] for j, share in shares.items()) / total)
                    values.append(sum(share * v[b, h, j] for j, share in shares.items()) / total)
        own = range(block * block_size, min(length, (block + 1) * block_size))
        for j in own if sort_cut is None else ():
            if real[b, j] and not (causal and j > i):
                keys.append(k[b, h, j])
                values.append(v[b, h, j])
        if keys:
            scores = torch.stack(keys) @ q[b, h, i] / math.sqrt(head_dim)
            out[b, h, i] = scores.softmax(0) @ torch.stack(values)
    return out


def mixture(
    row: Float[Tensor, " blocks"], real: Bool[Tensor, " length"], place: int, block_size: int
) -> dict[int, Tensor]:
    """The share of every real token that stands at `place` of its block, by its position."""
    tokens = {block * block_size + place: share for block, share in enumerate(row)}
    return {j: share for j, share in tokens.items() if j < len(real) and real[j]}
