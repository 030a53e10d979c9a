"""Altair charts that work offline: live in JupyterLab, and on the site with Vega from the site.

`chart(altair_chart, alt="…")` is the way to show one. Importing this module also makes a plain
Altair chart at the end of a cell use the same path; its `description` is then the alternative text.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from frugal.checks import did_you_mean, installed
from frugal.show.interactive import Interactive
from frugal.show.theme import vega_config, with_light_colors

if TYPE_CHECKING:
    import altair
    import pandas as pd
    from anywidget import AnyWidget

_STILL_WIDTH = 600
_SMALL_WIDTH = 130
PANEL_WIDTH = 560  # charts that stand one below the other cannot fit themselves to the page


class Chart(Interactive):
    """A Vega-Lite specification as a figure of the book; `chart` makes one."""

    module = "charts.js"

    def __init__(self, spec: dict[str, Any], *, alt: str) -> None:
        super().__init__(spec={**spec, "description": alt}, config=vega_config(), alt=alt)

    def picture(self) -> Any:
        raise NotImplementedError("Vega draws a chart's still picture; to_png() has it.")

    def to_png(self) -> bytes:
        """The chart as it stands before anyone moves it."""
        vl_convert = installed("vl_convert", extra="figures")
        spec = copy.deepcopy(self.state["spec"])
        if spec.get("width") == "container":
            spec["width"] = _STILL_WIDTH
        config = {**with_light_colors(self.state["config"]), "background": "white"}
        return vl_convert.vegalite_to_png(spec, vl_version=_vegalite_version(), config=config)

    def _new_widget(self, closed: AnyWidget | None) -> AnyWidget:
        """Altair's own widget, with Vega in it; its `params` are traits."""
        altair = installed("altair", extra="figures")
        altair.JupyterChart.enable_offline()
        config = {**with_light_colors(self.state["config"]), "background": "white"}
        return altair.JupyterChart(
            altair.Chart.from_dict(self.state["spec"]),
            embed_options={"actions": False, "config": config},
        )


def chart(chart: altair.TopLevelMixin, *, alt: str) -> Chart:
    """Show any Altair chart; `alt` says in words what it shows.

    Bound parameters and selections work on the site as they do live, and colors that the chart
    leaves open follow the page between light and dark. `width="container"` fits it to the page.

    Raises ValueError for something that is no chart, and for an empty `alt`.
    """
    if not hasattr(chart, "to_dict"):
        raise ValueError(f"chart is {type(chart).__name__}; it must be an Altair chart.")
    return Chart(chart.to_dict(), alt=alt)


