"""A recorded benchmark as a dot plot: a row per competitor, a dot per length, 1 is its peer's time.

Chapter: the section Speed of every one that has a benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from frugal.checks import installed
from frugal.show.charts import PANEL_WIDTH, Chart, chart

if TYPE_CHECKING:
    import altair

    from frugal.results import Result

KINDS = ("forward", "training", "both ways", "causal", "layer")
_CASE = re.compile(
    rf"(?:(?P<kind>{'|'.join(KINDS)}) )?"
    r"(?:(?P<batch>batch )?(?P<size>\d{3,}|(?<=batch )\d+),? )?(?P<what>.+)"
)
_TICKS = [power * step for power in (0.001, 0.01, 0.1, 1, 10, 100) for step in (1, 2, 5)]
_ROW = 40  # pixels, with the name above the dots
_BELOW = 9


def dots(
    bench: Result,
    *,
    only: Iterable[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> Chart:
    """A row for each competitor with a dot at the median of its ratios to its peer's time.

    A line through a dot reaches from the lowest to the highest round. What runs forward and what
    trains get a chart each, or a color where there is one length. The short upright mark is what
    the bench promises at most. Its `alt` says the medians in words.

    bench: a result of `experiments.bench`. only: the settings to show, by default all that have a
    peer. names: other names for competitors and peers.

    Raises ValueError: a name in `only` is not in the bench, or none of them has a peer.
    """
    alt = installed("altair", extra="figures")

    frame = _cases(bench, only, dict(names or {}))
    kinds, sizes = (frame[column].dropna().unique().tolist() for column in ("kind", "size"))
    several = len(sizes) > 1
    charts = []
    for kind in kinds if several else [None]:
        rows = frame if kind is None else frame[frame["kind"] == kind]
        by = ("size", str(frame["of"].iloc[0]), sizes) if several else ("kind", "", kinds)
        title = str(kind) if kind and len(kinds) > 1 else ""
        charts.append(_panel(rows, *by).properties(title=alt.TitleParams(title, anchor="start")))
    drawn = (
        charts[0].properties(width="container")
        if len(charts) == 1
        else alt.vconcat(*(one.properties(width=PANEL_WIDTH) for one in charts))
    )
    return chart(drawn, alt=describe_dots(bench, only=only, names=names))


def describe_dots(
    bench: Result,
    *,
    only: Iterable[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> str:
    """The dots in words, for those who do not see them.

    Raises ValueError: as `dots`.
    """
    frame = _cases(bench, only, dict(names or {}))
    sentences = ["Time as a share of that of a peer, medians of rounds in turns."]
    for (kind, row), cases in frame.groupby(["kind", "row"], sort=False):
        told = [
            f"{case['ratio']:.2f}" + (f" at {case['size']:,}" if case["size"] else "")
            for _, case in cases.iterrows()
        ]
        named = f"{kind + ', ' if kind else ''}{row}"
        sentences.append(f"{named[0].upper()}{named[1:]}: {', '.join(told)}.")
    if frame["promised"].notna().any():
        sentences.append("An upright mark is what the book promises at most.")
    return " ".join(sentences)


def _cases(bench: Result, only: Iterable[str] | None, names: dict[str, str]) -> pd.DataFrame:
    """A row per setting that has a peer: what it is, its ratios, and what is promised."""
    asked = list(bench.settings if only is None else only)
    if unknown := [name for name in asked if name not in bench.settings]:
        raise ValueError(f"only has {unknown[0]!r}; '{bench.name}' has {list(bench.settings)}.")
    values, seconds = bench.values("ratio"), bench.values("seconds")
    rows: list[dict[str, Any]] = []
    for setting in asked:
        if setting not in values:
            continue
        case, peer = (
            _CASE.fullmatch(name).groupdict()  # type: ignore[union-attr]
            for name in (setting, bench.settings[setting]["against"])
        )
        what, beside = (names.get(one["what"], one["what"]) for one in (case, peer))
        if case["size"] != peer["size"] and peer["size"]:
            beside += f" at {int(peer['size']):,}"
        ratios = pd.Series(values[setting])
        rows.append(
            {
                "kind": case["kind"] or "",
                "size": int(case["size"] or 0),
                "of": "batch" if case["batch"] else "tokens",
                "row": f"{what} / {beside}",
                "ratio": ratios.median(),
                "low": ratios.min(),
                "high": ratios.max(),
                "ms": 1e3 * pd.Series(seconds[setting]).median(),
                "promised": bench.settings[setting].get("bar"),
            }
        )
    if not rows:
        raise ValueError(f"no setting of '{bench.name}' that is asked for has a peer.")
    return pd.DataFrame(rows)


def _panel(rows: pd.DataFrame, by: str, title: str, order: list[Any]) -> altair.LayerChart:
    alt = installed("altair", extra="figures")

    least = min(rows["low"].min(), 1.0, rows["promised"].astype(float).min())
    most = max(rows["high"].max(), 1.0, rows["promised"].astype(float).max())
    ends = [least / 1.1, most * 1.1]
    ticks = [tick for tick in _TICKS if ends[0] <= tick <= ends[1]]
    share = alt.X(
        "ratio:Q",
        title="time, as a share of the peer's",
        scale=alt.Scale(type="log", domain=ends, nice=False),
        axis=alt.Axis(values=ticks, format="~g"),
    )
    names = rows["row"].drop_duplicates().tolist()
    place = alt.Y("row:N", sort=names, axis=None)
    ramp = by == "size"
    color = alt.Color(
        f"{by}:{'O' if ramp else 'N'}",
        title=title or None,
        sort=order,
        scale=alt.Scale(domain=order),
        legend=alt.Legend(orient="top", format=",d") if ramp else alt.Legend(orient="top"),
    )
    base = alt.Chart(rows)
    even = base.mark_rule(strokeDash=[4, 3], aria=False).encode(x=alt.datum(1.0))
    spread = base.mark_rule(strokeWidth=2, yOffset=_BELOW, aria=False).encode(
        x=alt.X("low:Q", scale=alt.Scale(type="log", domain=ends)), x2="high:Q", y=place
    )
    promised = base.mark_tick(
        aria=False, height=14, thickness=2, yOffset=_BELOW, style="frugal-bar"
    ).encode(x=alt.X("promised:Q", scale=alt.Scale(type="log", domain=ends)), y=place)
    if len(order) > 1:
        base = base.encode(color=color)
    points = base.mark_circle(size=110, opacity=1, yOffset=_BELOW, style="frugal-dot").encode(
        x=share,
        y=place,
        tooltip=[
            alt.Tooltip("row:N", title="of"),
            alt.Tooltip("size:O", title="size", format=",d"),
            alt.Tooltip("ratio:Q", title="share of the time", format=".3f"),
            alt.Tooltip("low:Q", title="lowest round", format=".3f"),
            alt.Tooltip("high:Q", title="highest round", format=".3f"),
            alt.Tooltip("ms:Q", format=",.3~g"),
            alt.Tooltip("promised:Q", title="promised at most", format=".3~g"),
        ],
    )
    words = (
        alt.Chart(rows.drop_duplicates("row"))
        .mark_text(aria=False, align="left", dy=-_BELOW - 1, fontSize=12)
        .encode(x=alt.value(2), y=place, text="row:N")
    )
    return (even + spread + promised + points + words).properties(height=_ROW * len(names))
