"""Attention among tokens that a hash brings near one another.

Source: kitaev2020reformer. Chapter: hashing.
"""

from frugal.attention.lsh.attention import LshAttention, lsh_attention, lsh_visible
from frugal.attention.lsh.hash import hash_buckets, random_rotations

__all__ = ["LshAttention", "hash_buckets", "lsh_attention", "lsh_visible", "random_rotations"]
