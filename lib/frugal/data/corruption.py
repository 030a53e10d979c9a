"""Span corruption: stretches of a text are taken out, and a model writes them (raffel2020t5).

Each stretch leaves a sentinel behind, another one for each. The target names every sentinel and
then says what stood there; after the last stretch comes the end.
Chapter: the-modification-zoo.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch

from frugal.checks import at_least


class Corrupted(NamedTuple):
    """source: with a sentinel for each stretch. target: the stretches, a sentinel before each."""

    source: list[int]
    target: list[int]


def corrupt(
    ids: Sequence[int],
    sentinels: Sequence[int],
    generator: torch.Generator,
    *,
    share: float = 0.15,
    mean_span: float = 3.0,
) -> Corrupted:
    """Take out `share` of the tokens in spans of `mean_span` tokens on average.

    ids: without an end. sentinels: ids that occur in no text, one for each span. The number of
    tokens and of spans is rounded, at least one; their lengths and places are drawn, and spans
    never touch. Raises ValueError for fewer than two ids, too few sentinels, or a share not
    between 0 and 1.
    """
    at_least(2, length=len(ids))
    if not 0 < share < 1 or not mean_span >= 1:
        raise ValueError(
            f"share is {share} and mean_span {mean_span}; share must lie between 0 and 1, and "
            "mean_span must be 1 or more."
        )
    hidden = min(max(1, round(share * len(ids))), len(ids) - 1)
    spans = min(max(1, round(hidden / mean_span)), hidden, len(ids) - hidden)
    if spans > len(sentinels):
        raise ValueError(f"sentinels has {len(sentinels)}; {spans} spans need one each.")
    gaps = _lengths(len(ids) - hidden, spans, generator)
    gone = _lengths(hidden, spans, generator)
    source: list[int] = []
    target: list[int] = []
    at = 0
    for gap, length, sentinel in zip(gaps, gone, sentinels, strict=False):
        source += [*ids[at : at + gap], sentinel]
        target += [sentinel, *ids[at + gap : at + gap + length]]
        at += gap + length
    return Corrupted(source, target)


def restore(source: Sequence[int], target: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """The text that was corrupted; a sentinel of which the target says nothing leaves nothing."""
    known, spans, now = set(sentinels), {}, None
    for token in target:
        if token in known:
            spans[token] = now = []
        elif now is not None:
            now.append(token)
    return [
        own for token in source for own in (spans.get(token, []) if token in known else [token])
    ]


def _lengths(whole: int, parts: int, generator: torch.Generator) -> list[int]:
    """`parts` numbers of at least 1 that sum to `whole`, every way to cut equally likely."""
    cuts = torch.randperm(whole - 1, generator=generator)[: parts - 1].sort().values + 1
    edges = [0, *cuts.tolist(), whole]
    return [after - before for before, after in itertools.pairwise(edges)]
