"""Charts in one call that are no lines: points with names, and bars.

Columns of the frame are named as the axes should be titled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from frugal.checks import installed
from frugal.show.charts import Chart, chart, check_columns, panels

if TYPE_CHECKING:
    import pandas as pd


def points(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    name: str,
    alt: str,
    by: str | None = None,
    spread: str | None = None,
    choose: str | None = None,
    turn: float | None = None,
    form: str = ".2f",
    height: int = 340,
) -> Chart:
    """A point with its name per row: `y`, good when high, over `x` on a logarithmic axis.

    by: a column with a color per value, in the order of the frame. spread: a column, the standard
    deviation of y, drawn to both sides of a point. choose: a column
    of which one value is shown at a time; buttons choose it. turn: from this x on a name stands to
    the left of its point. form: of both numbers in the tooltip.

    Raises ValueError when the frame has no such column, or words where the axes need numbers.
    """
    alt_ = installed("altair", extra="figures")
    check_columns(frame, numbers=[x, y, spread], others=[name, by, choose], above_zero=x)
    up = alt_.Y(field=y, type="quantitative", title=y, scale=alt_.Scale(zero=False))
    across = alt_.X(field=x, type="quantitative", title=x, scale=alt_.Scale(type="log"))
    if spread:
        frame = frame.assign(low=frame[y] - frame[spread], high=frame[y] + frame[spread])
    base = alt_.Chart(frame).encode(x=across)
    if by:
        kinds = frame[by].drop_duplicates().tolist()
        legend = alt_.Legend(orient="top")
        base = base.encode(
            color=alt_.Color(field=by, type="nominal", title=by, sort=kinds, legend=legend)
        )
    if choose:
        options = frame[choose].drop_duplicates().tolist()
        buttons = alt_.binding_radio(options=options, name=f"{choose} ")
        chosen = alt_.param(name="chosen", value=options[0], bind=buttons)
        base = base.transform_filter(alt_.datum[choose] == chosen)
    drawn = base.mark_point(filled=True, size=80).encode(
        y=up,
        tooltip=[
            alt_.Tooltip(field=name, type="nominal"),
            alt_.Tooltip(field=y, type="quantitative", format=form),
            alt_.Tooltip(field=x, type="quantitative", format=form),
        ],
    )
    if spread:
        low = alt_.Y(field="low", type="quantitative", title=y, scale=alt_.Scale(zero=False))
        drawn = base.mark_rule().encode(y=low, y2=alt_.Y2(field="high")) + drawn
    sides = [(base, "left", 7)]
    if turn is not None:
        right = base.transform_filter(alt_.datum[x] >= turn)
        sides = [(base.transform_filter(alt_.datum[x] < turn), "left", 7), (right, "right", -7)]
    for part, align, dx in sides:
        drawn += part.mark_text(align=align, dx=dx, dy=-6, fontSize=11).encode(
            y=up, text=alt_.Text(field=name, type="nominal")
        )
    if choose:
        drawn = drawn.add_params(chosen)
    return chart(drawn.properties(width="container", height=height), alt=alt)


def bars(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    by: str,
    alt: str,
    panel: str | None = None,
    every: int = 1,
    form: str = ".2f",
    height: int = 230,
) -> Chart:
    """A bar of height `y` per `x`, one color per value of `by`, in the order of the frame.

    panel: a column whose values get a chart of their own, one below the other. every: which of the
    x have a label, each fourth for 4. form: of y in the tooltip.

    Raises ValueError when the frame has no such column, or words where y needs numbers.
    """
    alt_ = installed("altair", extra="figures")
    check_columns(frame, numbers=[y], others=[x, by, panel])
    places, kinds = (frame[column].drop_duplicates().tolist() for column in (x, by))
    legend = alt_.Legend(orient="top") if len(kinds) > 1 else None
    labels = alt_.Axis(values=places[::every], labelAngle=0)
    drawn = (
        alt_.Chart(frame)
        .mark_bar()
        .encode(
            x=alt_.X(field=x, type="ordinal", title=x, sort=places, axis=labels),
            y=alt_.Y(field=y, type="quantitative", title=y),
            color=alt_.Color(field=by, type="nominal", title=by, sort=kinds, legend=legend),
            tooltip=[
                alt_.Tooltip(field=x, type="ordinal"),
                alt_.Tooltip(field=by, type="nominal"),
                alt_.Tooltip(field=y, type="quantitative", format=form),
            ],
        )
    )
    drawn = drawn.properties(width="container", height=height)
    return chart(panels(drawn, frame, panel) if panel else drawn, alt=alt)
