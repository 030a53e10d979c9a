"""Vectors on a circle to drag: buckets, sorted rounds, what is found. Chapter: hashing."""

from frugal.figures.hashing.hash_explorer import HashExplorer

__all__ = ["HashExplorer"]
