"""What `frugal.measure` gives, for type checkers; `__init__.py` finds the same names."""

from frugal.measure.comparison import compare as compare
from frugal.measure.comparison import fit_exponent as fit_exponent
from frugal.measure.cost import Cost as Cost
from frugal.measure.cost import forward_backward as forward_backward
from frugal.measure.cost import measure as measure
from frugal.measure.drawing import describe as describe
from frugal.measure.drawing import draw as draw
from frugal.measure.flops import count_flops as count_flops
from frugal.measure.gpu import GpuSpeed as GpuSpeed
from frugal.measure.gpu_answers import GpuAnswers as GpuAnswers
from frugal.measure.memory import peak_bytes as peak_bytes
