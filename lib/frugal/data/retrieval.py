"""Key-value retrieval with control over where the answer sits: "lost in the middle" in small.

A context of pairs, then one or more keys whose values are asked for. Which pair is asked for is
the caller's choice: one position for a test, a distribution over positions for training.
Chapter: lost-in-the-middle.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.sequences import IGNORE, distinct
from frugal.data.source import GENERATED, Source

SOURCE = Source(
    name="key-value retrieval",
    loader="frugal.data.retrieval.draw",
    content="key-value pairs, then keys to look up; the answers' positions are controlled",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)

ASK = 0
"""The id between the context and the questions. Keys follow it, then values."""


class RetrievalBatch(NamedTuple):
    """A `frugal.data.sequences.SequenceBatch` that knows which pairs were asked for."""

    inputs: Int64[Tensor, "batch length"]
    targets: Int64[Tensor, "batch length"]
    positions: Int64[Tensor, "batch queries"]


def draw(
    batch_size: int,
    *,
    n_pairs: int,
    n_queries: int = 1,
    positions: int | Int64[Tensor, "batch queries"] | None = None,
    weights: Float64[Tensor, " pairs"] | None = None,
    n_keys: int = 128,
    n_values: int = 128,
    query_first: bool = False,
    seed: Seed = 0,
    device: torch.device | str | None = None,
) -> RetrievalBatch:
    """`k v k v ... ASK q q`: at each `q` the target is the value of that key (liu2024lost).

    Keys of a context are all different; values may repeat.

    n_queries: keys asked for in a sequence, all different. positions: the pairs to ask for,
    0..n_pairs-1: one number for all (with one query), or one for each sequence and query. weights:
    or how likely each pair is asked for; see `edge_weights`. Without either, every pair is as
    likely. n_keys, n_values: keys are ids 1..n_keys, values the n_values ids after them.
    query_first: ask before the context too (`ASK q q k v ... ASK q q`); nothing is to be
    predicted there.

    Raises ValueError: an argument is out of range, or both positions and weights are given.
    """
    at_least(1, batch_size=batch_size, n_pairs=n_pairs, n_queries=n_queries)
    at_least(1, n_values=n_values)
    if n_keys < n_pairs:
        raise ValueError(f"n_keys is {n_keys}; {n_pairs} pairs need as many different keys.")
    if n_queries > n_pairs:
        raise ValueError(f"n_queries is {n_queries}; there are only {n_pairs} pairs to ask for.")
    generator = generator_of(seed)
    gold = _gold(batch_size, n_pairs, n_queries, positions, weights, generator)

    keys = 1 + distinct(n_keys, batch_size, n_pairs, generator)
    values = (
        1
        + n_keys
        + torch.randint(n_values, keys.shape, generator=generator, device=generator.device)
    )
    context = torch.stack([keys, values], dim=2).flatten(1)
    ask = torch.full_like(keys[:, :1], ASK)
    questions = torch.cat([ask, keys.gather(1, gold)], dim=1)
    parts = [questions] * query_first + [context, questions]
    inputs = torch.cat(parts, dim=1)
    targets = torch.full_like(inputs, IGNORE)
    targets[:, -n_queries:] = values.gather(1, gold)
    return RetrievalBatch(inputs.to(device), targets.to(device), gold.to(device))


def edge_weights(
    n_pairs: int, *, start: float | int = 0.315, end: float | int = 0.585, decay: float | int = 2.0
) -> Float64[Tensor, " pairs"]:
    """How likely each pair is asked for when answers mostly sit near the ends.

    start, end: the share of answers that fall off exponentially from each end; the rest, by default
    a tenth, is spread evenly. decay: pairs over which the exponentials fall by a factor e.

    Gives probabilities that sum to 1.
    """
    at_least(1, n_pairs=n_pairs)
    if start < 0 or end < 0 or start + end > 1:
        raise ValueError(f"start + end is {start + end}; both must be shares, of at most 1 in all.")
    if not decay > 0:
        raise ValueError(f"decay is {decay}; it must be above 0.")
    falling = torch.exp(-torch.arange(n_pairs, dtype=torch.float64) / decay)
    falling = falling / falling.sum()
    return start * falling + end * falling.flip(0) + (1 - start - end) / n_pairs


def _gold(
    batch_size: int,
    n_pairs: int,
    n_queries: int,
    positions: int | Tensor | None,
    weights: Tensor | None,
    generator: torch.Generator,
) -> Tensor:
    if positions is not None and weights is not None:
        raise ValueError("positions and weights are both given; one of them decides.")
    if positions is None:
        if weights is None:
            weights = torch.ones(n_pairs, dtype=torch.float64)
        possible = (weights > 0).sum() >= n_queries and (weights >= 0).all()
        if weights.shape != (n_pairs,) or not possible:
            raise ValueError(
                f"weights is no list of {n_pairs} shares; it must be one, with none below 0 and "
                f"{n_queries} or more above."
            )
        rows = weights.to(generator.device).expand(batch_size, n_pairs)
        return torch.multinomial(rows, n_queries, generator=generator)
    if isinstance(positions, int):
        positions = torch.full((batch_size, 1), positions)
    if positions.shape != (batch_size, n_queries):
        raise ValueError(
            f"positions has shape {tuple(positions.shape)}; it must be {(batch_size, n_queries)}."
        )
    if not ((positions >= 0) & (positions < n_pairs)).all():
        raise ValueError(f"positions has one beyond the pairs; each must be 0 ... {n_pairs - 1}.")
    return positions.to(generator.device)
