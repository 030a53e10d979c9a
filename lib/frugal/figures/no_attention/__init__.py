"""The kernels that convolutions learn: over training, and in a text. Chapter: no-attention."""

from frugal.figures.no_attention.kernels_in_text import KernelsInText
from frugal.figures.no_attention.learned_kernels import kernels_of, kernels_over_training

__all__ = ["KernelsInText", "kernels_of", "kernels_over_training"]
