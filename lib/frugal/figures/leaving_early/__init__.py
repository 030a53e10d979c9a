"""A text on its way up, and a promise as a dial. Chapter: leaving-early."""

from frugal.figures.leaving_early.exit_player import ExitPlayer
from frugal.figures.leaving_early.promise_dial import PromiseDial

__all__ = ["ExitPlayer", "PromiseDial"]
