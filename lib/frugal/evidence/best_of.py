"""What the best of n tries can be expected to score. Chapter: measuring-fairly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from frugal.checks import at_least
from frugal.evidence.intervals import one_list


def expected_best(scores: ArrayLike, n: int, *, replace: bool = False) -> float:
    """The mean of the best of n of the tries whose validation scores are given.

    scores: of the N tries of one search, all drawn in the same way; higher is better. n: a budget,
    from 1 to N; with `replace` any. The k-th smallest is the best of n with probability
    C(k-1, n-1) / C(N, n) when n different ones are drawn, which is unbiased (tang2020showing).
    replace: each draw is from all N, so that the probability is (k^n - (k-1)^n) / N^n. That is the
    estimate of dodge2019work; it is too low, since a try may be drawn twice.
    """
    scores = np.sort(one_list(scores=scores))
    at_least(1, n=n)
    total = len(scores)
    if replace:
        rank = np.arange(total + 1) / total
        return float(scores @ np.diff(rank**n))
    if n > total:
        raise ValueError(f"n is {n}; it must be from 1 to {total}, the number of scores.")
    ways = [math.comb(k, n - 1) / math.comb(total, n) for k in range(total)]
    return float(scores @ ways)
