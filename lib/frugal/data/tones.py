"""Short chirps in noise, told apart by where their pitch goes.

Four kinds: the pitch rises, falls, rises and falls again, or falls and rises again, always between
the same two frequencies. They spend the same time at the same pitches, so it is the *order* in time
that tells them apart, and frames longer than the chirp lose it: the energies of a sound's
frequencies do not change when it is played backwards.
Chapter: pictures-and-sound.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.source import GENERATED, Source

SOURCE = Source(
    name="chirps",
    loader="frugal.data.tones.draw",
    content="half a second of noise with a short chirp of one of four kinds",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)

KINDS = ("rising", "falling", "peak", "dip")
"""Where the pitch goes, in the order of the labels."""

SAMPLE_RATE = 16_000
"""Samples a second."""

LOWEST, HIGHEST = 300.0, 4000.0
"""Hertz that a chirp stays between."""


class SoundBatch(NamedTuple):
    """Waveforms, about -1 to 1, and the number of the kind of each."""

    waveforms: Float32[Tensor, "batch samples"]
    labels: Int64[Tensor, " batch"]


def draw(
    batch_size: int,
    *,
    samples: int = 8000,
    chirp_samples: int = 1600,
    noise: float | int = 0.1,
    seed: Seed = 0,
    device: torch.device | str | None = None,
) -> SoundBatch:
    """Sounds of `samples` samples with one chirp of `chirp_samples` each, at `SAMPLE_RATE`.

    Random are the kind, when the chirp begins, its lower frequency, the ratio of its two
    frequencies (1.5 to 3), its loudness (0.3 to 1) and its phase. noise: standard deviation of the
    white noise that is added.

    Raises ValueError: batch_size or chirp_samples is below 1, samples is below chirp_samples, or
    noise is negative.
    """
    at_least(1, batch_size=batch_size, chirp_samples=chirp_samples)
    at_least(chirp_samples, samples=samples)
    if not noise >= 0:
        raise ValueError(f"noise is {noise}; it must be 0 or more.")
    generator = generator_of(seed)
    options = {"generator": generator, "device": generator.device}
    labels = torch.randint(len(KINDS), (batch_size,), **options)
    starts = torch.randint(samples - chirp_samples + 1, (batch_size,), **options)
    ratio, base, loudness, phase = torch.rand(4, batch_size, 1, **options)
    ratio = 1.5 + 1.5 * ratio
    low = LOWEST * (HIGHEST / ratio / LOWEST) ** base  # evenly over the octaves
    high = low * ratio
    sound = chirp(labels, low[:, 0], high[:, 0], samples=chirp_samples, phase=phase[:, 0])
    waveforms = noise * torch.randn(batch_size, samples, **options)
    places = starts[:, None] + torch.arange(chirp_samples, device=generator.device)
    waveforms.scatter_add_(1, places, (0.3 + 0.7 * loudness) * sound)
    return SoundBatch(waveforms.to(device), labels.to(device))


def chirp(
    kinds: Int64[Tensor, " batch"],
    low: Float[Tensor, " batch"],
    high: Float[Tensor, " batch"],
    *,
    samples: int,
    phase: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """Chirps between `low` and `high` hertz: (batch, samples), faded in and out.

    kinds: numbers of `KINDS`. phase: where in its period each begins, 0 to 1. The pitch moves
    evenly over the octaves. Raises ValueError for a number that is no kind.
    """
    at_least(1, samples=samples)
    if kinds.numel() and not 0 <= int(kinds.min()) <= int(kinds.max()) < len(KINDS):
        raise ValueError(f"kinds has {kinds.tolist()}; they must lie in 0..{len(KINDS) - 1}.")
    time = (torch.arange(samples, device=low.device, dtype=low.dtype) + 0.5) / samples
    there_and_back = 1 - (2 * time - 1).abs()
    paths = torch.stack([time, 1 - time, there_and_back, 1 - there_and_back])  # (kinds, samples)
    pitch = low[:, None] * (high / low)[:, None] ** paths[kinds]  # hertz
    turns = pitch.cumsum(1) / SAMPLE_RATE
    if phase is not None:
        turns = turns + phase[:, None]
    fade = (math.pi * time).sin().clamp(max=0.5) * 2  # half of it at full loudness and more
    return fade * (2 * math.pi * turns).sin()
