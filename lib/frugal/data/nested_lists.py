"""Nested lists whose brackets have been read: what each list is worth, however deep it lies.

`[MAX 2 [MIN 8 [MAX 4 7 ] ] ]` holds three lists, worth 7, 7 and 7. A word says of itself which list
it opens and which list it stands in, by numbers, so that a model need not match brackets and a list
of depth d can be worked out as soon as those of depth d - 1 are. Every list has two arguments; the
operations are minimum and maximum, of those of ListOps (nangia2018listops).
Chapter: one-layer-many-times.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.listops import END, OPERATIONS, Expression
from frugal.data.seeds import Seed, generator_of
from frugal.data.sequences import IGNORE
from frugal.data.source import GENERATED, Source

SOURCE = Source(
    name="nested lists",
    loader="frugal.data.nested_lists.draw",
    content="nested MIN and MAX of two arguments with their structure; the value of every list",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)

WORDS = (*"0123456789", "[MIN", "[MAX")
"""What a word can be; its place is its id."""

MOST = 16
"""The lists that an expression may have; their numbers are 1 ... MOST, and 0 is no list."""

BRANCHING = 0.25
"""The chance that the argument beside the deepest one is a list and not a digit."""


class Word(NamedTuple):
    """A digit, or the beginning of a list; END has no word.

    own: the number of the list that it begins, 0 for a digit. inside: the number of the list that
    it stands in, 0 outside of all. value: what the list or the digit is worth. depth: 0 for a
    digit, 1 for a list of digits, else one more than the deepest list inside.
    """

    text: str
    own: int
    inside: int
    value: int
    depth: int


class NestedBatch(NamedTuple):
    """Padded words: ids, numbers of lists, which are real, values (IGNORE at digits), depths."""

    words: Int64[Tensor, "batch length"]
    own: Int64[Tensor, "batch length"]
    inside: Int64[Tensor, "batch length"]
    padding: Bool[Tensor, "batch length"]
    values: Int64[Tensor, "batch length"]
    depths: Int64[Tensor, "batch length"]


def draw(n: int, *, depths: tuple[int, int] = (1, 4), seed: Seed = 0) -> list[Expression]:
    """`n` expressions whose depth lies in `depths`, each depth as likely.

    Raises ValueError: `n` or a depth is below 1, or `depths` is no range or reaches beyond MOST.
    """
    at_least(1, n=n, least_depth=depths[0])
    if not depths[0] <= depths[1] <= MOST:
        raise ValueError(f"depths is {depths}; it must be a range that ends at {MOST} or before.")
    generator = generator_of(seed)
    chance = random.Random(
        torch.randint(2**62, (), generator=generator, device=generator.device).item()
    )
    found: list[Expression] = []
    while len(found) < n:
        depth = chance.randint(*depths)
        words: list[str] = []
        value = _grow(words, chance, depth)
        if sum(word in OPERATIONS for word in words) <= MOST:
            found.append(Expression(" ".join(words), value, depth))
    return found


def read(text: str) -> list[Word]:
    """The words of an expression, with the lists numbered from 1 in their order.

    Raises ValueError: `text` is no such expression, or has more lists than MOST.
    """
    found: list[Word] = []
    stack: list[int] = []  # where the open lists begin
    arguments: list[list[Word]] = []
    lists = 0
    for word in text.split():
        inside = found[stack[-1]].own if stack else 0
        if word == END and stack:
            at, given = stack.pop(), arguments.pop()
            if len(given) != 2:
                raise ValueError(f"text has a list of {len(given)} arguments; each must have two.")
            value = OPERATIONS[found[at].text]([one.value for one in given])
            depth = 1 + max(one.depth for one in given)
            found[at] = found[at]._replace(value=value, depth=depth)
            if stack:
                arguments[-1].append(found[at])
        elif word in WORDS[10:] and (stack or not found):
            lists += 1
            stack.append(len(found))
            arguments.append([])
            found.append(Word(word, lists, inside, 0, 0))
        elif word in WORDS[:10] and stack:
            found.append(Word(word, 0, inside, int(word), 0))
            arguments[-1].append(found[-1])
        else:
            raise ValueError(f"text has {word!r} at a wrong place; it must be one expression.")
    if stack or not found:
        raise ValueError("text is no whole expression; it must be one, with every list closed.")
    if lists > MOST:
        raise ValueError(f"text has {lists} lists; it must have {MOST} or fewer.")
    return found


def encode(
    examples: Sequence[Expression | str], *, device: torch.device | str | None = None
) -> NestedBatch:
    """All `examples` as one padded batch."""
    texts = [one if isinstance(one, str) else one.text for one in examples]
    rows = [read(text) for text in texts]
    length = max(map(len, rows), default=1)
    nothing = (0, 0, 0, 0, IGNORE, 0)
    table = [[*map(_numbers, row), *[nothing] * (length - len(row))] for row in rows]
    numbers = torch.tensor(table, device=device).view(len(rows), length, len(nothing))
    words, own, inside, real, values, depths = numbers.unbind(-1)
    return NestedBatch(words, own, inside, real.bool(), values, depths)


def renumbered(batch: NestedBatch, generator: torch.Generator | None = None) -> NestedBatch:
    """The same with new numbers for the lists of each expression, drawn from 1 ... MOST."""
    size = len(batch.words)
    new = 1 + torch.rand(size, MOST, generator=generator).argsort(1)
    new = torch.nn.functional.pad(new, (1, 0)).to(batch.own.device)
    return batch._replace(own=new.gather(1, batch.own), inside=new.gather(1, batch.inside))


def _numbers(word: Word) -> tuple[int, ...]:
    value = word.value if word.own else IGNORE
    return WORDS.index(word.text), word.own, word.inside, 1, value, word.depth


def _grow(words: list[str], chance: random.Random, depth: int) -> int:
    """Append a list of exactly this depth to `words`; its value."""
    operation = chance.choice(WORDS[10:])
    words.append(operation)
    deepest = chance.randrange(2)
    values = []
    for argument in range(2):
        below = depth - 1
        if argument != deepest:
            below = chance.randrange(depth) if chance.random() < BRANCHING else 0
        if below:
            values.append(_grow(words, chance, below))
        else:
            values.append(chance.randrange(10))
            words.append(str(values[-1]))
    words.append(END)
    return OPERATIONS[operation](values)
