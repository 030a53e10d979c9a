"""Which keys a memory of product keys reads. Chapter: a-memory-of-keys."""

from frugal.figures.a_memory_of_keys.key_reader import KeyReader

__all__ = ["KeyReader"]
