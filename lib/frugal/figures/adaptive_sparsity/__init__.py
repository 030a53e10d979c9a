"""Scores that a reader drags, and the weights of entmax. Chapter: adaptive-sparsity."""

from frugal.figures.adaptive_sparsity.entmax_explorer import EntmaxExplorer

__all__ = ["EntmaxExplorer"]
