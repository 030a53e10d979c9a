"""What held-out examples tell: temperatures for the exits, and a threshold with a guarantee.

Sources: guo2017calibration, schuster2021cat. Chapter: leaving-early.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frugal.checks import at_least, check_tensor

COLDEST, HOTTEST = 1e-2, 1e2
"""The range of temperatures; an exit that is never wrong would have none."""
HALVINGS = 50


@torch.no_grad()
def fit_temperatures(
    scores: Float[Tensor, "examples exits classes"], labels: Int[Tensor, " examples"]
) -> Float[Tensor, " exits"]:
    """For each exit the temperature that its scores are divided by for the least cross-entropy.

    scores, labels: of held-out examples. The loss is convex in 1 / T, and the root of its
    derivative is found by halving, in float64, from 0.01 to 100: an exit without errors gets 0.01.
    """
    _check_labelled(scores, labels, "(examples, exits, classes)")
    z = scores.double()
    right = z.gather(2, labels[:, None, None].expand(-1, z.shape[1], 1))[..., 0]
    low = torch.full_like(right[0], math.log(1 / HOTTEST))  # of log 1 / T
    high = torch.full_like(low, math.log(1 / COLDEST))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        p = (z * middle.exp()[:, None]).softmax(-1)
        slope = ((p * z).sum(-1) - right).mean(0)  # of the loss, in 1 / T
        low = torch.where(slope <= 0, middle, low)
        high = torch.where(slope <= 0, high, middle)
    return (-(low + high) / 2).exp().to(scores.dtype)


def _check_labelled(scores: Tensor, labels: Tensor, axes: str) -> None:
    """Scores of these axes, and a label for each example, of which there is one or more."""
    check_tensor(scores=scores, labels=labels)
    fits = scores.ndim == axes.count(",") + 1 and labels.shape == scores.shape[:1] and len(labels)
    if not fits or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(
            f"scores has shape {tuple(scores.shape)} and labels {tuple(labels.shape)} of "
            f"{labels.dtype}; they must be {axes} and (examples,), whole numbers, with one example "
            "or more."
        )


class Reliability(NamedTuple):
    """By bin of confidence: how many examples, how sure they are and how many of them are right;
    and the gap between the two, averaged over the examples (the expected calibration error)."""

    counts: Int[Tensor, " bins"]
    confidence: Float[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]
    error: float


@torch.no_grad()
def reliability(
    scores: Float[Tensor, "examples classes"], labels: Int[Tensor, " examples"], *, bins: int = 10
) -> Reliability:
    """Of one exit: bins of equal width from 0 to 1. A bin without examples has zeros.

    Raises ValueError for shapes that do not fit, labels that are no whole numbers and no example.
    """
    at_least(1, bins=bins)
    _check_labelled(scores, labels, "(examples, classes)")
    sure, answers = scores.double().softmax(-1).max(-1)
    right = (answers == labels).double()
    place = (sure * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(place, minlength=bins)
    share = counts.clamp(min=1)
    confidence = torch.bincount(place, sure, minlength=bins) / share
    accuracy = torch.bincount(place, right, minlength=bins) / share
    error = ((confidence - accuracy).abs() * counts).sum() / len(labels)
    return Reliability(counts, confidence, accuracy, error.item())


def conformal_threshold(
    scores: Float[Tensor, "examples exits"],
    agrees: Bool[Tensor, "examples exits"],
    tolerance: float,
    *,
    drop_consistent: bool = False,
) -> float:
    """The threshold τ for which leaving at the first exit with a score above τ differs from the
    full model with probability `tolerance` at most (schuster2021cat).

    scores: how surely each exit agrees with the full model, for examples that were not trained on.
    agrees: whether it does. m of an example is the largest score of an exit that disagrees, -∞
    where none does; τ is the ⌈(n + 1)(1 - tolerance)⌉-th smallest m of n. The probability is over
    the draw of these examples and of the next one together, all from one source. It promises that
    the full model is repeated, not that it is right.

    drop_consistent: leave out the examples on which every exit agrees, as the authors' code does.
    That holds too, and is more careful than was asked for: the probability is then at most
    tolerance · P(some exit disagrees).

    Raises ValueError for a tolerance outside (0, 1), shapes that do not fit, scores that are not
    numbers, and fewer than ⌈1 / tolerance⌉ - 1 examples: no threshold could promise anything then.
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real) or not 0 < tolerance < 1:
        raise ValueError(f"tolerance is {tolerance!r}; it must be above 0 and below 1.")
    if scores.ndim != 2 or scores.shape != agrees.shape or agrees.dtype != torch.bool:
        raise ValueError(
            f"scores has shape {tuple(scores.shape)} and agrees {tuple(agrees.shape)}, "
            f"{agrees.dtype}; both must be (examples, exits), and agrees boolean."
        )
    if scores.isnan().any():
        raise ValueError("scores has NaN; every score must be a number.")
    largest = scores.masked_fill(agrees, -math.inf).amax(1)  # m
    what = "examples"
    if drop_consistent:
        largest, what = largest[~agrees.all(1)], "examples on which some exit disagrees"
    n = len(largest)
    above = math.floor((n + 1) * tolerance + 1e-9)  # so many m may lie at τ or above it
    if above < 1:
        needed = math.ceil(1 / tolerance - 1e-9) - 1
        raise ValueError(
            f"there are {n} {what}; a tolerance of {tolerance:g} needs at least {needed}."
        )
    return largest.sort().values[n - min(above, n)].item()
