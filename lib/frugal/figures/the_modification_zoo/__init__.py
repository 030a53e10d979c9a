"""The table of 51 modifications, the paper's beside ours. Chapter: the-modification-zoo."""

from frugal.figures.the_modification_zoo.zoo_table import ZooRow, ZooTable, zoo_rows

__all__ = ["ZooRow", "ZooTable", "zoo_rows"]
