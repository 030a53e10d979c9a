"""How often a real difference is found, and how large it must be. Chapter: measuring-fairly."""

from __future__ import annotations

import math
from functools import partial

from frugal.checks import at_least, installed
from frugal.evidence.intervals import check_confidence


def power(
    difference: float | int,
    spread: float | int,
    seeds: int,
    *,
    level: float = 0.05,
    paired: bool = False,
) -> float:
    """The chance that a two-sided t test calls a real difference one; needs SciPy.

    difference: of the two true means. spread: the standard deviation over seeds of one side, or of
    the differences where `paired`. seeds: of each side, 2 or more. level: how often the test may
    call a difference of 0 one.
    """
    at_least(2, seeds=seeds)
    check_confidence(1 - level)
    if not spread > 0:
        raise ValueError(f"spread is {spread}; it must be above 0.")
    stats = installed("scipy.stats", extra="evidence")
    free = seeds - 1 if paired else 2 * (seeds - 1)
    error = spread * math.sqrt((1 if paired else 2) / seeds)
    limit = stats.t.ppf(1 - level / 2, free)
    shift = abs(difference) / error
    found = float(stats.nct.sf(limit, free, shift) + stats.nct.cdf(-limit, free, shift))
    return 1.0 if math.isnan(found) else found  # SciPy gives up where it is all but certain


def detectable(
    spread: float | int,
    seeds: int,
    *,
    chance: float = 0.8,
    level: float = 0.05,
    paired: bool = False,
) -> float:
    """The difference that is found with this chance: `power` turned round; needs SciPy."""
    if not level < chance < 1:
        raise ValueError(f"chance is {chance}; it must be above the level {level} and below 1.")
    brentq = installed("scipy.optimize", extra="evidence").brentq
    at_least(2, seeds=seeds)
    lacking = partial(_lacking, spread, seeds, level, paired, chance)
    most = spread
    while lacking(most) > 0:
        most *= 2
    return float(brentq(lacking, 0, most))


def _lacking(
    spread: float | int,
    seeds: int,
    level: float,
    paired: bool,
    chance: float,
    difference: float | int,
) -> float:
    return chance - power(float(difference), spread, seeds, level=level, paired=paired)
