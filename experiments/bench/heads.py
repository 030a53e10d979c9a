"""A layer with half of its heads pruned against the whole layer, forward, by batch size.

Width 512, 8 heads of 64, 128 tokens; the same weights, rows and columns taken out.
"""

from __future__ import annotations

from copy import deepcopy

import torch

from experiments.bench import Case, call
from frugal.attention.heads import prune_heads
from frugal.attention.softmax import MultiHeadAttention

WIDTH, HEADS, LENGTH = 512, 8, 128


def cases(smoke: bool) -> list[Case]:
    """Batches of 1 to 64."""
    width, length = (32, 16) if smoke else (WIDTH, LENGTH)
    whole = MultiHeadAttention(width, HEADS).eval()
    pruned = deepcopy(whole)
    prune_heads(pruned, range(0, HEADS, 2))
    found = []
    for batch in (1, 2) if smoke else (1, 4, 16, 64):
        x = torch.randn(batch, length, width)
        base = f"batch {batch}, {HEADS} heads"
        found.append(Case(base, call(whole, x)))
        bar = 0.70 if batch == 64 else None
        found.append(Case(f"batch {batch}, {HEADS // 2} heads", call(pruned, x), base, bar))
    return found
