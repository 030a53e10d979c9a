"""Many tests at once: p-values that remember how many others there were.

Source: holm1979, benjamini1995. Chapter: measuring-fairly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray:
    """p-values adjusted by Holm's steps, in the order given.

    The smallest of n is multiplied by n, the next by n - 1, and so on; none may come below the one
    before it, or above 1. Taking those below 0.05 as found, the chance of one or more false ones is
    0.05 at most, however the tests hang together.
    """
    p_values = _checked(p_values)
    order = np.argsort(p_values, kind="stable")
    times = len(p_values) - np.arange(len(p_values))
    steps = np.maximum.accumulate(p_values[order] * times)
    return _in_place(np.minimum(steps, 1), order)


def benjamini_hochberg(p_values: ArrayLike) -> NDArray:
    """p-values adjusted for the share of false finds, in the order given.

    The k-th smallest of n is multiplied by n / k; none may come above the one after it. Of those
    below 0.05 a share of 0.05 or less is false, on average, if the tests are independent.
    """
    p_values = _checked(p_values)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * len(p_values) / (1 + np.arange(len(p_values)))
    return _in_place(np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1), order)


def _in_place(steps: NDArray, order: NDArray) -> NDArray:
    placed = np.empty_like(steps)
    placed[order] = steps
    return placed


def _checked(p_values: ArrayLike) -> NDArray:
    p_values = np.asarray(p_values, dtype=float)
    if p_values.ndim != 1 or not len(p_values) or not ((p_values >= 0) & (p_values <= 1)).all():
        raise ValueError("p_values has other values than a list of p; each must be from 0 to 1.")
    return p_values
