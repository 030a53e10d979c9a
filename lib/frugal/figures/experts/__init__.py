"""Tokens on their way to experts, with and without a loss of balance. Chapter: experts."""

from frugal.figures.experts.router_view import RouterRun, RouterView

__all__ = ["RouterRun", "RouterView"]
