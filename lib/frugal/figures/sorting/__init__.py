"""Scores that become a soft permutation, step by step. Chapter: sorting."""

from frugal.figures.sorting.sinkhorn_balance import SinkhornBalance

__all__ = ["SinkhornBalance"]
