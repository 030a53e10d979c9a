"""Tests for pairs: the same seeds, or the same test items. Chapter: measuring-fairly."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from frugal.checks import at_least, installed, one_of
from frugal.evidence.intervals import check_pairs, one_list

MOST_EXACT = 16
"""Up to so many pairs all 2^n signs are tried; with more, random ones."""


def sign_flip_test(
    differences: ArrayLike, *, alternative: str = "two-sided", draws: int = 20_000, seed: int = 0
) -> float:
    """How often the mean difference is as large if each pair's sign is a coin's: a p-value.

    differences: ours less theirs, one a pair. If nothing differs, the two of a pair may change
    places, and every pattern of signs is as likely. alternative: "two-sided", "greater" (ours is
    larger) or "less". Up to 16 pairs all patterns are tried, and the smallest p possible is 2^(1-n)
    on two sides: 5 seeds cannot give less than 0.0625. With more, `draws` random patterns and the
    one that was seen.
    """
    differences = one_list(differences=differences)
    one_of(("two-sided", "greater", "less"), alternative=alternative)
    at_least(1, draws=draws)
    n = len(differences)
    if n <= MOST_EXACT:
        signs = np.array(list(product((1, -1), repeat=n)))  # (2^n, n)
    else:
        drawn = np.random.default_rng(seed).choice([1, -1], size=(draws, n))
        signs = np.concatenate([np.ones((1, n)), drawn])
    seen, flipped = differences.mean(), signs @ differences / n
    if alternative == "two-sided":
        seen, flipped = abs(seen), abs(flipped)
    elif alternative == "less":
        seen, flipped = -seen, -flipped
    rounding = 1e-9 * max(abs(differences).max(), 1e-300)
    return float((flipped >= seen - rounding).mean())


def mcnemar(ours_right: ArrayLike, theirs_right: ArrayLike) -> float:
    """Whether two models differ on the same test items: the exact test of McNemar; needs SciPy.

    ours_right, theirs_right: one bool an item, in the same order. Items that both have right, or
    both wrong, say nothing. Of the others, those that only we have right should be about a half if
    nothing differs: the two-sided binomial p-value of that; 1 where there are no others.
    """
    ours, theirs = one_list(ours_right=ours_right), one_list(theirs_right=theirs_right)
    check_pairs(ours, theirs)
    for name, values in (("ours_right", ours), ("theirs_right", theirs)):
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"{name} has other values than 0 and 1; it must hold one bool an item."
            )
    binomtest = installed("scipy.stats", extra="evidence").binomtest
    only_ours = int(((ours == 1) & (theirs == 0)).sum())
    only_theirs = int(((ours == 0) & (theirs == 1)).sum())
    apart = only_ours + only_theirs
    return float(binomtest(only_ours, apart).pvalue) if apart else 1.0
