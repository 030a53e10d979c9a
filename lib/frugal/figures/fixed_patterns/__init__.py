"""Attention patterns to choose and join, and what a query sees. Chapter: fixed-patterns."""

from frugal.figures.fixed_patterns.pattern_playground import PatternPlayground

__all__ = ["PatternPlayground"]
