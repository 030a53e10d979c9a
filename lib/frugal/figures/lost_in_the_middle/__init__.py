"""The answer moves through a context, in published curves and ours. Chapter: lost-in-the-middle."""

from frugal.figures.lost_in_the_middle.lost_in_the_middle import LostInTheMiddle, TrainedCurves

__all__ = ["LostInTheMiddle", "TrainedCurves"]
