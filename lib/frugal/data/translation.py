"""Batches of sources and targets: what every translation task of the book feeds a model.

Chapters: the-vanilla-transformer, decoding-in-parallel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from frugal.data.vocabulary import CharacterVocabulary


@runtime_checkable
class TranslationPair(Protocol):
    """One example: `source` is to be turned into `target`."""

    @property
    def source(self) -> str: ...

    @property
    def target(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class TranslationBatch:
    """Padded ids of a batch of pairs; masks are True at real tokens.

    `target_in` starts with `bos`, `target_out` ends with `eos`: what a decoder reads and
    what it is to predict at the same position.
    """

    source: Int64[Tensor, "batch source_length"]
    source_padding: Bool[Tensor, "batch source_length"]
    target_in: Int64[Tensor, "batch target_length"]
    target_out: Int64[Tensor, "batch target_length"]
    target_padding: Bool[Tensor, "batch target_length"]


def encode(
    examples: Sequence[TranslationPair],
    vocabulary: CharacterVocabulary,
    *,
    device: torch.device | str | None = None,
) -> TranslationBatch:
    """All `examples` as one padded batch."""
    source, source_padding = vocabulary.encode([e.source for e in examples], device=device)
    targets = [e.target for e in examples]
    target_in, target_padding = vocabulary.encode(targets, bos=True, device=device)
    target_out, _ = vocabulary.encode(targets, eos=True, device=device)
    return TranslationBatch(source, source_padding, target_in, target_out, target_padding)


def batches(
    examples: Sequence[TranslationPair], vocabulary: CharacterVocabulary, batch_size: int
) -> Callable[[int, torch.Generator], TranslationBatch]:
    """Random batches of `examples`, as `frugal.training.train` takes them."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 or more.")
    everything = encode(examples, vocabulary)
    source_lengths = everything.source_padding.sum(dim=1)
    target_lengths = everything.target_padding.sum(dim=1)

    def batch(step: int, generator: torch.Generator) -> TranslationBatch:
        rows = torch.randint(len(examples), (batch_size,), generator=generator)
        s, t = source_lengths[rows].max(), target_lengths[rows].max()
        return TranslationBatch(
            everything.source[rows, :s],
            everything.source_padding[rows, :s],
            everything.target_in[rows, :t],
            everything.target_out[rows, :t],
            everything.target_padding[rows, :t],
        )

    return batch
