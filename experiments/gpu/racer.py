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

Given = Literal["heads", "vectors", "ids"]


@dataclass(frozen=True)
class Racer:
    """One thing to time.

    make: the callable, for a length. given: what it is called with: q, k, v (batch, heads, length,
    head_dim); vectors (batch, length, width); or token ids (batch, length). against: the racer that
    its time is divided by. flops: forward, for N tokens; of heads a head's, in units of head_dim,
    otherwise a token's. longest: the longest that is timed, where the definition needs N² numbers
    or the time is better spent. trains: whether it is timed with its backward pass too.
    """

    make: Callable[[int], Callable[..., Any]]
    against: str | None
    flops: Callable[[int], float]
    options: tuple[tuple[str, Any], ...] = ()
    given: Given = "heads"
    longest: int | None = None
    trains: bool = True
