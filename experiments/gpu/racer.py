"""One thing to time, and the sizes that all have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

HEADS, HEAD_DIM = 16, 64
WIDTH = HEADS * HEAD_DIM
TOKENS = 65536
"""In all, at every length: a batch of one at the longest."""
LAYER = "softmax layer"
PATCH = 16
"""Pixels on a side of a patch of a picture."""

Given = Literal["heads", "vectors", "pictures", "ids"]


def sides(n: int) -> tuple[int, int]:
    """Patches along the height and the width of a picture of n, a power of two."""
    height = 2 ** ((n.bit_length() - 1) // 2)
    return height, n // height


@dataclass(frozen=True)
class Racer:
    """One thing to time.

    make: the callable, for a length. given: what it is called with: q, k, v (batch, heads, length,
    head_dim); vectors (batch, length, width); pictures of so many patches, (batch, 3, height,
    width); or token ids (batch, length). against: the racer that its time is divided by. flops:
    forward, for N tokens; of heads a head's, in units of head_dim, otherwise a token's; 0 where
    they are not counted. longest: the longest that is timed, where the definition needs N² numbers
    or the time is better spent. trains: whether it is timed with its backward pass too. compiles:
    whether a kernel is made at run time for each length; it is timed at a few of them.
    """

    make: Callable[[int], Callable[..., Any]]
    against: str | None
    flops: Callable[[int], float]
    options: tuple[tuple[str, Any], ...] = ()
    given: Given = "heads"
    longest: int | None = None
    trains: bool = True
    compiles: bool = False
