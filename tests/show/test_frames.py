"""`interact`: live controls, and the same results computed beforehand for the site."""

from __future__ import annotations

import ipywidgets
import matplotlib
import pandas as pd
import pytest

from frugal.show import interact

matplotlib.use("agg")

from matplotlib import pyplot as plt


def powers(base: int, exponent: int) -> str:
    """Powers of a number."""
    return f"{base} to the {exponent} is {base**exponent}"


@pytest.fixture(autouse=True)
def no_figures() -> None:
    """Other tests of the same process may have left figures open."""
    plt.close("all")


@pytest.fixture
def site(monkeypatch) -> None:
    monkeypatch.setenv("FRUGAL_SITE", "1")


@pytest.fixture
def live(monkeypatch) -> None:
    monkeypatch.delenv("FRUGAL_SITE", raising=False)


@pytest.mark.usefixtures("live")
def test_live_is_ipywidgets() -> None:
    made = interact(powers, base=[2, 3], exponent=["1", "2"], alt="Powers.")
    assert isinstance(made, ipywidgets.interactive)
    assert [type(child) for child in made.children[:2]] == [
        ipywidgets.SelectionSlider,
        ipywidgets.Dropdown,
    ]


@pytest.mark.usefixtures("live")
def test_live_passes_the_values_themselves() -> None:
    seen = []
    made = interact(
        lambda x, on: seen.append((x, on)), x=[0.5, 1.5], on=[True, False], alt="Calls."
    )
    made.children[0].value = 1.5
    made.update()
    assert made.kwargs == {"x": 1.5, "on": True}
    assert seen[-1] == (1.5, True)


@pytest.mark.usefixtures("site")
def test_frames_are_in_the_order_that_the_page_counts_in() -> None:
    frames = interact(powers, base=[2, 3], exponent=[1, 2, 3])
    texts = [frame.removeprefix("<pre>").removesuffix("</pre>") for frame in frames.state["frames"]]
    assert texts == [powers(base, exponent) for base in (2, 3) for exponent in (1, 2, 3)]
    assert frames.alt == "Powers of a number."
    assert [control["kind"] for control in frames.state["controls"]] == ["slider", "slider"]


@pytest.mark.usefixtures("site")
def test_first_value_is_shown_first_even_in_a_checkbox() -> None:
    frames = interact(lambda on: f"on is {on}", on=[True, False], alt="A switch.")
    assert frames.state["controls"][0] == {
        "label": "on",
        "kind": "checkbox",
        "values": ["False", "True"],
        "first": 1,
    }
    assert frames.state["choice_0"] == 1
    assert frames._still == "on is True"


@pytest.mark.usefixtures("site")
def test_figures_tables_and_prints_become_html() -> None:
    def shows(kind: str):
        print("printed <b>")
        if kind == "table":
            return pd.DataFrame({"x": [1]})
        plt.plot([1, 2])
        return plt.gcf() if kind == "returned" else None

    table, drawn, returned = interact(
        shows, kind=["table", "drawn", "returned"], alt="Kinds."
    ).state["frames"]
    assert "<table" in table
    for frame in (drawn, returned):
        assert frame.count("<svg") == 1
        assert 'aria-label="Kinds. (kind ' in frame
    assert "printed &lt;b&gt;" in table
    assert not plt.get_fignums(), "figures are closed, or the cell shows them again"


@pytest.mark.usefixtures("site")
def test_a_figure_left_open_is_not_drawn_into() -> None:
    left, axes = plt.subplots()
    frame = interact(lambda x: plt.plot([x, 2]) and None, x=[1], alt="A line.").state["frames"][0]
    assert frame.count("<svg") == 1
    assert not axes.lines
    assert plt.get_fignums() == [left.number]
    plt.close(left)


@pytest.mark.usefixtures("site")
def test_a_still_picture_is_the_first_figure() -> None:
    def draws(k: int):
        figure, axes = plt.subplots()
        axes.plot([0, k])
        return figure

    frames = interact(draws, k=[1, 2], alt="A line.")
    assert frames.to_png().startswith(b"\x89PNG")


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "options is empty"),
        ({"base": "23", "exponent": [1]}, "base is '23'"),
        ({"base": [], "exponent": [1]}, r"base is \[\]"),
        ({"base": list(range(100)), "exponent": [1, 2, 3]}, "300 combinations; at most 200"),
    ],
)
def test_bad_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        interact(powers, **options)


@pytest.mark.usefixtures("site")
def test_heavy_results_and_missing_words_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 1 MB after 2 combinations"):
        interact(lambda k: "x" * 600_000, k=[1, 2, 3], alt="Heavy.")
    with pytest.raises(ValueError, match="alt is missing"):
        interact(lambda k: k, k=[1, 2])