def lines(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    by: str,
    alt: str,
    low: str | None = None,
    high: str | None = None,
    detail: str | None = None,
    dash: str | None = None,
    panel: str | None = None,
    beside: str | None = None,
    level: str | None = None,
    tell: Sequence[str] = (),
    log: bool = False,
    domain: tuple[float, float] | None = None,
    form: str = ".2f",
    points: bool = True,
    height: int = 230,
) -> Chart:
    """Lines of `y` over `x`, one color and one dash per value of `by`, in the order of the frame.

    frame: one row a point; columns are named as the axes should be titled. low, high: columns that
    bound an interval, drawn as a rule at each point. detail: a column whose values are lines of
    their own, such as seeds; a click on a name in the legend brings its lines forward. dash: a
    column that decides the dash in the place of `by`. panel: a column whose values get a chart of
    their own, one below the other. beside: the same with small charts, side by side. level: a
    column whose value is a dashed line across, such as what a guess has. tell: more columns for the
    tooltip. log: x by powers of two. domain: of y, else what the points need. form: of y, on the
    axis and in the tooltip.

    Raises ValueError when the frame has no such column, or words where the axes need numbers: over
    words stand `bars`.
    """
    alt_ = installed("altair", extra="figures")
    check_columns(
        frame,
        numbers=[x, y, low, high, level],
        others=[by, detail, dash, panel, beside, *tell],
        above_zero=x if log else None,
    )

    series = frame[by].drop_duplicates().tolist()
    legend = None
    if len(series) > 1:
        limits = {"columns": 2, "labelLimit": 300, "titleLimit": 400}
        legend = alt_.Legend(orient="top", symbolType="stroke", **limits)
    title = f"a line is a {detail}; click to bring forward" if detail and legend else None
    known = alt_.Scale(domain=series)  # spelled out, or layers show two legends, colors and dashes
    across = alt_.Scale(type="log", base=2) if log else alt_.Scale(zero=False)
    up = alt_.Scale(domain=list(domain)) if domain else alt_.Scale(zero=False)
    ticks = alt_.Axis()
    if log:
        first, final = math.floor(math.log2(frame[x].min())), math.ceil(math.log2(frame[x].max()))
        ticks = alt_.Axis(values=[2.0**power for power in range(first, final + 1)])
    base = alt_.Chart(frame).encode(
        x=alt_.X(field=x, type="quantitative", title=x, scale=across, axis=ticks),
        color=alt_.Color(field=by, type="nominal", title=title, scale=known, legend=legend),
    )
    if detail:
        base = base.encode(detail=alt_.Detail(field=detail, type="nominal"))
    axis = alt_.Axis(format=form)
    names = frame[dash].drop_duplicates().tolist() if dash else series
    dots = {"size": 18} if points and detail else points
    drawn = base.mark_line(point=dots).encode(
        y=alt_.Y(field=y, type="quantitative", title=y, scale=up, axis=axis),
        strokeDash=alt_.StrokeDash(
            field=dash or by,
            type="nominal",
            title=None if dash else title,
            scale=alt_.Scale(domain=names),
            legend=None if dash else legend,
        ),
        tooltip=[
            alt_.Tooltip(field=by, type="nominal"),
            alt_.Tooltip(field=x, type="quantitative"),
            alt_.Tooltip(field=y, type="quantitative", format=form),
            *(alt_.Tooltip(field=name, type="nominal") for name in tell),
        ],
    )
    if title:
        chosen = alt_.selection_point(name="forward", fields=[by], bind="legend")
        seen = alt_.when(chosen).then(alt_.value(1)).otherwise(alt_.value(0.12))
        drawn = drawn.encode(opacity=seen).add_params(chosen)
    if low and high:
        spread = base.mark_rule().encode(
            y=alt_.Y(field=low, type="quantitative", title=y, scale=up, axis=axis),
            y2=alt_.Y2(field=high),
        )
        drawn = spread + drawn
    if level:
        across = alt_.Y(field=level, aggregate="mean", type="quantitative", title=y, scale=up)
        drawn = alt_.Chart(frame).mark_rule(strokeDash=[4, 3]).encode(y=across) + drawn
    drawn = drawn.properties(width="container", height=height)
    if beside:
        order = frame[beside].drop_duplicates().tolist()
        drawn = drawn.properties(width=_SMALL_WIDTH).facet(
            column=alt_.Column(field=beside, type="nominal", sort=order, title=None)
        )
    return chart(panels(drawn, frame, panel) if panel else drawn, alt=alt)


def check_columns(
    frame: pd.DataFrame,
    *,
    numbers: Iterable[str | None],
    others: Iterable[str | None] = (),
    above_zero: str | None = None,
) -> None:
    """The frame has rows and these columns, those of an axis with numbers in them.

    Nothing is asked of None. above_zero: a column that stands on a logarithmic axis.
    """
    of_axes = [name for name in numbers if name is not None]
    for name in [*of_axes, *(name for name in others if name is not None)]:
        if name not in frame.columns:
            known = list(frame.columns)
            raise ValueError(
                f"frame has no column {name!r}; it has {known}{did_you_mean(name, known)}."
            )
    if frame.empty:
        raise ValueError("frame has 0 rows; it must have one or more.")
    for name in of_axes:
        others = [one for one in frame[name].dropna() if not isinstance(one, Real)]
        if others:
            raise ValueError(
                f"column {name!r} holds {others[0]!r}; it must hold numbers. Bars take words."
            )
    if above_zero is not None and not frame[above_zero].min() > 0:
        raise ValueError(
            f"column {above_zero!r} goes down to {frame[above_zero].min():g}; on a logarithmic "
            "axis it must be above 0."
        )


def panels(drawn: Any, frame: pd.DataFrame, column: str) -> altair.VConcatChart:
    """The same chart for each value of a column, one below the other."""
    alt_ = installed("altair", extra="figures")

    return alt_.vconcat(
        *(
            drawn.transform_filter(alt_.datum[column] == value).properties(
                title=str(value), width=PANEL_WIDTH
            )
            for value in frame[column].drop_duplicates()
        )
    )


def _vegalite_version() -> str:
    altair = installed("altair", extra="figures")
    return ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def _renderer(spec: dict[str, Any], **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    alt = spec.get("description", "")
    return Chart(spec, alt=alt)._repr_mimebundle_()


def _enable() -> None:
    """Nothing where Altair is not installed: `chart` says so when it is called."""
    try:
        import altair
    except ImportError:
        return
    altair.renderers.register("frugal", _renderer)
    altair.renderers.enable("frugal")


_enable()
