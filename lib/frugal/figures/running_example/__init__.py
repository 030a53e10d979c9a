"""One story and one trained model under every attention.

Chapters: fixed-patterns, adaptive-spans, hashing, sorting, low-rank, kernels, no-attention,
side-by-side, adaptive-sparsity.
"""

from frugal.figures.running_example.running_example import (
    RunningExample,
    read_story,
    running_example,
)

__all__ = ["RunningExample", "read_story", "running_example"]
