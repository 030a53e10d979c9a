"""English text that ships with Python: the help topics of `pydoc`, in characters.

The topics repeat each other (what is said under "class" is said again under "compound"), so every
paragraph is kept once, before the split: nothing in valid or test was seen in training.
Chapters: where-the-cost-is, adaptive-spans, no-attention, bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from frugal.data.source import MissingSource, Source, check_split
from frugal.data.vocabulary import CharacterVocabulary

SOURCE = Source(
    name="topics",
    loader="frugal.data.text.topics",
    content="about 350,000 characters of English on the Python language, in 79 topics",
    licence="PSF-2.0 (the Python documentation)",
    origin="pydoc_data.topics, in Python's standard library; it differs a little by version",
    split="by piece of about 2,000 characters, in turn: 80 / 10 / 10 %, repeats removed first",
    if_missing="install Python from python.org, or your system's package with the documentation",
    module="pydoc_data.topics",
)

PIECE = 2000
"""Characters after which the next paragraph begins a new piece."""


class TextBatch(NamedTuple):
    """`targets` is the character after each one of `inputs`."""

    inputs: Int64[Tensor, "batch length"]
    targets: Int64[Tensor, "batch length"]


class Passage(NamedTuple):
    """A stretch of running words and the topic it was taken from."""

    text: str
    topic: str


@dataclasses.dataclass(frozen=True)
class CharacterText:
    """A text in characters, split for training.

    train, valid, test: the text of each split. vocabulary: the characters of `train`; others are
    unknown. fingerprint: the first 12 hexadecimal digits of the SHA-256 of the three splits; put it
    beside results, since the text differs by Python version.
    """

    train: str
    valid: str
    test: str
    vocabulary: CharacterVocabulary
    fingerprint: str

    def tokens(self, split: str) -> Int64[Tensor, " length"]:
        """The ids of a whole split."""
        check_split(split)
        return torch.tensor(self.vocabulary.ids(getattr(self, split)))

    def batches(
        self, split: str, *, length: int, batch_size: int
    ) -> Callable[[int, torch.Generator], TextBatch]:
        """Random windows of `length` characters, as `frugal.training.train` takes them."""
        windows = self._windows(split, length, stride=1)
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 or more.")

        def batch(step: int, generator: torch.Generator) -> TextBatch:
            rows = windows[torch.randint(len(windows), (batch_size,), generator=generator)]
            return TextBatch(rows[:, :-1], rows[:, 1:])

        return batch

    def windows(self, split: str, *, length: int) -> TextBatch:
        """The whole split as windows side by side, for evaluation; a shorter rest is left out."""
        rows = self._windows(split, length, stride=length)
        return TextBatch(rows[:, :-1], rows[:, 1:])

    def _windows(self, split: str, length: int, *, stride: int) -> Tensor:
        tokens = self.tokens(split)
        if not 1 <= length < len(tokens):
            raise ValueError(f"length is {length}; it must lie in 1..{len(tokens) - 1}.")
        return tokens.unfold(0, length + 1, stride)


def topics() -> CharacterText:
    """The help topics as running text: about 276k / 35k / 35k characters on Python 3.11.

    Raises MissingSource: this Python came without `pydoc_data`.
    """
    splits = {
        split: "\n\n".join(text for _, text in _pieces()[split])
        for split in ("train", "valid", "test")
    }
    digest = hashlib.sha256("\0".join(splits.values()).encode()).hexdigest()
    return CharacterText(
        **splits, vocabulary=CharacterVocabulary(splits["train"]), fingerprint=digest[:12]
    )


def passages(split: str = "train", *, words: int = 48, n_topics: int = 20) -> list[Passage]:
    """Passages of `words` words, each labelled with the topic it comes from.

    split: "train", "valid" or "test"; the same pieces as in `topics`. words: words in a
    passage; what is left at the end of a piece is dropped. n_topics: keep the topics with most
    passages in training.

    Raises ValueError: an argument is out of range, or there are fewer topics than asked for.
    MissingSource: this Python came without `pydoc_data`.
    """
    check_split(split)
    if words < 1:
        raise ValueError(f"words is {words}; it must be 1 or more.")
    sizes = Counter(passage.topic for passage in _passages("train", words))
    if not 1 <= n_topics <= len(sizes):
        raise ValueError(f"n_topics is {n_topics}; it must lie in 1..{len(sizes)}.")
    kept = {topic for topic, _ in sizes.most_common(n_topics)}
    return [passage for passage in _passages(split, words) if passage.topic in kept]


def _passages(split: str, words: int) -> list[Passage]:
    found = []
    for topic, text in _pieces()[split]:
        spoken = text.split()
        for start in range(0, len(spoken) - words + 1, words):
            found.append(Passage(" ".join(spoken[start : start + words]), topic))
    return found


@lru_cache
def _pieces() -> dict[str, list[tuple[str, str]]]:
    """(topic, text) of every piece of each split."""
    library = getattr(SOURCE.load(), "topics", {})
    if not library:
        raise MissingSource(
            f"the data set '{SOURCE.name}' found no topic in {SOURCE.module}: {SOURCE.if_missing}"
        )
    seen: set[str] = set()
    pieces: list[tuple[str, str]] = []
    # the longest topic first: a repeated paragraph stays where it has its context
    for topic in sorted(library, key=lambda name: (-len(library[name]), name)):
        piece: list[str] = []
        for paragraph in re.split(r"\n[ \t]*\n", library[topic]):
            words = " ".join(paragraph.split())
            if not words or words in seen:
                continue
            seen.add(words)
            piece.append(paragraph.strip("\n").rstrip())
            if sum(map(len, piece)) >= PIECE:
                pieces.append((topic, "\n\n".join(piece)))
                piece = []
        if piece:
            pieces.append((topic, "\n\n".join(piece)))
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "valid": [], "test": []}
    for i, piece_of_topic in enumerate(pieces):
        splits[{4: "valid", 9: "test"}.get(i % 10, "train")].append(piece_of_topic)
    return splits
