"""Randomness for the data sets: a seed or a generator, never torch's global state.

Chapters: every one that trains.
"""

from __future__ import annotations

import torch

Seed = int | torch.Generator


def generator_of(seed: Seed) -> torch.Generator:
    """The generator itself, or a new CPU generator with that seed."""
    if isinstance(seed, torch.Generator):
        return seed
    return torch.Generator().manual_seed(seed)
