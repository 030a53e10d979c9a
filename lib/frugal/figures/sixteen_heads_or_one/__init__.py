"""Heads of a trained model that the reader switches off. Chapter: sixteen-heads-or-one."""

from frugal.figures.sixteen_heads_or_one.head_switches import HeadSwitches

__all__ = ["HeadSwitches"]
