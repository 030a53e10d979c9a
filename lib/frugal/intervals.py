"""How sure a mean over a few seeds is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """A mean and its confidence interval; numbers, or arrays of one shape."""

    mean: NDArray
    low: NDArray
    high: NDArray


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Mean over the first axis (seeds) with Student's t interval; needs SciPy.

    values: (seeds, ...), two seeds or more. The interval is exact where the seeds' values are
    normal, and wide where there are few: with 5 seeds it reaches 1.24 standard deviations to each
    side.
    """
    values = np.asarray(values, dtype=float)
    n = len(values) if values.ndim else 0
    if n < 2:
        raise ValueError(f"values has {n} seeds; an interval needs at least 2.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1.")
    from scipy.stats import t

    mean = values.mean(axis=0)
    reach = t.ppf((1 + confidence) / 2, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return Interval(mean, mean - reach, mean + reach)
