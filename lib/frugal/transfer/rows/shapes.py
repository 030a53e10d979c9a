"""Deeper and narrower, or shallower and wider, with as many parameters.

Layers times the width of the feed-forward network, and layers times heads, stay what they were.
"""

from __future__ import annotations

from frugal.transfer.modification import Change


def deeper(times: int, over: int = 1) -> Change:
    """times / over as many layers, each with over / times of the width and of the heads."""
    return lambda size: {
        "n_layers": size.n_layers * times // over,
        "d_ff": size.d_ff * over // times,
        "n_heads": size.n_heads * over // times,
    }
