"""What a Transformer costs as its sizes move. Chapter: where-the-cost-is."""

from frugal.figures.where_the_cost_is.cost_explorer import CostExplorer

__all__ = ["CostExplorer"]
