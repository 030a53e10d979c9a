"""Hand-written digits of 8 x 8 pixels, from scikit-learn.

Chapters: windows-in-two-dimensions, low-rank, pooling-tokens, pictures-and-sound, bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.source import Source, check_split

SOURCE = Source(
    name="digits",
    loader="frugal.data.digits.load",
    content="1,797 grey pictures of 8 x 8 pixels, ten classes",
    licence="CC-BY-4.0 (Alpaydin and Kaynak, UCI repository)",
    origin="scikit-learn, from PyPI; it carries the test part of the original",
    split="every class shuffled once with a fixed seed, then 70 / 15 / 15 %",
    if_missing="pip install scikit-learn, or pip install 'frugal-attention[data]' for all of them",
    module="sklearn.datasets",
)


class Digits(NamedTuple):
    """Grey values in 0..1, and the digit that each picture shows."""

    images: Float32[Tensor, "batch height width"]
    labels: Int64[Tensor, " batch"]


def load(split: str = "train", *, device: torch.device | str | None = None) -> Digits:
    """All pictures of a split: 1,252 to train on, 270 to validate and 275 to test.

    Raises ValueError: there is no such split. MissingSource: scikit-learn is not installed.
    """
    check_split(split)
    data = SOURCE.load().load_digits()
    images = torch.tensor(data.images, dtype=torch.float32) / 16
    labels = torch.tensor(data.target, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    kept = []
    for digit in range(10):
        rows = (labels == digit).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        first, second = int(0.7 * len(rows)), int(0.85 * len(rows))
        parts = {"train": rows[:first], "valid": rows[first:second], "test": rows[second:]}
        kept.append(parts[split])
    chosen = torch.cat(kept).sort().values
    return Digits(images[chosen].to(device), labels[chosen].to(device))


def batches(data: Digits, batch_size: int) -> Callable[[int, torch.Generator], Digits]:
    """Random batches of `data`, as `frugal.training.train` takes them."""
    at_least(1, batch_size=batch_size)

    def batch(step: int, generator: torch.Generator) -> Digits:
        rows = torch.randint(len(data.labels), (batch_size,), generator=generator)
        rows = rows.to(data.labels.device)
        return Digits(data.images[rows], data.labels[rows])

    return batch
