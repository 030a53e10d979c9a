"""Attention among blocks that a learned sorting brings together.

Source: tay2020sinkhorn. Chapter: sorting.
"""

from frugal.attention.sinkhorn.attention import BlockScores, SinkhornAttention, fetch
from frugal.attention.sinkhorn.balance import causal_sinkhorn, gumbel_noise, sinkhorn

__all__ = [
    "BlockScores",
    "SinkhornAttention",
    "causal_sinkhorn",
    "fetch",
    "gumbel_noise",
    "sinkhorn",
]
