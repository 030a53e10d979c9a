"""Global tokens, which see every position and are seen by every position, beside another pattern.

Source: beltagy2020longformer, section 3.1. Chapter: fixed-patterns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.attention.patterns.rectangles import cut_into
from frugal.attention.pieces import Cut, Piece, attend_by_heads
from frugal.attention.softmax import softmax_attention


def attend_with_constant_tokens(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    places: Sequence[int],
    *,
    window: int,
    causal: bool = False,
    padding: Bool[Tensor, "batch keys"] | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """A window whose global tokens stand at the same `places` in every sequence, where it has them.

    As `attend_with_global_tokens`, but nothing has to be read from the data, so that a compiled
    graph has no break here.
    """
    queries, keys = q.shape[2], k.shape[2]
    places = sorted({place for place in places if place < keys})
    if not places:
        return attend_by_heads(q, k, v, cut_into("window", window, causal), seen=padding)
    index = torch.tensor(places, device=q.device)
    real = k.new_ones(k.shape[0], keys, dtype=torch.bool) if padding is None else padding
    seen = torch.cat([real.index_fill(1, index, False), real.index_select(1, index)], dim=1)
    k_all, v_all = (torch.cat([x, x.index_select(2, index)], dim=2) for x in (k, v))
    cut = cut_into("window, some", window, causal, *places)
    out = attend_by_heads(q, k_all, v_all, cut, seen=seen)

    first = keys - queries  # the place of the first query
    asking = [place for place in places if place >= first]
    if not asking:
        return out
    index = torch.tensor(asking, device=q.device)
    mask = real[:, None, None, :]
    if causal:
        mask = mask & (torch.arange(keys, device=q.device) <= index[:, None])
    wide = softmax_attention(q.index_select(2, index - first), k, v, mask=mask)
    return out.index_copy(2, index - first, wide.to(out.dtype))


@torch.compiler.disable  # how many there are is in the data, and the pieces are not compiled
def attend_with_global_tokens(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    cut: Cut,
    global_tokens: Bool[Tensor, "batch keys"],
    *,
    causal: bool = False,
    padding: Bool[Tensor, "batch keys"] | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """The pieces of `cut` without the global keys, joined with these; then the global queries.

    For tensors on the CPU. The pieces must be causal themselves if `causal`. Cost beside that of
    the pieces: 8·g·N·head_dim FLOPs forward for g global tokens.
    """
    heads, queries, keys = *q.shape[1:3], k.shape[2]
    real = torch.ones_like(global_tokens) if padding is None else padding
    counts = global_tokens.sum(-1, keepdim=True)
    most = int(counts.max()) if len(counts) else 0
    if most == 0:
        return attend_by_heads(q, k, v, cut, seen=padding)
    places = global_tokens.int().argsort(dim=-1, descending=True, stable=True)[
        :, :most
    ]  # (batch, most)
    is_global = torch.arange(most) < counts  # a row with fewer tokens is filled up with others
    index = places[:, None, :, None]
    now = torch.arange(keys - queries, keys)[:, None]  # where each query is

    # The global keys go after the others, so that one channel hides what each piece must not see.
    def cut_both(k: Tensor, v: Tensor) -> list[Piece]:
        before = (places[:, None, None] <= now).repeat_interleave(heads, 0) if causal else None
        few = Piece(
            rows=lambda x: x[:, None],
            k=k[:, None, keys:],
            v=v[:, None, keys:],
            mask=before,
            joins=True,
        )
        return [*cut(k[:, :keys], v[:, :keys], queries), few]

    k_all, v_all = (
        torch.cat([x, x.gather(2, index.expand(-1, heads, -1, x.shape[-1]))], dim=2) for x in (k, v)
    )
    seen = torch.cat([real & ~global_tokens, is_global & real.gather(1, places)], dim=1)
    out = attend_by_heads(q, k_all, v_all, cut_both, seen=seen)

    row, column = (is_global & (places >= keys - queries)).nonzero(as_tuple=True)
    if len(row) == 0:
        return out
    local = places - (keys - queries)
    asking = q.gather(2, local.clamp(min=0)[:, None, :, None].expand(-1, heads, -1, q.shape[-1]))
    mask = real[:, None, None, :]
    if causal:
        mask = mask & (torch.arange(keys) <= index)
    wide = softmax_attention(asking, k, v, mask=mask).transpose(1, 2)  # (batch, most, heads, dim)
    there = row, local[row, column]
    return out.transpose(1, 2).index_put(there, wide[row, column].to(out.dtype)).transpose(1, 2)
