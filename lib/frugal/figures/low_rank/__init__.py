"""A matrix of attention, rebuilt from a few of its singular values. Chapter: low-rank."""

from frugal.figures.low_rank.rank_explorer import RankExplorer

__all__ = ["RankExplorer"]
