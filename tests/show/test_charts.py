"""Altair charts: the same chart live, on the site and as a still picture."""

from __future__ import annotations

from base64 import b64decode

import altair
import pandas as pd
import pytest

from frugal.show import bars, chart, lines, points
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
    known = {"domain": ["b", "a"]}
    assert line["encoding"]["color"]["scale"] == line["encoding"]["strokeDash"]["scale"] == known
    assert line["encoding"]["y"]["scale"] == {"domain": [0.0, 1.0]}
    assert line["encoding"]["y"]["axis"]["format"] == ".0%"
    assert drawn.to_png().startswith(b"\x89PNG")


def test_lines_of_seeds_come_forward_and_panels_stand_below_each_other() -> None:
    frame = pd.DataFrame(
        [
            {"update": n, "right": 0.1 * n, "arm": arm, "rate": "low", "seed": seed, "task": task}
            for n in (1, 2)
            for arm in "ab"
            for seed in (0, 1)
            for task in ("copy", "sort")
        ]
    )
    by_seed = lines(
        frame, "update", "right", by="arm", detail="seed", dash="rate", tell=["task"], alt="Lines."
    ).state["spec"]
    assert by_seed["params"][0]["bind"] == "legend"
    assert by_seed["encoding"]["color"]["title"] == "a line is a seed; click to bring forward"
    assert by_seed["encoding"]["strokeDash"]["field"] == "rate"
    assert [told["field"] for told in by_seed["encoding"]["tooltip"]][-1] == "task"
    panels = lines(
        frame.assign(guess=0.1), "update", "right", by="arm", panel="task", level="guess",
        alt="Two panels.",
    )  # fmt: skip
    assert panels.state["spec"]["vconcat"][0]["layer"][0]["mark"]["type"] == "rule"
    assert [part["title"] for part in panels.state["spec"]["vconcat"]] == ["copy", "sort"]
    assert panels.to_png().startswith(b"\x89PNG")


def test_a_logarithmic_axis_has_its_ticks_at_powers_of_two() -> None:
    frame = pd.DataFrame({"latents": [3, 4, 12], "right": [0.1, 0.5, 0.7], "arm": "one"})
    drawn = lines(frame, "latents", "right", by="arm", log=True, alt="A line.")
    assert drawn.state["spec"]["encoding"]["x"]["axis"]["values"] == [2, 4, 8, 16]
    assert drawn.to_png().startswith(b"\x89PNG")


def test_lines_side_by_side_keep_the_order_of_the_frame() -> None:
    frame = pd.DataFrame(
        {"place": [1, 2, 1, 2], "right": [0.1, 0.5, 0.2, 0.4], "code": ["b", "b", "a", "a"]}
    ).assign(arm="one")
    for bounds in ({}, {"low": "right", "high": "right"}):
        drawn = lines(frame, "place", "right", by="arm", beside="code", alt="Two.", **bounds)
        spec = drawn.state["spec"]
        assert spec["facet"]["column"]["sort"] == ["b", "a"]
        inner = [spec["spec"], *spec["spec"].get("layer", [])]
        assert not any("data" in part for part in inner)  # else each panel shows all of it
        assert drawn.to_png().startswith(b"\x89PNG")


def test_points_have_names_bounds_and_buttons() -> None:
    frame = pd.DataFrame(
        {"time": [0.5, 1.0, 0.7], "right": [0.9, 0.8, 0.3], "mixer": ["a", "b", "a"]}
    ).assign(task=["copy", "copy", "sort"], std=0.1)
    drawn = points(
        frame, "time", "right", name="mixer", spread="std", choose="task", turn=0.8, alt="Points."
    )
    spec = drawn.state["spec"]
    assert spec["layer"][0]["encoding"]["y2"] == {"field": "high"}
    assert spec["params"][0]["bind"]["options"] == ["copy", "sort"]
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["rule", "point", "text", "text"]
    assert drawn.to_png().startswith(b"\x89PNG")
    colored = points(frame, "time", "right", name="mixer", by="task", alt="Points.").state["spec"]
    assert colored["layer"][1]["encoding"]["color"]["sort"] == ["copy", "sort"]
    plain = points(frame, "time", "right", name="mixer", alt="Points.").state["spec"]
    assert [layer["mark"]["type"] for layer in plain["layer"]] == ["point", "text"]


def test_bars_keep_the_order_of_the_frame_and_label_every_fourth() -> None:
    frame = pd.DataFrame({"place": range(8), "share": 0.1, "holds": ["key", "value"] * 4})
    drawn = bars(frame, "place", "share", by="holds", every=4, alt="Bars.")
    encoding = drawn.state["spec"]["encoding"]
    assert encoding["x"]["axis"]["values"] == [0, 4]
    assert encoding["color"]["sort"] == ["key", "value"]
    two = pd.concat([frame.assign(matrix="E"), frame.assign(matrix="F")])
    panels = bars(two, "place", "share", by="holds", panel="matrix", alt="Bars.")
    assert [part["title"] for part in panels.state["spec"]["vconcat"]] == ["E", "F"]
    assert panels.to_png().startswith(b"\x89PNG")


ROWS = pd.DataFrame({"arm": ["a", "b"], "n": [0, 8], "right": [0.5, 0.7], "said": [0.5, "0.7"]})


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda f: lines(f, "arm", "right", by="n", alt="x"), "column 'arm' holds 'a'; it must"),
        (lambda f: lines(f, "n", "said", by="arm", alt="x"), "column 'said' holds '0.7'; it must"),
        (lambda f: lines(f, "n", "right", by="arm", low="arm", high="n", alt="x"), "holds 'a'"),
        (lambda f: lines(f, "n", "rihgt", by="arm", alt="x"), "did you mean 'right'"),
        (lambda f: lines(f, "n", "right", by="arm", tell=["who"], alt="x"), "no column 'who'"),
        (lambda f: lines(f, "n", "right", by="arm", log=True, alt="x"), "goes down to 0; on a log"),
        (lambda f: lines(f[:0], "n", "right", by="arm", alt="x"), "has 0 rows"),
        (lambda f: points(f, "n", "right", name="arm", alt="x"), "goes down to 0; on a log"),
        (lambda f: points(f, "right", "arm", name="n", alt="x"), "column 'arm' holds 'a'"),
        (lambda f: bars(f, "arm", "said", by="n", alt="x"), "column 'said' holds '0.7'"),
        (lambda f: bars(f, "arm", "right", by="m", alt="x"), "no column 'm'"),
    ],
)
def test_a_frame_that_does_not_fit_gets_one_sentence(draw, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        draw(ROWS)


def test_numbers_may_be_missing_and_of_mixed_kinds() -> None:
    frame = ROWS.assign(n=pd.Series([2, 2.5], dtype=object), right=[None, 0.5])
    lines(frame, "n", "right", by="arm", alt="One point is not there.", log=True)
