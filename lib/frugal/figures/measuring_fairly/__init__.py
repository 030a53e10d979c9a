"""How often a change of no effect looks good, and what so many seeds can tell.

Chapter: measuring-fairly.
"""

from frugal.figures.measuring_fairly.forking_paths import ForkingPaths
from frugal.figures.measuring_fairly.interval_explorer import IntervalExplorer

__all__ = ["ForkingPaths", "IntervalExplorer"]
