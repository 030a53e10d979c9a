"""What each method costs and how often it is right. Chapter: side-by-side."""

from frugal.figures.side_by_side.cost_quality import CostQuality, Dot

__all__ = ["CostQuality", "Dot"]
