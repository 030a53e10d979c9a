"""Altair charts: the same chart live, on the site and as a still picture."""

from __future__ import annotations

from base64 import b64decode

import altair
import pandas as pd
import pytest

from frugal.show import chart, lines
from frugal.show.theme import light_colors, vega_config, with_light_colors

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def line() -> altair.Chart:
    slope = altair.param(name="slope", value=2, bind=altair.binding_range(min=0, max=5, step=1))
    frame = pd.DataFrame({"x": [0, 1, 2]})
    drawn = altair.Chart(frame).mark_line().transform_calculate(y="datum.x * slope")
    return drawn.encode(x="x:Q", y="y:Q").add_params(slope).properties(width="container")


def test_live_chart_is_altairs_widget_with_vega_in_it(line, monkeypatch) -> None:
    monkeypatch.delenv("FRUGAL_SITE", raising=False)
    shown = chart(line, alt="A line.")
    data, _ = shown._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", WIDGET_VIEW}
    widget = shown.widget()
    assert widget.params.slope == 2
    assert "esm.sh" not in widget._esm
    assert len(widget._esm) > 500_000


def test_site_chart_carries_its_specification_and_no_vega(line, monkeypatch) -> None:
    monkeypatch.setenv("FRUGAL_SITE", "1")
    data, _ = chart(line, alt="A line.")._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png", "text/html"}
    assert '"description":"A line."' in data["text/html"]
    assert len(data["text/html"]) - len(data["image/png"]) < 50_000
    assert b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_plain_altair_charts_take_the_same_path(line, monkeypatch) -> None:
    monkeypatch.setenv("FRUGAL_SITE", "1")
    data, _ = line.properties(description="A line in words.")._repr_mimebundle_()
    assert 'aria-label="A line in words."' in data["text/html"]


def test_bad_charts_are_refused(line) -> None:
    with pytest.raises(ValueError, match="alt is ''"):
        chart(line, alt="")
    with pytest.raises(ValueError, match="chart is str; it must be an Altair chart"):
        chart("line", alt="A line.")
    with pytest.raises(ValueError, match="alt is ''"):
        line._repr_mimebundle_()


def test_config_names_properties_that_exist() -> None:
    def leaves(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [value]

    names = {leaf for leaf in leaves(vega_config()) if str(leaf).startswith("--")}
    assert names - {"--frugal-font"} <= set(light_colors())
    assert not [leaf for leaf in leaves(with_light_colors(vega_config())) if "--" in str(leaf)]


def test_lines_keep_the_order_of_the_frame_and_bound_their_points() -> None:
    frame = pd.DataFrame(
        {"updates": [1, 2, 1, 2], "share right": [0.1, 0.5, 0.2, 0.4], "arm": ["b", "b", "a", "a"]}
    ).assign(low=lambda f: f["share right"] - 0.1, high=lambda f: f["share right"] + 0.1)
    drawn = lines(
        frame, "updates", "share right", by="arm", alt="Two lines.", low="low", high="high",
        domain=(0.0, 1.0), form=".0%",
    )  # fmt: skip
    rule, line = drawn.state["spec"]["layer"]
    assert rule["mark"]["type"] == "rule"
    assert rule["encoding"]["y2"] == {"field": "high"}
    assert line["encoding"]["color"]["scale"] == {"domain": ["b", "a"]}
    assert line["encoding"]["strokeDash"]["scale"] == {"domain": ["b", "a"]}  # one legend for both
    assert line["encoding"]["y"]["scale"] == {"domain": [0.0, 1.0]}
    assert line["encoding"]["y"]["axis"]["format"] == ".0%"
    assert drawn.to_png().startswith(b"\x89PNG")


def test_lines_in_panels_keep_the_order_of_the_frame() -> None:
    frame = pd.DataFrame(
        {"place": [1, 2, 1, 2], "right": [0.1, 0.5, 0.2, 0.4], "code": ["b", "b", "a", "a"]}
    ).assign(arm="one")
    for bounds in ({}, {"low": "right", "high": "right"}):
        drawn = lines(frame, "place", "right", by="arm", panels="code", alt="Two.", **bounds)
        spec = drawn.state["spec"]
        assert spec["facet"]["column"]["sort"] == ["b", "a"]
        inner = [spec["spec"], *spec["spec"].get("layer", [])]
        assert not any("data" in part for part in inner)  # else each panel shows all of it
        assert drawn.to_png().startswith(b"\x89PNG")


def test_lines_with_words_at_their_points_can_be_picked_in_the_legend() -> None:
    frame = pd.DataFrame({"passes": [1, 2], "right": [0.1, 0.5], "arm": ["b", "a"]})
    frame = frame.assign(at=["T = 1", "T = 2"], low=0.0, high=1.0)
    drawn = lines(
        frame,
        "passes",
        "right",
        by="arm",
        label="at",
        pick=True,
        low="low",
        high="high",
        alt="Two.",
    )
    *_, words = drawn.state["spec"]["layer"]
    assert words["mark"]["type"] == "text"
    assert words["encoding"]["text"]["field"] == "at"
    assert words["encoding"]["opacity"]["condition"]["value"] == 1
    (picked,) = drawn.state["spec"]["params"]
    assert (picked["bind"], picked["select"]["fields"]) == ("legend", ["arm"])
    assert drawn.to_png().startswith(b"\x89PNG")
