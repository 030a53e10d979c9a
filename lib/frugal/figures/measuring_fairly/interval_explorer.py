"""`IntervalExplorer`: so many seeds, and which differences they can tell from none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frugal.checks import installed, one_of, whole_within, within
from frugal.evidence.garden import LEVEL
from frugal.evidence.power import power
from frugal.figures.measuring_fairly.forking_paths import rounded
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SEEDS = 20
STUDIES = 1000
STEPS = 61
WIDEST = 6
"""The power is told for differences from 0 to so many spreads of one run, in as many steps."""


class IntervalExplorer(Interactive):
    """Intervals of repeated comparisons, and the chance that a difference is found.

    noise: as of `ForkingPaths`; its test column is used. seeds: runs of each side. effect: the true
    difference, in points.
    """

    module = "interval_explorer.js"
    style = "interval_explorer.css"

    def __init__(
        self,
        noise: Mapping[str, ArrayLike],
        *,
        source: str | None = None,
        seeds: int = 3,
        effect: float | int = 1,
        seed: int = 0,
    ) -> None:
        source = next(iter(noise)) if source is None else source
        one_of(noise, source=source)
        whole_within(2, MOST_SEEDS, seeds=seeds)
        within(0, 5, effect=effect)
        super().__init__(
            alt=(
                "Forty comparisons of two settings, each with the interval of its difference; "
                "those that exclude 0 are marked. Below, the chance that a comparison excludes 0, "
                "over the true difference, with a point for the chosen one."
            ),
            noise={name: rounded(pairs) for name, pairs in noise.items()},
            spreads={name: spread_of(pairs) for name, pairs in noise.items()},
            limits=two_sided_limits(),
            powers=power_table(),
            source=source,
            seeds=seeds,
            effect=float(effect),
            seed=seed,
        )

    def chance(self) -> float:
        """By the library, for normal noise of this spread."""
        state = self.state
        return power(state["effect"], state["spreads"][state["source"]], state["seeds"])

    def drawn(self, studies: int = STUDIES) -> NDArray:
        """(studies, 2) of low and high by numpy's own draws."""
        state, random = self.state, np.random.default_rng(self.state["seed"])
        test = np.array(state["noise"][state["source"]])[:, 1]
        ours, theirs = test[random.integers(len(test), size=(2, studies, state["seeds"]))]
        error = np.sqrt((ours.var(1, ddof=1) + theirs.var(1, ddof=1)) / state["seeds"])
        apart = ours.mean(1) + state["effect"] - theirs.mean(1)
        reach = state["limits"][state["seeds"]] * error
        return np.stack([apart - reach, apart + reach], axis=1)

    def picture(self) -> Figure:
        """Forty intervals, and the chance over the difference."""
        from matplotlib import pyplot as plt

        _, orange, *_ = accents()
        spread = self.state["spreads"][self.state["source"]]
        figure, (above, below) = plt.subplots(2, 1, figsize=(6, 4.6), layout="constrained")
        for row, (low, high) in enumerate(self.drawn(40)):
            above.plot([low, high], [row, row], color=orange if low > 0 or high < 0 else "gray")
        above.axvline(0, color=light_color("ink"))
        above.set(yticks=[], xlabel="difference, in points")
        across = np.linspace(0, WIDEST, STEPS) * spread
        below.plot(across, self.state["powers"][self.state["seeds"]])
        below.plot([self.state["effect"]], [self.chance()], "o", color=orange)
        below.set(ylim=(0, 1), xlabel="true difference, in points", ylabel="chance to find it")
        return figure


def spread_of(pairs: ArrayLike) -> float:
    """The standard deviation of a single run on the test set, in points."""
    return float(np.sqrt((np.asarray(pairs, dtype=float)[:, 1] ** 2).mean()))


def two_sided_limits() -> list[float]:
    """By number of seeds, from 0, how many errors a 95 % interval reaches; 0 without one."""
    t = installed("scipy.stats", extra="evidence").t
    several = range(2, MOST_SEEDS + 1)
    return [0.0, 0.0, *(float(t.ppf(1 - LEVEL / 2, 2 * (n - 1))) for n in several)]


def power_table() -> list[list[float]]:
    """By number of seeds, from 0, the chance to find differences of 0 to 6 spreads."""
    across = np.linspace(0, WIDEST, STEPS)
    several = range(2, MOST_SEEDS + 1)
    return [[], [], *([round(power(d, 1, n), 4) for d in across] for n in several)]
