"""Small real data and generators, all offline: nothing here is ever downloaded.

Text, dates and pictures come from packages that are installed anyway; the rest is generated.
Whatever is random takes a seed or a ``torch.Generator`` and leaves torch's global state alone.
Functions named ``batches`` give what :func:`frugal.training.train` takes, a callable
``(step, generator) -> batch``; a generator's ``draw`` becomes one with
``lambda step, generator: recall.draw(64, n_pairs=6, length=64, seed=generator)``.
"""

from __future__ import annotations

import dataclasses

import pandas as pd

from frugal.data import (
    cabinets,
    copying,
    dates,
    digits,
    journeys,
    listops,
    lost_in_the_middle,
    numbers,
    recall,
    retrieval,
    text,
    tones,
)
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
    "cabinets",
    "copying",
    "dates",
    "digits",
    "journeys",
    "listops",
    "lost_in_the_middle",
    "numbers",
    "recall",
    "retrieval",
    "sources",
    "text",
    "tones",
]


def sources() -> pd.DataFrame:
    """The card of every data set of the book, one a row: licence, origin, split, ..."""
    modules = (
        *(text, dates, numbers, digits),
        *(copying, recall, retrieval, listops),
        lost_in_the_middle,
        *(cabinets, tones, journeys),
    )
    cards = pd.DataFrame([dataclasses.asdict(module.SOURCE) for module in modules])
    return cards.drop(columns="module").set_index("name")
