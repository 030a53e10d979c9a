"""The cards of all data sets of the book: where each comes from, and under which licence.

Chapters: every one that trains.
"""

from __future__ import annotations

import dataclasses

import pandas as pd

from frugal.data import (
    cabinets,
    copying,
    dates,
    digits,
    hops,
    journeys,
    listops,
    lost_in_the_middle,
    nested_lists,
    numbers,
    recall,
    retrieval,
    text,
    tones,
)


def sources() -> pd.DataFrame:
    """The card of every data set of the book, one a row: licence, origin, split, ..."""
    modules = (
        *(text, dates, numbers, digits),
        *(copying, recall, retrieval, listops),
        lost_in_the_middle,
        *(cabinets, tones, journeys, hops, nested_lists),
    )
    cards = pd.DataFrame([dataclasses.asdict(module.SOURCE) for module in modules])
    return cards.drop(columns="module").set_index("name")
