"""Cabinets that turn, what a model would grasp, and where its latents look. Chapter: acting."""

from frugal.figures.acting.voxel_cabinet import VoxelCabinet

__all__ = ["VoxelCabinet"]
