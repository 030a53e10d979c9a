"""The picture of a comparison: time, memory or FLOPs over length, and who overtakes whom.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from frugal.checks import installed, one_of
from frugal.measure.comparison import fit_exponent

if TYPE_CHECKING:
    import altair

PANELS = {
    "seconds": ("time", "time (ms)", 1e3),
    "peak_bytes": ("memory", "peak memory (MiB)", 2.0**-20),
    "flops": ("FLOPs", "GFLOP counted", 1e-9),
}
"""For each column of the frame: its name, the title of its axis, and the factor to its unit."""

DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 1])
EVERYONE = "all"


def draw(
    frame: pd.DataFrame,
    *,
    height: int = 260,
    fit_from: int = 0,
    panels: Iterable[str] = tuple(PANELS),
) -> altair.LayerChart:
    """One panel over length on log axes; the legend has the fitted exponent k of length ** k.

    A switch shows time, memory or FLOPs, and a menu brings one competitor forward. A diamond marks
    where a competitor overtakes the baseline, see `crossovers`; its legend says the length. Lines
    differ by dash and point shape as well as by color. The chart fits its width to the page, and
    its `description` says in words what it shows.

    frame: what `compare` gave, or read back from CSV; what is on the x-axis is its second column,
    "length" unless `x_name` was another. height: of the panel, in pixels. fit_from: fit exponents
    to lengths from here on, where fixed costs no longer show. panels: which of "seconds",
    "peak_bytes" and "flops" can be shown; the first is shown before anyone switches.

    Raises ValueError: the frame lacks a column, or has nothing to draw, or there is no such panel.
    """
    alt = installed("altair", extra="figures")

    panels = _panels(panels)
    words = describe(frame, fit_from=fit_from, panels=panels)
    x, frame = _by_length(frame)
    names = _names(frame)
    titles = {PANELS[column][0]: PANELS[column][1] for column in panels}
    quantity = alt.param(
        name="quantity",
        value=next(iter(titles)),
        bind=alt.binding_radio(options=[*titles], name="Show "),
    )
    chosen = alt.param(
        name="competitor",
        value=EVERYONE,
        bind=alt.binding_select(options=[EVERYONE, *names], name="Bring forward "),
    )
    several = len(panels) > 1
    legend = _legend(frame, names, panels, fit_from, several=several)
    title = None if several else titles[next(iter(titles))]
    drawn = _lines(_points(frame, panels), names, legend, title, x, several=several)
    if "seconds" in panels and (found := crossovers(frame)):
        drawn += _diamonds(frame, names, found, several=several)
    if several:
        head = alt.TitleParams(
            text=alt.ExprRef(expr=f"{json.dumps(titles)}[quantity]"),
            anchor="start",
            fontSize=13,
            fontWeight="normal",
        )
        drawn = drawn.properties(title=head).add_params(quantity)
    return drawn.add_params(chosen).properties(
        width="container",
        height=height,
        description=words,
    )


def crossovers(frame: pd.DataFrame) -> dict[str, float]:
    """From which length on a competitor is faster than the baseline, for those that overtake it.

    It lies between two measured lengths: the last at which the competitor takes at least the time
    of the baseline, and the next; there both times are taken as straight lines on log axes. Who is
    faster at every length, or not at the longest, is left out.

    frame: what `compare` gave; the baseline is the one whose every ratio is 1. Without one, nobody
    is compared. Gives `{name: length}`.

    Raises ValueError: the frame lacks a column, or has no measured row.
    """
    found: dict[str, float] = {}
    _, frame = _by_length(frame)
    names = _names(frame)
    if _baseline(frame) is None:
        return found
    for name in names:
        rows = frame[(frame["name"] == name) & (frame["ratio"] > 0)].sort_values("length")
        lengths = rows["length"].to_list()
        logs = [math.log(ratio) for ratio in rows["ratio"]]
        behind = [place for place, log in enumerate(logs) if log >= 0]
        if not behind or behind[-1] + 1 == len(logs):
            continue
        last = behind[-1]
        share = logs[last] / (logs[last] - logs[last + 1])
        found[name] = lengths[last] * (lengths[last + 1] / lengths[last]) ** share
    return found


def describe(
    frame: pd.DataFrame, *, fit_from: int = 0, panels: Iterable[str] = tuple(PANELS)
) -> str:
    """The picture in words, for those who do not see it.

    Raises ValueError: the frame lacks a column, or has nothing to draw.
    """
    panels = _panels(panels)
    x, frame = _by_length(frame)
    names = _names(frame)
    measured = frame.dropna(subset=["seconds"])
    what = "Time, peak memory and FLOPs" if panels == tuple(PANELS) else _listed(panels)
    many = "lengths" if x == "length" else f"{x} from"
    sentences = [
        f"{what} of {'; '.join(names)} "
        f"over {many} {measured['length'].min()} to {measured['length'].max()}, on log axes."
    ]
    for column in panels:
        quantity = PANELS[column][0]
        growth = [
            f"{exponent:.2f} for {name}"
            for name in names
            if (exponent := _exponent(frame, name, column, fit_from)) is not None
        ]
        if growth:
            sentences.append(f"Exponent of {x} in {quantity}: {'; '.join(growth)}.")
    if "seconds" in panels:
        for name, length in crossovers(frame).items():
            sentences.append(
                f"{name} is faster than {_baseline(frame)} from about {_near(length)}."
            )
    return " ".join(sentences)


def _panels(panels: Iterable[str]) -> tuple[str, ...]:
    """The columns that can be shown, in the order asked for."""
    chosen = (panels,) if isinstance(panels, str) else tuple(panels)
    if not chosen:
        raise ValueError(f"panels is empty; it must hold one or more of {', '.join(PANELS)}.")
    for panel in chosen:
        one_of(PANELS, panels=panel)
    return chosen


def _listed(panels: tuple[str, ...]) -> str:
    words = " and ".join(PANELS[column][0] for column in panels)
    return words[0].upper() + words[1:]


def _by_length(frame: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """What is on the x-axis, the column behind "name" if none is "length"; and it as "length"."""
    columns = list(frame.columns)
    behind = columns[columns.index("name") + 1 :] if "name" in columns else []
    if "length" in columns or not behind or behind[0] in PANELS:
        return "length", frame
    return behind[0], frame.rename(columns={behind[0]: "length"})


def _near(length: float) -> str:
    """Two digits: the lengths beside it are a factor apart."""
    return f"{float(f'{length:.2g}'):,.0f}"


def _names(frame: pd.DataFrame) -> list[str]:
    missing = {"name", "length", *PANELS} - set(frame.columns)
    if missing:
        raise ValueError(f"frame lacks {sorted(missing)}; it must come from compare().")
    names = list(dict.fromkeys(frame.dropna(subset=["seconds"])["name"]))
    if not names:
        raise ValueError("frame has no measured row; it must have one to draw.")
    return names


def _baseline(frame: pd.DataFrame) -> str | None:
    if "ratio" not in frame or "against" in frame:  # on a GPU each has a peer of its own
        return None
    ratios = frame.dropna(subset=["ratio"]).groupby("name", sort=False)["ratio"]
    alone = [name for name, values in ratios if (values == 1).all()]
    return str(alone[0]) if len(alone) == 1 else None


def _points(frame: pd.DataFrame, panels: tuple[str, ...]) -> pd.DataFrame:
    """One row a point of any panel, in its unit."""
    parts = []
    for column in panels:
        quantity, _, factor = PANELS[column]
        rows = frame[frame[column] > 0]  # a logarithm has no place for none
        values = {"quantity": quantity, "value": rows[column] * factor}
        parts.append(rows[["name", "length"]].assign(**values))
    return pd.concat(parts, ignore_index=True)


def _exponent(frame: pd.DataFrame, name: str, column: str, fit_from: int) -> float | None:
    rows = frame[(frame[column] > 0) & (frame["name"] == name) & (frame["length"] >= fit_from)]
    if rows["length"].nunique() < 2:
        return None
    return fit_exponent(rows["length"], rows[column]).exponent


def _legend(
    frame: pd.DataFrame,
    names: list[str],
    panels: tuple[str, ...],
    fit_from: int,
    *,
    several: bool,
) -> altair.Legend:
    alt = installed("altair", extra="figures")

    found, first = crossovers(frame), _baseline(frame)
    labels: dict[str, dict[str, list[str]]] = {}  # a second line: the whole must fit a phone
    for column in panels:
        said = labels.setdefault(PANELS[column][0], {})
        for name in names:
            exponent = _exponent(frame, name, column, fit_from)
            grows = "" if exponent is None else f"exponent {exponent:.2f}"
            if not (frame[frame["name"] == name][column] > 0).any():
                grows = "none counted"
            said[name] = [f"{name}: {grows}" if grows else name]
            if column == "seconds" and name in found:
                said[name].append(f"passes {first} at {_near(found[name])}")
    spoken = json.dumps(labels, ensure_ascii=False)
    which = "quantity" if several else json.dumps(PANELS[panels[0]][0])
    return alt.Legend(
        title=None,
        orient="bottom",
        direction="vertical",
        offset=8,
        labelExpr=f"{spoken}[{which}][datum.label]",
        labelLimit=340,
        symbolOpacity=1,
        symbolDash=[1, 0],
        symbolStrokeWidth=0,
    )


def _forward() -> Any:
    alt = installed("altair", extra="figures")

    seen = f"competitor == '{EVERYONE}' || competitor == datum.name"
    return alt.when(seen).then(alt.value(1)).otherwise(alt.value(0.15))


def _lines(
    rows: pd.DataFrame,
    names: list[str],
    legend: altair.Legend,
    title: str | None,
    x: str,
    *,
    several: bool,
) -> altair.LayerChart:
    alt = installed("altair", extra="figures")

    known = alt.Scale(domain=names)
    color = alt.Color("name:N", sort=names, scale=known, legend=legend)
    axis = {"values": sorted(set(rows["length"])), "labelOverlap": "greedy", "format": ",d"}
    base = alt.Chart(rows).encode(
        x=alt.X("length:Q", title=x, scale=alt.Scale(type="log", nice=False)).axis(
            **axis, titlePadding=2
        ),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(type="log")).axis(tickCount=4, format="~g"),
        color=color,
        opacity=_forward(),
        tooltip=[
            alt.Tooltip("name:N", title="competitor"),
            alt.Tooltip("length:Q", title=x, format=","),
            alt.Tooltip("value:Q", title=title or "value", format=".3~g"),
        ],
    )
    if several:
        base = base.transform_filter("datum.quantity == quantity")
    dashes = alt.Scale(domain=names, range=[DASHES[i % len(DASHES)] for i in range(len(names))])
    return base.mark_line().encode(
        strokeDash=alt.StrokeDash("name:N", legend=legend, scale=dashes)
    ) + base.mark_point(filled=True, size=45).encode(
        shape=alt.Shape("name:N", legend=legend, scale=known)
    )


def _diamonds(
    frame: pd.DataFrame, names: list[str], found: dict[str, float], *, several: bool
) -> altair.Chart:
    """Where a competitor's line crosses the baseline's, on the line of the baseline."""
    alt = installed("altair", extra="figures")

    first = _baseline(frame)
    along = frame[(frame["name"] == first) & (frame["seconds"] > 0)].sort_values("length")
    x, y = (np.log(along[column].to_numpy(dtype=float)) for column in ("length", "seconds"))
    factor = PANELS["seconds"][2]
    marks = pd.DataFrame(
        {
            "name": list(found),
            "length": list(found.values()),
            "value": [factor * math.exp(np.interp(math.log(n), x, y)) for n in found.values()],
            "passes": [f"passes {first} at about {_near(length)}" for length in found.values()],
        }
    )
    drawn = alt.Chart(marks)
    if several:
        drawn = drawn.transform_filter(f"quantity == '{PANELS['seconds'][0]}'")
    return drawn.mark_point(shape="diamond", size=150, strokeWidth=2).encode(
        x=alt.X("length:Q"),
        y=alt.Y("value:Q"),
        color=alt.Color("name:N", sort=names, scale=alt.Scale(domain=names)),
        opacity=_forward(),
        tooltip=[alt.Tooltip("name:N", title="competitor"), alt.Tooltip("passes:N", title="")],
    )
