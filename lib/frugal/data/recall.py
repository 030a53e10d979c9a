"""Multi-query associative recall: a list of pairs, then keys whose values are to be recalled.

Chapters: kernels, low-rank, no-attention.
"""

from __future__ import annotations

import torch

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.sequences import IGNORE, SequenceBatch, distinct
from frugal.data.source import GENERATED, Source

SOURCE = Source(
    name="associative recall",
    loader="frugal.data.recall.draw",
    content="key-value pairs, then every key again at a random distance (MQAR)",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)


def draw(
    batch_size: int,
    *,
    n_pairs: int,
    length: int,
    n_symbols: int = 64,
    power: float | int = 0.1,
    noise: bool = True,
    seed: Seed = 0,
    device: torch.device | str | None = None,
) -> SequenceBatch:
    """Pairs first, then each key once more, asking for its value (arora2023zoology).

    The sequence opens with `n_pairs` keys, each followed by its value. The rest is slots of two
    positions. Each key comes back in the first position of a slot of its own, where its value is
    asked for; slot s is drawn with a probability in proportion to s ** (power - 1), so that small
    powers put most questions soon after the pairs.

    length: at least 4 n_pairs, and even. n_symbols: ids in all. 0 is blank, the lower half are
    keys, the upper half values. power: exponent of the power law, in (0, 1]; 1 spreads the
    questions evenly. noise: fill the remaining positions with random ids instead of blanks. A stray
    id may equal a key; nothing is asked there.

    Raises ValueError: an argument is out of range.
    """
    at_least(1, batch_size=batch_size, n_pairs=n_pairs)
    if length < 4 * n_pairs or length % 2:
        raise ValueError(f"length is {length}; it must be even and {4 * n_pairs} or more.")
    if not 0 < power <= 1:
        raise ValueError(f"power is {power}; it must lie in (0, 1].")
    n_keys = n_symbols // 2 - 1
    if n_keys < n_pairs:
        raise ValueError(f"n_symbols is {n_symbols}; {n_pairs} pairs need {2 * n_pairs + 2}.")
    generator = generator_of(seed)
    options = {"generator": generator, "device": generator.device}

    keys = 1 + distinct(n_keys, batch_size, n_pairs, generator)
    n_values = n_symbols - n_keys - 1
    values = 1 + n_keys + distinct(n_values, batch_size, n_pairs, generator)
    inputs = torch.zeros(batch_size, length, dtype=torch.int64, device=generator.device)
    if noise:
        inputs = torch.randint(1, n_symbols, inputs.shape, **options)
    targets = torch.full_like(inputs, IGNORE)
    inputs[:, 0 : 2 * n_pairs : 2] = keys
    inputs[:, 1 : 2 * n_pairs : 2] = values

    n_slots = (length - 2 * n_pairs) // 2
    slots = torch.arange(1, n_slots + 1, dtype=torch.float64, device=generator.device)
    weights = (slots ** (power - 1)).expand(batch_size, n_slots)
    asked = 2 * n_pairs + 2 * torch.multinomial(weights, n_pairs, generator=generator)
    inputs.scatter_(1, asked, keys)
    targets.scatter_(1, asked, values)
    return SequenceBatch(inputs.to(device), targets.to(device))
