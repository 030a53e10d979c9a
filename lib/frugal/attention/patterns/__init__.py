"""Attention in fixed patterns: windows, strides, global tokens, and any rule as a block mask.

Sources: child2019sparse, beltagy2020longformer, zaheer2020bigbird. Chapter: fixed-patterns.
"""

from frugal.attention.patterns.attention import (
    PatternAttention,
    fixed_attention,
    sliding_window_attention,
    strided_attention,
)
from frugal.attention.patterns.masks import (
    RULES,
    pattern_mask,
    pattern_rule,
    receptive_field,
    window_from_sliding_window,
)

__all__ = [
    "RULES",
    "PatternAttention",
    "fixed_attention",
    "pattern_mask",
    "pattern_rule",
    "receptive_field",
    "sliding_window_attention",
    "strided_attention",
    "window_from_sliding_window",
]
