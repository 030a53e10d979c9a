"""`PromiseDial`: a tolerance, and what many draws of calibration examples make of the promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.checks import one_of, within
from frugal.depth.early_exit import conformal_threshold
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (50, 100, 200, 500)
DRAWS = 200
PARTS = 1e4


class PromiseDial(Interactive):
    """Histograms of the inconsistency over 200 draws of `size` calibration examples: with the
    examples on which every exit agrees counted, and with them dropped.

    scores, agrees: (examples, early exits), what `conformal_threshold` takes, of examples that
    nothing was trained on; scores from 0 to 1, which are rounded to four digits. sizes: to choose
    from, all below the number of examples.
    """

    module = "promise_dial.js"
    style = "promise_dial.css"

    def __init__(
        self,
        scores: Float[Tensor, "examples early"],
        agrees: Bool[Tensor, "examples early"],
        *,
        tolerance: float = 0.05,
        size: int = 200,
        sizes: Sequence[int] = SIZES,
        seed: int = 0,
    ) -> None:
        if scores.shape != agrees.shape or len(scores) <= max(sizes):
            raise ValueError(
                f"scores has shape {tuple(scores.shape)} and agrees {tuple(agrees.shape)}; they "
                f"must be of one shape, with more than {max(sizes)} examples."
            )
        within(0.005, 0.3, tolerance=tolerance)
        one_of(sizes, size=size)
        super().__init__(
            alt=(
                "Two histograms over 200 draws of calibration examples: how often the other "
                "examples then leave with another answer than the full model's. Above with all "
                "calibration examples counted, below with only those on which some exit "
                "disagrees. A line marks the tolerance, which a slider moves."
            ),
            scores=((scores.double() * PARTS).round() / PARTS).tolist(),
            agrees=agrees.tolist(),
            tolerance=float(tolerance),
            size=size,
            sizes=list(sizes),
            seed=seed,
        )

    def threshold(self, rows: Sequence[int], *, drop_consistent: bool = False) -> float:
        """By the library, from these examples; infinite where they are too few."""
        scores = torch.tensor(self.state["scores"], dtype=torch.float64)[list(rows)]
        agrees = torch.tensor(self.state["agrees"])[list(rows)]
        tolerance = self.state["tolerance"]
        try:
            return conformal_threshold(scores, agrees, tolerance, drop_consistent=drop_consistent)
        except ValueError:
            return float("inf")

    def rates(self, *, drop_consistent: bool = False) -> Tensor:
        """The inconsistency of 200 draws of torch's own."""
        scores = torch.tensor(self.state["scores"], dtype=torch.float64)
        agrees = torch.tensor(self.state["agrees"])
        generator = torch.Generator().manual_seed(self.state["seed"])
        found = []
        for _ in range(DRAWS):
            order = torch.randperm(len(scores), generator=generator)
            first, rest = order[: self.state["size"]], order[self.state["size"] :]
            above = scores[rest] > self.threshold(first.tolist(), drop_consistent=drop_consistent)
            taken = agrees[rest].gather(1, above.double().argmax(1, keepdim=True))[:, 0]
            found.append((above.any(1) & ~taken).double().mean())
        return torch.stack(found)

    def picture(self) -> Figure:
        """Both histograms, with the tolerance and the mean."""
        from matplotlib import pyplot as plt

        blue, orange, green, *_ = accents()
        tolerance = self.state["tolerance"]
        figure, panels = plt.subplots(2, 1, figsize=(6, 4), sharex=True, layout="constrained")
        for axes, drop, color in zip(panels, (False, True), (blue, green), strict=True):
            rates = self.rates(drop_consistent=drop)
            axes.hist(rates.tolist(), bins=40, range=(0, max(2.5 * tolerance, 0.02)), color=color)
            axes.axvline(tolerance, color=orange)
            axes.axvline(rates.mean().item(), color="black", linestyle="--")
            axes.set(title="only examples that disagree" if drop else "all examples counted")
        panels[1].set(xlabel="share of test examples that leave inconsistently")
        return figure
