"""Journeys: who went where, in a few sentences; where is Anna at the end?

`ben went to the attic . anna ran to the garden . anna did not go to the cellar .` has the answer
"garden". Every person moves and every place occurs, so that the words alone do not tell: what
counts is whose sentence a place stands in, whether it is negated, and which comes last. In the
manner of the first of the bAbI tasks (weston2015babi), with negation and one question for all.
Chapter: dropping-tokens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.source import GENERATED, Source
from frugal.data.vocabulary import WordVocabulary

SOURCE = Source(
    name="journeys",
    loader="frugal.data.journeys.draw",
    content="short stories of who went where; the place of one person at the end: eight classes",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)

HERO = "anna"
PEOPLE = (HERO, "ben", "carla", "david", "emma", "frank")
PLACES = ("kitchen", "garden", "office", "attic", "cellar", "library", "garage", "studio")
VERBS = ("went", "walked", "ran", "moved", "returned")
ADVERBS = ("then", "quietly", "later", "soon", "quickly")
NEGATED = 0.25
"""The chance that a sentence says where somebody did not go."""

START = "where?"
"""The first word of every text: the place that the class is read from."""

VOCABULARY = WordVocabulary(
    [START, *PEOPLE, *PLACES, *VERBS, *ADVERBS, "did", "not", "go", "to", "the", "."]
)


class Journey(NamedTuple):
    """Words separated by spaces, `START` first, and the number of the place in `PLACES`."""

    text: str
    place: int


class JourneyBatch(NamedTuple):
    """Padded ids, a mask that is True at real tokens, and the places."""

    tokens: Int64[Tensor, "batch length"]
    padding: Bool[Tensor, "batch length"]
    places: Int64[Tensor, " batch"]


def draw(n: int, *, sentences: tuple[int, int] = (6, 8), seed: Seed = 0) -> list[Journey]:
    """`n` stories of `sentences[0]` to `sentences[1]` sentences of 6 to 8 words.

    Raises ValueError: `n` is below 1, or `sentences` is no range of 1 or more.
    """
    at_least(1, n=n, fewest_sentences=sentences[0])
    if sentences[1] < sentences[0]:
        raise ValueError(f"sentences is {sentences}; the first must not be the larger.")
    generator = generator_of(seed)
    chance = random.Random(
        torch.randint(2**62, (), generator=generator, device=generator.device).item()
    )
    found: list[Journey] = []
    while len(found) < n:
        words, place = _story(chance, chance.randint(*sentences))
        if place is not None:
            found.append(Journey(" ".join(words), PLACES.index(place)))
    return found


def answer(text: str) -> str | None:
    """Where the hero is at the end of a text, or None if it does not say."""
    place = None
    for sentence in " ".join(word for word in text.split() if word != START).split("."):
        words = sentence.split()
        if HERO in words and "not" not in words:
            place = words[-1]
    return place


def encode(
    examples: Sequence[Journey],
    *,
    length: int | None = None,
    device: torch.device | str | None = None,
) -> JourneyBatch:
    """All `examples` as one padded batch, with the ids of `VOCABULARY`."""
    tokens, padding = VOCABULARY.encode([e.text for e in examples], length=length, device=device)
    return JourneyBatch(tokens, padding, torch.tensor([e.place for e in examples], device=device))


def _story(chance: random.Random, n_sentences: int) -> tuple[list[str], str | None]:
    """The words of a story, and where the hero is at its end."""
    words, at = [START], None
    for _ in range(n_sentences):
        person, place = chance.choice(PEOPLE), chance.choice(PLACES)
        if chance.random() < NEGATED:
            words += [person, "did", "not", "go", "to", "the", place, "."]
            continue
        sentence = [person, chance.choice(VERBS), "to", "the", place, "."]
        where = chance.randrange(4)  # an adverb in front, after the person, or none
        if where < 2:
            sentence.insert(where, chance.choice(ADVERBS))
        words += sentence
        at = place if person == HERO else at
    return words, at
