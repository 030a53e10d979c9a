"""How many tokens each layer keeps: schedules set by hand, learned, or searched for.

A schedule is a tuple with a number for each layer: the tokens that leave it, at most. It never
grows, since what was dropped does not come back.

Source: goyal2020powerbert, who learn it softly; the search for an accuracy is ours.
Chapter: dropping-tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from frugal.checks import at_least


def geometric_schedule(length: int, n_layers: int, last: int) -> tuple[int, ...]:
    """From `length` tokens down to `last` by the same factor in every layer, rounded up."""
    at_least(1, n_layers=n_layers, last=last)
    if last > length:
        raise ValueError(f"last is {last}; it must not be above {length=}.")
    factor = last / length
    # the rounding guards against 8.000000001 tokens
    shrunk = (length * factor ** ((j + 1) / n_layers) for j in range(n_layers))
    return tuple(math.ceil(round(tokens, 6)) for tokens in shrunk)


def retention_schedule(masses: Sequence[float]) -> tuple[int, ...]:
    """The schedule that soft retention has learned: the whole part of each layer's mass Σ_n α_ln.

    At least 1, and never above an earlier layer's. Raises ValueError for a mass that is not finite.
    """
    keep: list[int] = []
    for mass in masses:
        if not math.isfinite(mass):
            raise ValueError(f"masses has {mass}; a layer's mass must be finite.")
        keep.append(min([max(1, math.floor(mass)), *keep[-1:]]))
    return tuple(keep)


def schedule_for_accuracy(
    evaluate: Callable[[tuple[int, ...]], float],
    *,
    length: int,
    n_layers: int,
    target: float,
    shrink: float = 0.75,
    cost: Callable[[tuple[int, ...]], float] = sum,
) -> tuple[int, ...]:
    """The cheapest schedule a greedy search finds whose accuracy is still `target` or more.

    It starts from all tokens. In each round every layer in turn is tried with `shrink` times its
    tokens (and later layers with no more than that); the trial with the best accuracy is taken, of
    equals the one with the lowest `cost`, until no trial reaches the target.

    evaluate: schedule -> accuracy, on data that the final accuracy is not measured on.

    Raises ValueError when all tokens do not reach the target, and for a shrink outside (0, 1).
    """
    at_least(1, length=length, n_layers=n_layers)
    if not 0 < shrink < 1:
        raise ValueError(f"shrink is {shrink}; it must lie between 0 and 1.")
    keep = (length,) * n_layers
    start = evaluate(keep)
    if start < target:
        raise ValueError(f"target is {target}; all tokens together reach {start:.4g} only.")
    while True:
        trials = []
        for layer in range(n_layers):
            fewer = math.floor(keep[layer] * shrink)
            if fewer < 1:
                continue
            trial = (*keep[:layer], *(min(fewer, tokens) for tokens in keep[layer:]))
            trials.append((evaluate(trial), -cost(trial), trial))
        best = max(trials, default=None)
        if best is None or best[0] < target:
            return keep
        keep = best[2]
