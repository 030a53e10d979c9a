"""The kernels that convolutions learn, as charts. Chapter: no-attention."""

from frugal.figures.no_attention.learned_kernels import (
    kernels_in_text,
    kernels_of,
    kernels_over_training,
)

__all__ = ["kernels_in_text", "kernels_of", "kernels_over_training"]
