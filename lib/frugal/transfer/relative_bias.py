"""A learned number for each head and distance, added to the scores of attention.

Near distances have a number each; far ones share one with others as far away in logarithm.
Source: raffel2020t5, section 2.1. Chapter: the-modification-zoo.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugal.checks import at_least

N_BUCKETS, FARTHEST = 32, 128


def buckets(
    distance: Int[Tensor, "..."],
    *,
    bidirectional: bool,
    n_buckets: int = N_BUCKETS,
    farthest: int = FARTHEST,
) -> Int[Tensor, "..."]:
    """Which number a distance (key's place minus query's) has: 0 ... n_buckets - 1.

    bidirectional: half of the buckets for keys that come later; else later keys count as distance
    0. Half of a direction's buckets are for single distances, the others widen up to `farthest`.
    """
    first = torch.zeros_like(distance)
    if bidirectional:
        n_buckets //= 2
        first = (distance > 0).long() * n_buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    single = n_buckets // 2
    share = (distance.clamp(min=1).float() / single).log() / math.log(farthest / single)
    wide = (single + share * (n_buckets - single)).long().clamp(max=n_buckets - 1)
    return first + torch.where(distance < single, distance, wide)


class RelativeBias(nn.Module):
    """forward(length) -> (1, n_heads, length, length), query by key, to be added to the scores."""

    def __init__(self, n_heads: int, *, bidirectional: bool) -> None:
        super().__init__()
        at_least(1, n_heads=n_heads)
        self.bidirectional = bidirectional
        self.table = nn.Parameter(torch.zeros(N_BUCKETS, n_heads))

    def forward(self, length: int) -> Float[Tensor, "1 n_heads length length"]:
        place = torch.arange(length, device=self.table.device)
        distance = place - place[:, None]  # (query, key)
        found = F.embedding(buckets(distance, bidirectional=self.bidirectional), self.table)
        return found.permute(2, 0, 1)[None]
