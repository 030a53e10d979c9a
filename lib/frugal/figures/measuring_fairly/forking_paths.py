"""`ForkingPaths`: how often a change looks good that does nothing, by how a study is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from frugal.checks import installed, one_of, whole_within, within
from frugal.evidence.garden import CHOSEN, LEVEL, RULES, TOLD, Outcomes, Study, play
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STUDIES = 1000
MOST = {"seeds": 10, "tries": 10, "tasks": 8}
DIGITS = 3


class ForkingPaths(Interactive):
    """A thousand studies of one change: the tree of each, what it tells, and the share of wins.

    noise: by name of a record an (n, 2) array, what runs scored more than their mean on validation
    and test, in points (`frugal.evidence.recorded_noise`). source: the record to begin with. equal:
    whether the baseline gets as many tries. The other options are those of
    `frugal.evidence.Study`. The figure plays by itself, and stands still for readers who asked
    their system for less motion.
    """

    module = "forking_paths.js"
    style = "forking_paths.css"

    def __init__(
        self,
        noise: Mapping[str, ArrayLike],
        *,
        source: str | None = None,
        seeds: int = 1,
        tries: int = 10,
        tasks: int = 1,
        effect: float | int = 0,
        equal: bool = False,
        rule: str = "higher",
        told: str = "best",
        chosen: str = "test",
        seed: int = 0,
    ) -> None:
        source = next(iter(noise)) if source is None else source
        one_of(noise, source=source)
        one_of(RULES, rule=rule)
        one_of(TOLD, told=told)
        one_of(CHOSEN, chosen=chosen)
        for name, value in (("seeds", seeds), ("tries", tries), ("tasks", tasks)):
            whole_within(1, MOST[name], **{name: value})
        within(0, 5, effect=effect)
        super().__init__(
            alt=(
                "A change forks into tries and tasks; each path ends in a difference to the "
                "baseline, and the study tells one of them. Below, what a thousand such studies "
                "tell, and which share of them says that the change helps."
            ),
            noise={name: rounded(pairs) for name, pairs in noise.items()},
            limits=one_sided_limits(MOST["seeds"]),
            source=source,
            seeds=seeds,
            tries=tries,
            tasks=tasks,
            effect=float(effect),
            equal=equal,
            rule=rule,
            told=told,
            chosen=chosen,
            seed=seed,
        )

    def study(self) -> Study:
        """As the library makes it."""
        state = self.state
        names = ("seeds", "tries", "tasks", "rule", "told", "chosen", "effect")
        tries = state["tries"] if state["equal"] else 1
        return Study(baseline_tries=tries, **{name: state[name] for name in names})

    def outcomes(self, studies: int = STUDIES) -> Outcomes:
        """Of as many studies by the library."""
        noise = np.array(self.state["noise"][self.state["source"]])
        return play(self.study(), noise, studies=studies, seed=self.state["seed"])

    def picture(self) -> Figure:
        """What the studies tell, as a histogram, with the share of wins."""
        from matplotlib import pyplot as plt

        blue, orange, *_ = accents()
        found, nominal = self.outcomes(), self.study().nominal
        figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
        parts = [found.differences[~found.wins], found.differences[found.wins]]
        names = ["no win", "the change helps"]
        colors = [light_color("line"), orange]
        axes.hist(parts, bins=40, stacked=True, color=colors, label=names)
        axes.axvline(0, color=blue)
        axes.set(xlabel="difference that is told, in points", ylabel="studies")
        axes.set_title(f"{found.wins.mean():.0%} say that it helps; by the rule {nominal:.0%}")
        axes.legend(frameon=False)
        return figure


def rounded(pairs: ArrayLike) -> list[list[float]]:
    """Noise as a page carries it."""
    return np.round(np.asarray(pairs, dtype=float), DIGITS).tolist()


def one_sided_limits(most: int) -> list[float]:
    """By number of seeds, from 0, what t must exceed; 0 where there is no test."""
    t = installed("scipy.stats", extra="evidence").t
    return [0.0, 0.0, *(float(t.ppf(1 - LEVEL, 2 * (n - 1))) for n in range(2, most + 1))]
