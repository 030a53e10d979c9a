"""What a computation costs: seconds, peak bytes, FLOPs; alone, or side by side over length.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from frugal.measure.comparison import compare, fit_exponent
from frugal.measure.cost import Cost, forward_backward, measure
from frugal.measure.dots import dots
from frugal.measure.drawing import describe, draw
from frugal.measure.flops import count_flops
from frugal.measure.gpu import GpuSpeed
from frugal.measure.gpu_answers import GpuAnswers
from frugal.measure.memory import peak_bytes

__all__ = [
    "Cost",
    "GpuAnswers",
    "GpuSpeed",
    "compare",
    "count_flops",
    "describe",
    "dots",
    "draw",
    "fit_exponent",
    "forward_backward",
    "measure",
    "peak_bytes",
]
