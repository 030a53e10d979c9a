"""Small real data and generators, all offline: nothing here is ever downloaded.

Text, dates and pictures come from packages that are installed anyway; the rest is generated.
Whatever is random takes a seed or a `torch.Generator` and leaves torch's global state alone.
Functions named `batches` give what `frugal.training.train` takes, a callable
`(step, generator) -> batch`; a generator's `draw` becomes one with
`lambda step, generator: recall.draw(64, n_pairs=6, length=64, seed=generator)`.
Chapters: every one that trains.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from frugal.data.sequences import IGNORE, SequenceBatch, accuracy
from frugal.data.source import MissingSource, Source
from frugal.data.vocabulary import CharacterVocabulary, WordVocabulary

__all__ = [
    "IGNORE",
    "CharacterVocabulary",
    "MissingSource",
    "SequenceBatch",
    "Source",
    "WordVocabulary",
    "accuracy",
    "sources",
]


def __getattr__(name: str) -> Any:
    """A page that asks for one data set reads that one alone: `sources` reads them all."""
    if name == "sources":
        return import_module("frugal.data.cards").sources
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
