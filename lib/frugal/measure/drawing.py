"""The picture of a comparison: time, memory and FLOPs over length on log axes.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from frugal.checks import installed
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
    width: int = 250,
    height: int = 150,
    fit_from: int = 0,
    panels: Iterable[str] = tuple(PANELS),
) -> altair.VConcatChart:
    """Panels over length, one below the other; each legend gives the fitted k of length ** k.

    A menu brings one competitor forward in all panels. Lines differ by dash and point shape as
    well as by color. The chart's `description` says in words what it shows.

    frame: what `compare` gave. width, height: of one panel, in pixels; 250 wide fits a
    telephone. fit_from: fit exponents to lengths from here on, where fixed costs no longer show.
    panels: which of "seconds", "peak_bytes" and "flops" to draw.

    Raises ValueError: the frame lacks a column, or has nothing to draw.
    """
    alt = installed("altair", extra="figures")

    names, panels = _names(frame), tuple(panels)
    chosen = alt.param(
        name="competitor",
        value=EVERYONE,
        bind=alt.binding_select(options=[EVERYONE, *names], name="Bring forward "),
    )
    drawn = [
        _panel(frame, column, names, fit_from).properties(width=width, height=height)
        for column in panels
    ]
    return (
        alt.vconcat(*drawn)
        .add_params(chosen)
        .resolve_scale(color="independent", shape="independent", strokeDash="independent")
        .properties(description=describe(frame, fit_from=fit_from, panels=panels))
    )


def describe(
    frame: pd.DataFrame, *, fit_from: int = 0, panels: Iterable[str] = tuple(PANELS)
) -> str:
    """The picture in words, for those who do not see it.

    Raises ValueError: the frame lacks a column, or has nothing to draw.
    """
    names, panels = _names(frame), tuple(panels)
    measured = frame.dropna(subset=["seconds"])
    what = "Time, peak memory and FLOPs" if panels == tuple(PANELS) else _listed(panels)
    sentences = [
        f"{what} of {', '.join(names)} "
        f"over lengths {measured['length'].min()} to {measured['length'].max()}, on log axes."
    ]
    for column in panels:
        quantity = PANELS[column][0]
        growth = [
            f"{exponent:.2f} for {name}"
            for name in names
            if (exponent := _exponent(frame, name, column, fit_from)) is not None
        ]
        if growth:
            sentences.append(f"Exponent of length in {quantity}: {', '.join(growth)}.")
    return " ".join(sentences)


def _listed(panels: tuple[str, ...]) -> str:
    words = " and ".join(PANELS[column][0] for column in panels)
    return words[0].upper() + words[1:]


def _names(frame: pd.DataFrame) -> list[str]:
    missing = {"name", "length", *PANELS} - set(frame.columns)
    if missing:
        raise ValueError(f"frame lacks {sorted(missing)}; it must come from compare().")
    names = list(dict.fromkeys(frame.dropna(subset=["seconds"])["name"]))
    if not names:
        raise ValueError("frame has no measured row, so there is nothing to draw")
    return names


def _rows(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    # a logarithm has no place for a competitor that counts no FLOP
    return frame[frame[column] > 0]


def _exponent(frame: pd.DataFrame, name: str, column: str, fit_from: int) -> float | None:
    rows = _rows(frame, column)
    rows = rows[(rows["name"] == name) & (rows["length"] >= fit_from)]
    if rows["length"].nunique() < 2:
        return None
    return fit_exponent(rows["length"], rows[column]).exponent


def _panel(frame: pd.DataFrame, column: str, names: list[str], fit_from: int) -> altair.LayerChart:
    alt = installed("altair", extra="figures")

    _, title, factor = PANELS[column]
    rows = _rows(frame, column)[["name", "length", column]].copy()
    rows["value"] = rows[column] * factor
    labels = {}
    for name in names:
        exponent = _exponent(frame, name, column, fit_from)
        labels[name] = name if exponent is None else f"{name}: length^{exponent:.2f}"
        if name not in set(rows["name"]):
            labels[name] = f"{name}: none counted"
    legend = alt.Legend(
        title=None,
        orient="bottom",
        direction="vertical",
        offset=8,
        labelExpr=f"{json.dumps(labels)}[datum.label]",
        labelLimit=300,
        symbolOpacity=1,
        symbolDash=[1, 0],
        symbolStrokeWidth=0,
    )
    color = {"shorthand": "name:N", "sort": names, "scale": alt.Scale(domain=names)}
    front = f"competitor == '{EVERYONE}' || competitor == datum.name"
    base = alt.Chart(rows).encode(
        x=alt.X("length:Q", title="length", scale=alt.Scale(type="log", nice=False)).axis(
            values=sorted(set(rows["length"])), labelOverlap="greedy", format=",d", titlePadding=2
        ),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(type="log")).axis(tickCount=4, format="~g"),
        opacity=alt.when(front).then(alt.value(1)).otherwise(alt.value(0.15)),
        tooltip=[
            alt.Tooltip("name:N", title="competitor"),
            alt.Tooltip("length:Q", format=","),
            alt.Tooltip("value:Q", title=title, format=".3~g"),
        ],
    )
    dashes = [DASHES[i % len(DASHES)] for i in range(len(names))]
    lines = base.mark_line().encode(
        color=alt.Color(**color, legend=legend),
        strokeDash=alt.StrokeDash(
            "name:N", legend=legend, scale=alt.Scale(domain=names, range=dashes)
        ),
    )
    points = base.mark_point(filled=True, size=45).encode(
        color=alt.Color(**color, legend=legend),
        shape=alt.Shape("name:N", legend=legend, scale=alt.Scale(domain=names)),
    )
    return lines + points
