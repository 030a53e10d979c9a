"""Blocks of layers to set, every layer a bar as wide as its tokens. Chapter: pooling-tokens."""

from frugal.figures.pooling_tokens.funnel_shape import FunnelShape

__all__ = ["FunnelShape"]
