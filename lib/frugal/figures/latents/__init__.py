"""What a Perceiver saves, over its inputs and its latents. Chapter: latents."""

from frugal.figures.latents.latent_cost import LatentCost

__all__ = ["LatentCost"]
