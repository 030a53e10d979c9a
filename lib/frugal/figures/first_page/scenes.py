"""What each method leaves of a Transformer, as numbers: the scenes of the first page.

A scene is a small stack (8 tokens, 4 layers, 4 heads) in which everything has a strength between 0
and 1. The map moves from one to another (`question_scenes.js` reads them), and a chapter's card
shows its own (`booktools.cards`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal

TOKENS, LAYERS, HEADS, PARTS = 8, 4, 4, 4
ROWS = LAYERS + 1
"""Row 0 is the input."""
HUBS = 3
"""Summaries that stand between the tokens of two rows."""
BYTES = 16

Scene = Literal[
    "whole",
    "pattern",
    "windows",
    "spans",
    "hashing",
    "sorting",
    "low-rank",
    "kernels",
    "convolution",
    "fixed",
    "dropping",
    "pooling",
    "latents",
    "patches",
    "bytes",
    "voxels",
    "heads",
    "entmax",
    "fewer-layers",
    "exit",
    "shared",
    "experts",
    "memory",
    "ends",
    "parallel",
    "exchanged",
]
"""The names of the scenes."""


def pair(layer: int, query: int, key: int) -> int:
    """Where an interaction stands in `Stack.pairs`."""
    return (layer * TOKENS + query) * TOKENS + key


def spoke(layer: int, token: int, hub: int) -> int:
    """Where a line between a token and a summary stands in `Stack.gather` and `Stack.spread`."""
    return (layer * TOKENS + token) * HUBS + hub


@dataclass
class Stack:
    """Strengths of everything, and the column of each token. As built, all tokens read all."""

    place: list[float] = field(default_factory=lambda: [float(t) for t in range(TOKENS)] * ROWS)
    nodes: list[float] = field(default_factory=lambda: [1.0] * (ROWS * TOKENS))
    pairs: list[float] = field(default_factory=lambda: [1.0] * (LAYERS * TOKENS * TOKENS))
    hubs: list[float] = field(default_factory=lambda: [0.0] * (LAYERS * HUBS))
    # tokens below → summary
    gather: list[float] = field(default_factory=lambda: [0.0] * (LAYERS * TOKENS * HUBS))
    # summary → tokens above
    spread: list[float] = field(default_factory=lambda: [0.0] * (LAYERS * TOKENS * HUBS))
    heads: list[float] = field(default_factory=lambda: [1.0] * (LAYERS * HEADS))
    # of the feed-forward block
    parts: list[float] = field(default_factory=lambda: [1.0] * (LAYERS * PARTS))
    bytes: list[float] = field(default_factory=lambda: [0.0] * BYTES)
    # two words, spelled: an input for each letter
    letters: list[float] = field(default_factory=lambda: [0.0] * TOKENS)
    # nothing is known below, and all words come out above
    answers: list[float] = field(default_factory=lambda: [0.0] * TOKENS)
    # what is exchanged: a layer's heads, its feed-forward
    marks: list[float] = field(default_factory=lambda: [0.0] * (2 * LAYERS))
    groups: list[int] | None = None  # the bucket of each token
    fixed: bool = False  # interactions that no input and no training changes

    def keep(self, kept: Callable[[int, int, int], float]) -> Stack:
        """Multiply each pair by `kept(query, key, layer)`: 0, 1 or a strength."""
        for layer in range(LAYERS):
            for query in range(TOKENS):
                for key in range(TOKENS):
                    self.pairs[pair(layer, query, key)] *= float(kept(query, key, layer))
        return self

    def survive(self, alive: Callable[[int, int], bool]) -> Stack:
        """Keep the representations with `alive(row, token)`; others neither read nor are read."""
        self.nodes = [float(alive(*divmod(index, TOKENS))) for index in range(ROWS * TOKENS)]
        return self.keep(
            lambda query, key, layer: (
                self.nodes[(layer + 1) * TOKENS + query] * self.nodes[layer * TOKENS + key]
            )
        )

    def merge(self, size: Callable[[int], int]) -> Stack:
        """Merge the tokens of a row in groups: the first stands for all, in their middle."""
        for index in range(ROWS * TOKENS):
            row, token = divmod(index, TOKENS)
            self.place[index] = token // size(row) * size(row) + (size(row) - 1) / 2
        return self.survive(lambda row, token: token % size(row) == 0)

    def through(self, hubs: Iterable[int]) -> Stack:
        """No pairs: all tokens fill these summaries and read them."""
        self.keep(lambda query, key, layer: 0)
        for layer in range(LAYERS):
            for hub in hubs:
                self.hubs[layer * HUBS + hub] = 1.0
                for token in range(TOKENS):
                    self.gather[spoke(layer, token, hub)] = 1.0
                    self.spread[spoke(layer, token, hub)] = 1.0
        return self

    def skip(self, skipped: Iterable[int]) -> Stack:
        """Leave layers out: they hand every representation on unchanged."""
        skipped = tuple(skipped)
        for layer in skipped:
            self.heads[layer * HEADS : (layer + 1) * HEADS] = [0.0] * HEADS
            self.parts[layer * PARTS : (layer + 1) * PARTS] = [0.0] * PARTS
        return self.keep(lambda query, key, layer: layer not in skipped or query == key)

    def latent(self) -> Stack:
        """Three latents read the input once and do the rest."""
        for row in range(1, ROWS):
            self.place[row * TOKENS : row * TOKENS + 3] = [1.5, 3.5, 5.5]
        return self.survive(lambda row, token: row == 0 or token < 3)


_BUCKETS = [0, 1, 0, 2, 1, 2, 0, 1]
_SORTED = [2, 0, 3, 1]  # the block that each block of two also reads
_SURVIVORS = [range(8), [0, 1, 3, 4, 6, 7], [0, 3, 4, 6], [0, 3, 6], [0, 3]]
_SPANS = [1, 1, 2, 4]
_PRUNED = [1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0]
_CHOSEN = [1, 3, 0, 2]  # the expert of each layer


def _windows(query: int, key: int, layer: int) -> bool:
    shift = 2 * (layer % 2)
    return (query + shift) // 4 == (key + shift) // 4


def _near(query: int, key: int, layer: int) -> bool:
    return abs(query - key) < 2


def _build(name: Scene) -> Stack:
    stack = Stack()
    match name:
        case "pattern":
            stack.keep(lambda q, k, layer: _near(q, k, layer) or 0 in (q, k))
        case "windows":
            stack.keep(_windows)
        case "spans":
            stack.keep(lambda query, key, layer: abs(query - key) <= _SPANS[layer])
        case "hashing":
            stack.groups = _BUCKETS
            stack.keep(lambda query, key, layer: _BUCKETS[query] == _BUCKETS[key])
        case "sorting":
            stack.keep(lambda query, key, layer: key // 2 in (query // 2, _SORTED[query // 2]))
        case "low-rank":
            stack.through([0, 2])
        case "kernels":
            stack.through([1])
        case "convolution":
            stack.keep(_near)
        case "fixed":
            stack.fixed = True
        case "dropping":
            stack.survive(lambda row, token: token in _SURVIVORS[row])
        case "pooling":
            stack.merge(lambda row: [1, 1, 2, 2, 4][row])
        case "latents":
            stack.latent()
        case "voxels":
            stack.bytes = [1.0] * BYTES
            stack.latent()
        case "patches":
            stack.bytes = [1.0] * BYTES
            stack.merge(lambda row: 2)
        case "bytes":
            stack.letters = [1.0] * TOKENS
        case "heads":
            stack.heads = [float(kept) for kept in _PRUNED]
        case "entmax":
            stack.keep(lambda query, key, layer: key in (query, (3 * query + 2 * layer + 1) % 8))
        case "fewer-layers":
            stack.skip([1, 3])
        case "exit":
            stack.skip([2, 3]).survive(lambda row, token: row < 3)
        case "shared":  # the weights of the first layer serve in all
            stack.heads[HEADS:] = [0.0] * (LAYERS - 1) * HEADS
            stack.parts[PARTS:] = [0.0] * (LAYERS - 1) * PARTS
        case "experts":
            stack.parts = [
                float(index % PARTS == _CHOSEN[index // PARTS]) for index in range(LAYERS * PARTS)
            ]
        case "memory":
            stack.parts[2 * PARTS : 3 * PARTS] = [0.15] * PARTS
        case "ends":
            stack.keep(lambda query, key, layer: 1 if key < 2 or key > 5 else 0.12)
        case "parallel":
            stack.answers = [1.0] * TOKENS
        case "exchanged":
            stack.marks = [0, 1, 0, 0, 1, 0, 0, 1]
    return stack


@cache
def stack_of(name: Scene) -> Stack:
    """The scene of this name; not to be changed."""
    return _build(name)


def changes(name: Scene) -> dict[str, Any]:
    """What a scene has otherwise than the whole stack, for the script that draws it."""
    whole, now = stack_of("whole"), stack_of(name)
    found = {one.name: getattr(now, one.name) for one in fields(Stack)}
    return {
        key: [int(v) if v == int(v) else v for v in value] if isinstance(value, list) else value
        for key, value in found.items()
        if value != getattr(whole, key)
    }
