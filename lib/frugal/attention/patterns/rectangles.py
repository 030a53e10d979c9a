"""Patterns cut into rectangles of queries and keys, for `attend_in_pieces`.

Chapter: fixed-patterns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.attention.patterns.masks import window_rule
from frugal.attention.pieces import CUTS, Cut, Piece

BLOCK = 64
"""Queries in a block. Each reads block + 2·window keys, of which it needs 2·window + 1: a small
block wastes little, a large one has fewer and better matrix products."""


def band_pieces(
    k: Float[Tensor, "sequences keys width"],
    v: Float[Tensor, "sequences keys width"],
    queries: int,
    *,
    window: int,
    causal: bool,
) -> list[Piece]:
    """Pieces in which query i sees |i - j| <= window (0 <= i - j <= window if causal).

    The last query is at the place of the last key. In the middle of the sequence every block of
    queries sees an equally long run of keys, and consecutive runs overlap: one view of k holds them
    all. What is too close to either end for a whole run is a piece of its own.
    """
    keys = k.shape[1]
    offset, ahead = keys - queries, 0 if causal else window
    first = -(-max(0, window - offset) // BLOCK)  # the first block with a whole run behind it
    last = (queries - ahead) // BLOCK  # the first block without a whole run ahead of it
    if first >= last:
        return [_rectangle(k, v, 0, queries, offset, window, causal)]

    begin, end, run = first * BLOCK, last * BLOCK, window + BLOCK + ahead
    reach = slice(begin + offset - window, end + offset + ahead)
    middle = Piece(
        rows=lambda x: x[:, begin:end].unflatten(1, (last - first, BLOCK)),
        k=k[:, reach].unfold(1, run, BLOCK).mT,  # (sequences, blocks, run, width), no copy
        v=v[:, reach].unfold(1, run, BLOCK).mT,
        mask=_band(BLOCK, run, window, window, causal, k.device),
    )
    pieces = [middle]
    if begin > 0:
        pieces.append(_rectangle(k, v, 0, begin, offset, window, causal))
    if end < queries:
        pieces.append(_rectangle(k, v, end, queries, offset, window, causal))
    return pieces


def strided_pieces(
    k: Float[Tensor, "sequences keys width"],
    v: Float[Tensor, "sequences keys width"],
    *,
    stride: int,
) -> list[Piece]:
    """Pieces in which query i sees the `stride` keys up to i, and i - stride, i - 2·stride, ...

    The length is a multiple of the stride. Positions that are equal modulo the stride attend among
    themselves; the query of one block of `stride` stands beside the key of the block before, so
    that a causal square lets it see that key and the earlier ones.
    """
    blocks = k.shape[1] // stride

    def columns(x: Tensor) -> Tensor:  # (sequences, stride, blocks - 1, ...)
        return x.unflatten(1, (blocks - 1, stride)).transpose(1, 2)

    near = band_pieces(k, v, k.shape[1], window=stride - 1, causal=True)
    if blocks == 1:
        return near
    far = Piece(
        rows=lambda x: columns(x[:, stride:]),
        k=columns(k[:, :-stride]),
        v=columns(v[:, :-stride]),
        causal=True,
        joins=True,
    )
    return [*near, far]


def fixed_pieces(
    k: Float[Tensor, "sequences keys width"],
    v: Float[Tensor, "sequences keys width"],
    *,
    stride: int,
    summary: int,
) -> list[Piece]:
    """Pieces in which query i sees its own block up to i, and the last keys of earlier blocks.

    The length is a multiple of the stride. Groups of blocks read the summaries before their last
    block, behind a mask that hides what comes after each of them; eight groups compute a sixteenth
    too much.
    """
    blocks = k.shape[1] // stride

    def split(x: Tensor) -> Tensor:  # (sequences, blocks, stride, ...)
        return x.unflatten(1, (blocks, stride))

    found = [Piece(rows=split, k=split(k), v=split(v), causal=True)]
    k_summary, v_summary = (split(x)[:, :, -summary:].flatten(1, 2)[:, None] for x in (k, v))
    group = max(1, -(-(blocks - 1) // 8))
    for begin in range(1, blocks, group):
        end = min(begin + group, blocks)
        query_block = torch.arange(begin, end, device=k.device).repeat_interleave(stride)
        key_block = torch.arange(end - 1, device=k.device).repeat_interleave(summary)
        piece = Piece(
            rows=lambda x, b=begin, e=end: x[:, None, b * stride : e * stride],
            k=k_summary[:, :, : len(key_block)],
            v=v_summary[:, :, : len(key_block)],
            mask=None if end - begin == 1 else key_block < query_block[:, None],
            joins=True,
        )
        found.append(piece)
    return found


def band_and_some_pieces(
    k: Float[Tensor, "sequences all width"],
    v: Float[Tensor, "sequences all width"],
    queries: int,
    *,
    window: int,
    causal: bool,
    places: Sequence[int],
) -> list[Piece]:
    """`band_pieces`, and a copy of the keys at `places` for every query, or every later one.

    The copies stand behind the other keys.
    """
    keys = k.shape[1] - len(places)
    before = None
    if causal:
        now = torch.arange(keys - queries, keys, device=k.device)[:, None]
        before = torch.tensor(places, device=k.device) <= now
    few = Piece(lambda x: x[:, None], k[:, None, keys:], v[:, None, keys:], before, joins=True)
    return [*band_pieces(k[:, :keys], v[:, :keys], queries, window=window, causal=causal), few]


def cut_into(name: str, *numbers: int) -> Cut:
    """The pieces above as a cut: "window" (window, causal), "window, some" (window, causal and all
    places), "strided" (stride), or "fixed" (stride, summary)."""
    return Cut(name, numbers)


def _rectangle(
    k: Tensor, v: Tensor, begin: int, end: int, offset: int, window: int, causal: bool
) -> Piece:
    """The queries begin … end - 1 and every key that one of them sees."""
    ahead = 0 if causal else window
    low, high = max(0, begin + offset - window), min(k.shape[1], end + offset + ahead)
    return Piece(
        rows=lambda x: x[:, None, begin:end],
        k=k[:, None, low:high],
        v=v[:, None, low:high],
        mask=_band(end - begin, high - low, begin + offset - low, window, causal, k.device),
    )


def _band(
    queries: int, keys: int, start: int, window: int, causal: bool, device: torch.device
) -> Bool[Tensor, "{queries} {keys}"]:
    """The band's mask in a rectangle whose first query is at the place of key `start`."""
    i = torch.arange(start, start + queries, device=device)[:, None]
    j = torch.arange(keys, device=device)
    seen = window_rule(window=window)(i, j)
    return seen & (j <= i) if causal else seen


CUTS["window"] = lambda k, v, queries, window, causal: band_pieces(
    k, v, queries, window=window, causal=bool(causal)
)
CUTS["window, some"] = lambda k, v, queries, window, causal, *places: band_and_some_pieces(
    k, v, queries, window=window, causal=bool(causal), places=places
)
CUTS["strided"] = lambda k, v, _, stride: strided_pieces(k, v, stride=stride)
CUTS["fixed"] = lambda k, v, _, stride, summary: fixed_pieces(k, v, stride=stride, summary=summary)
