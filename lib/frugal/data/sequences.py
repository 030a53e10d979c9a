"""Sequences with questions in them: what copying, recall and retrieval have in common.

Chapters: every one that trains.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

IGNORE = -100
"""The target where nothing is asked; `torch.nn.functional.cross_entropy` skips it by default."""


class SequenceBatch(NamedTuple):
    """Ids to read, and the id to predict at each position (`IGNORE` where nothing is asked)."""

    inputs: Int64[Tensor, "batch length"]
    targets: Int64[Tensor, "batch length"]


def accuracy(
    logits: Float[Tensor, "batch length symbols"],
    targets: Int64[Tensor, "batch length"],
    *,
    ignore: int = IGNORE,
) -> float:
    """The share of positions, `ignore` targets aside, whose largest logit is the target."""
    asked = targets != ignore
    if not asked.any():
        raise ValueError("targets asks nothing; it must ask for a position or more.")
    return (logits.argmax(dim=-1) == targets)[asked].double().mean().item()


def distinct(
    n: int, batch_size: int, count: int, generator: torch.Generator
) -> Int64[Tensor, "batch count"]:
    """For each row, `count` different numbers of 0..n-1 in random order."""
    scores = torch.rand(batch_size, n, generator=generator, device=generator.device)
    return scores.argsort(dim=1)[:, :count]
