"""What a computation costs: seconds, peak bytes, FLOPs; alone, or side by side over length.

Chapter: where-the-cost-is, and the section Speed of every other.

The names below are imported on first use, so a page stands on the files alone that it uses.
"""

from __future__ import annotations

from frugal.lazily import on_first_use

_HOME = {
    "Cost": "cost",
    "GpuAnswers": "gpu_answers",
    "GpuSpeed": "gpu",
    "compare": "comparison",
    "count_flops": "flops",
    "describe": "drawing",
    "draw": "drawing",
    "fit_exponent": "comparison",
    "forward_backward": "cost",
    "measure": "cost",
    "peak_bytes": "memory",
}
"""Where each name lives. `__init__.pyi` says the same to type checkers."""

__all__ = sorted(_HOME)

__getattr__, __dir__ = on_first_use(__name__, _HOME)
