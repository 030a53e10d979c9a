"""One story under every attention, and what each method costs. Chapter: side-by-side."""

from frugal.figures.side_by_side.cost_quality import CostQuality, Dot
from frugal.figures.side_by_side.running_example import RunningExample, read_story, running_example

__all__ = ["CostQuality", "Dot", "RunningExample", "read_story", "running_example"]
