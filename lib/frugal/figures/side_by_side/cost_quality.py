"""`CostQuality`: each method a dot, how right it is over what it costs, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frugal.checks import one_of, within
from frugal.results import mean_interval
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Dot:
    """A method: what its seeds gave. right: shares of right answers. costs: by the name of a cost,
    milliseconds. page: the address of its chapter."""

    right: Sequence[float]
    costs: Mapping[str, Sequence[float]]
    page: str


class CostQuality(Interactive):
    """Dots with intervals of 95 % in both directions; a number in each leads to its chapter.

    dots: by name, in the order of their numbers; all have the same costs, and the first is what the
    times of the others are divided by. cost: the one shown first, the first of all when None.
    enough: the share of right answers that is asked for. chance: the share without any skill.
    """

    module = "cost_quality.js"
    style = "cost_quality.css"

    def __init__(
        self,
        dots: Mapping[str, Dot],
        *,
        chance: float | int,
        cost: str | None = None,
        enough: float | int = 0.9,
    ) -> None:
        if not dots:
            raise ValueError("dots is empty; it must have a method.")
        costs = list(next(iter(dots.values())).costs)
        if any(list(dot.costs) != costs for dot in dots.values()):
            raise ValueError(f"dots have different costs; all must have {', '.join(costs)}.")
        cost = costs[0] if cost is None else cost
        one_of(costs, cost=cost)
        within(0, 1, enough=enough)
        best = max(dots, key=lambda name: sum(dots[name].right) / len(dots[name].right))
        super().__init__(
            alt=(
                f"{len(dots)} methods as numbered dots: the share of right answers over the "
                f"processor time per text, both at one length, with intervals over the seeds. "
                f"Right most often is {best}. A slider asks for a share of right answers, and a "
                "sentence names the fastest that reach it. A list leads to the chapters."
            ),
            dots=[
                {
                    "name": name,
                    "page": dot.page,
                    "right": _interval(dot.right),
                    "costs": {one: _interval(dot.costs[one]) for one in costs},
                }
                for name, dot in dots.items()
            ],
            costs=costs,
            cost=cost,
            enough=float(enough),
            chance=float(chance),
        )

    def picture(self) -> Figure:
        """The same dots, with their names."""
        from matplotlib import pyplot as plt

        blue, orange, *_ = accents()
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        axes.axhline(self.state["chance"], color=orange, linestyle="--")
        axes.axhspan(self.state["enough"], 1, color=blue, alpha=0.1)
        for number, dot in enumerate(self.state["dots"], 1):
            x, y = dot["costs"][self.state["cost"]], dot["right"]
            axes.errorbar(
                x["mean"],
                y["mean"],
                xerr=[[x["mean"] - x["low"]], [x["high"] - x["mean"]]],
                yerr=[[y["mean"] - y["low"]], [y["high"] - y["mean"]]],
                fmt="o",
                color=blue,
                label=f"{number} {dot['name']}",
            )
            axes.annotate(str(number), (x["mean"], y["mean"]), (5, 5), textcoords="offset points")
        axes.set(xscale="log", xlabel=f"ms per text, {self.state['cost']}", ylabel="right answers")
        axes.legend(fontsize=7, handlelength=0)
        return figure


def _interval(values: Sequence[float]) -> dict[str, float]:
    found = mean_interval(values)
    return {"mean": found.mean, "low": found.low, "high": found.high}
