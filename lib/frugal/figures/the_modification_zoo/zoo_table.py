"""`ZooTable`: what each modification gained in the paper and here, and who would be adopted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from frugal.checks import one_of, within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents
from frugal.transfer import names, row
from frugal.transfer.agreement import (
    MEASURES,
    REPAIRED,
    Gain,
    family,
    gains,
    paper_gain,
    spearman,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from frugal.results import Result

FORMS = ("published", "repaired")
SORTS = ("order", "paper", "ours", "apart")
DIGITS = 3


class ZooRow(NamedTuple):
    """A modification. paper: its gain over vanilla by measure, in percent. published, repaired:
    ours, by measure; repaired is empty where a row has one form. note: what came in between as the
    paper ran it, or ""."""

    name: str
    family: str
    paper: Mapping[str, float]
    published: Mapping[str, Gain]
    repaired: Mapping[str, Gain]
    note: str = ""


def zoo_rows(record: Result) -> list[ZooRow]:
    """The 51 modifications, the paper's numbers beside those of the experiment `modifications`."""
    ours = {measure: gains(record, measure) for measure in MEASURES}

    def form(name: str) -> dict[str, Gain]:
        return {measure: found[name] for measure, found in ours.items() if name in found}

    return [
        ZooRow(
            name,
            family(name),
            {measure: paper_gain(name, measure) for measure in MEASURES},
            form(name),
            form(name + REPAIRED),
            row(name).confounded,
        )
        for name in names()[1:]
    ]


class ZooTable(Interactive):
    """A point per modification, the paper's gain across and ours upwards, above the table itself.

    measures: name -> title; a row may lack some. threshold: the gain from which on a row would be
    adopted, in percent of vanilla's value. sure: ours must reach it with its whole interval.
    """

    module = "zoo_table.js"
    style = "zoo_table.css"

    def __init__(
        self,
        rows: Sequence[ZooRow],
        measures: Mapping[str, str],
        *,
        measure: str | None = None,
        family: str = "all",
        form: str = "published",
        sort: str = "paper",
        threshold: float | int = 1,
        sure: bool = False,
    ) -> None:
        families = ["all", *dict.fromkeys(one.family for one in rows)]
        measure = next(iter(measures)) if measure is None else measure
        one_of(measures, measure=measure)
        one_of(families, family=family)
        one_of(FORMS, form=form)
        one_of(SORTS, sort=sort)
        within(0, 10, threshold=threshold)
        super().__init__(
            alt=(
                f"{len(rows)} modifications of a Transformer as points: their gain over vanilla in "
                "the paper across, and in this book upwards, with a line at zero and one at the "
                "threshold from which on they would be adopted. Below it the same as a table, "
                "which can be sorted and filtered by family."
            ),
            rows=[_plain(one) for one in rows],
            measures=[[name, title] for name, title in measures.items()],
            families=families,
            measure=measure,
            family=family,
            form=form,
            sort=sort,
            threshold=float(threshold),
            sure=bool(sure),
            chosen="",
        )

    def shown(self) -> list[tuple[str, float, dict[str, Any]]]:
        """The rows that the state shows: name, the paper's gain, ours."""
        return [
            (one["name"], one["paper"][self.state["measure"]], ours) for one, ours in self._found()
        ]

    def _found(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        measure, form, wanted = (self.state[name] for name in ("measure", "form", "family"))
        found = []
        for one in self.state["rows"]:
            ours = one[form].get(measure) or one["published"].get(measure)
            if wanted in ("all", one["family"]) and ours and measure in one["paper"]:
                found.append((one, ours))
        return found

    def correlation(self, *, inside_families: bool = False) -> float:
        """Of the ranks of the rows that are shown, by the library."""
        found, measure = self._found(), self.state["measure"]
        paper, here = (
            [one["paper"][measure] for one, _ in found],
            [ours["ours"] for _, ours in found],
        )
        families = [one["family"] for one, _ in found]
        return spearman(paper, here, families if inside_families else None)

    def picture(self) -> Figure:
        """The points, with the names of those that gain most in the paper."""
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(6, 4.6), layout="constrained")
        shown = sorted(self.shown(), key=lambda one: one[1])
        sizes = sorted(abs(gain) for _, paper, ours in shown for gain in (paper, ours["ours"]))
        far = max(2 * sizes[int(0.75 * len(sizes))], 1) if sizes else 1
        for place, (name, paper, ours) in enumerate(shown):
            self._point(axes, paper, ours, far)
            if place >= len(shown) - 6:
                axes.annotate(name, (max(paper, -far), max(ours["ours"], -far)), fontsize=8)
        axes.axhline(0, color="gray", linewidth=0.8)
        axes.axvline(0, color="gray", linewidth=0.8)
        titles = dict(self.state["measures"])
        axes.set(
            title=f"{titles[self.state['measure']]}: gain over vanilla in percent",
            xlabel="in the paper",
            ylabel="here",
        )
        return figure

    def _point(self, axes: Axes, paper: float, ours: Mapping[str, Any], far: float) -> None:
        blue, orange, green, *_, gray = accents()
        threshold, sure = self.state["threshold"], self.state["sure"]
        enough = (ours.get("low", float("-inf")) if sure else ours["ours"]) >= threshold
        color = [[gray, blue], [orange, green]][bool(paper >= threshold)][bool(enough)]
        axes.plot([max(paper, -far)], [max(ours["ours"], -far)], "o", color=color, markersize=5)


def _plain(row: ZooRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "family": row.family,
        "paper": {name: round(value, DIGITS) for name, value in row.paper.items()},
        **{
            form: {name: _numbers(one) for name, one in getattr(row, form).items()}
            for form in FORMS
        },
        "note": row.note,
    }


def _numbers(one: Gain) -> dict[str, float]:
    """A gain without what it lacks: one seed has no interval."""
    told = one._asdict()
    return {name: round(float(value), DIGITS) for name, value in told.items() if value is not None}
