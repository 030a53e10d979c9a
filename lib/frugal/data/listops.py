"""ListOps: nested list operations to evaluate, with the distribution of the Long Range Arena.

`[MAX 2 9 [MIN 4 7 ] 0 ]` has the value 9. The operations are minimum, maximum, median (rounded
down) and sum modulo ten. Introduced by nangia2018listops; operators, probabilities and lengths
here are those of the code of tay2021lra, which differ from its text.
Chapter: no-attention.
"""

from __future__ import annotations

import hashlib
import random
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.source import GENERATED, Source, check_split
from frugal.data.vocabulary import WordVocabulary

SOURCE = Source(
    name="ListOps",
    loader="frugal.data.listops.expressions",
    content="nested MIN, MAX, MED and SUM_MOD of digits, to evaluate: ten classes",
    split="by a hash of the expression: 80 / 10 / 10 %",
    **GENERATED,
)

OPERATIONS: dict[str, Callable[[list[int]], int]] = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(statistics.median(values)),
    "[SM": lambda values: sum(values) % 10,
}
END = "]"
NESTING = 0.25
"""The chance that an argument is a list and not a digit, as long as it may be one."""

VOCABULARY = WordVocabulary([*OPERATIONS, END, *"0123456789"])


class Expression(NamedTuple):
    """Words separated by spaces, the value they have (0..9), and how deep the lists nest."""

    text: str
    value: int
    depth: int


class ListOpsBatch(NamedTuple):
    """Padded ids, a mask that is True at real tokens, and the values."""

    tokens: Int64[Tensor, "batch length"]
    padding: Bool[Tensor, "batch length"]
    values: Int64[Tensor, " batch"]


def expressions(
    n: int,
    split: str = "train",
    *,
    max_depth: int = 10,
    max_args: int = 10,
    min_length: int = 500,
    max_length: int = 2000,
    seed: Seed = 0,
) -> list[Expression]:
    """`n` different expressions of a split.

    Trees are drawn until one fits, as in the Long Range Arena: a node is a list with chance 1/4,
    with two to `max_args` arguments and any operation as likely, else a digit.

    max_depth: levels of nodes; lists nest at most max_depth - 1 deep. min_length, max_length:
    words, both limits excluded.

    Raises ValueError: an argument is out of range, or hardly any tree fits the limits.
    """
    check_split(split)
    at_least(1, n=n, max_depth=max_depth)
    at_least(2, max_args=max_args)
    if not 0 <= min_length < max_length - 1:
        raise ValueError(
            f"min_length is {min_length} and max_length {max_length}; words must lie between."
        )
    generator = generator_of(seed)
    chance = random.Random(
        torch.randint(2**62, (), generator=generator, device=generator.device).item()
    )
    found: dict[str, Expression] = {}
    draws_since = 0
    while len(found) < n:
        draws_since += 1
        if draws_since > 100_000:
            raise ValueError(
                f"min_length is {min_length} and max_length {max_length}; hardly any tree of "
                f"depth {max_depth} with {max_args} arguments fits in this split."
            )
        words: list[str] = []
        drawn = _draw(words, chance, max_depth, max_args, max_length)
        if drawn is None or not min_length < len(words) < max_length:
            continue
        text = " ".join(words)
        if text not in found and _split_of(text) == split:
            found[text] = Expression(text, *drawn)
            draws_since = 0
    return list(found.values())


def evaluate(text: str) -> int:
    """The value of an expression.

    Raises ValueError: `text` is no complete expression.
    """
    stack: list[list] = [[]]
    for word in text.split():
        if word in OPERATIONS:
            stack.append([word])
        elif word == END and len(stack) > 1 and len(stack[-1]) > 1:
            operation, *values = stack.pop()
            stack[-1].append(OPERATIONS[operation](values))
        elif word.isdigit() and len(word) == 1:
            stack[-1].append(int(word))
        else:
            raise ValueError(f"text has {word!r} at a wrong place; it must be one expression.")
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError("text is no whole expression; it must be one, with every list closed.")
    return stack[0][0]


def encode(
    examples: Sequence[Expression],
    *,
    length: int | None = None,
    device: torch.device | str | None = None,
) -> ListOpsBatch:
    """All `examples` as one padded batch, with the ids of `VOCABULARY`."""
    tokens, padding = VOCABULARY.encode([e.text for e in examples], length=length, device=device)
    return ListOpsBatch(tokens, padding, torch.tensor([e.value for e in examples], device=device))


def _draw(
    words: list[str], chance: random.Random, levels: int, max_args: int, max_length: int
) -> tuple[int, int] | None:
    """Append a random tree to `words`; its value and depth, or None once it is too long."""
    if levels == 1 or chance.random() > NESTING:
        value = chance.randrange(10)
        words.append(str(value))
        return value, 0
    operation = chance.choice(list(OPERATIONS))
    words.append(operation)
    values, depth = [], 0
    for _ in range(chance.randint(2, max_args)):
        drawn = _draw(words, chance, levels - 1, max_args, max_length)
        if drawn is None or len(words) >= max_length:
            return None
        values.append(drawn[0])
        depth = max(depth, drawn[1])
    words.append(END)
    return OPERATIONS[operation](values), depth + 1


def _split_of(text: str) -> str:
    tenth = hashlib.blake2b(text.encode()).digest()[0] % 10
    return {8: "valid", 9: "test"}.get(tenth, "train")
