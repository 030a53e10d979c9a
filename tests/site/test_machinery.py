"""What figures stand on, in a browser and without a book: the model, controls, frames, charts."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import altair
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from booktools.assets import vega_script
from frugal.show import chart, interact, lines
from frugal.show.interactive import Interactive
from frugal.show.modules import bundle

LEVER = Path(__file__).parents[1] / "show" / "figures" / "lever.py"
CONTROLS = Path(__file__).parents[2] / "lib" / "frugal" / "show" / "controls.js"


@pytest.fixture(scope="module")
def lever() -> ModuleType:
    specification = importlib.util.spec_from_file_location("lever", LEVER)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["lever"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def show(visit, tmp_path) -> Callable[..., Page]:
    """Opens a page from disk that holds the figures' HTML."""

    def show(*parts: Interactive | str) -> Page:
        html = "\n".join(part if isinstance(part, str) else part.to_html() for part in parts)
        path = tmp_path / "page.html"
        head = '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        path.write_text(f"{head}<title>Figures</title><body>{html}</body>", encoding="utf-8")
        return visit.open(path.as_uri())

    return show


def test_state_and_controls_follow_each_other(show, visit, lever) -> None:
    page = show(lever.Lever(turn=3), lever.Lever(turn=5))
    one, other = page.locator(".frugal-figure").all()
    slider = one.get_by_label("Turn")
    slider.press("ArrowRight")
    assert one.evaluate("(it) => it.model.get('turn')") == 4
    expect(one.locator(".frugal-readout")).to_have_text("16 cm² left")
    expect(one.locator("output")).to_have_text("4")
    expect(other.locator(".frugal-readout")).to_have_text("25 cm² left")

    one.evaluate("(it) => it.model.set({ turn: 7, unit: 'm', way: 'right', signed: true })")
    expect(slider).to_have_value("7")
    expect(one.get_by_label("Unit").locator("option:checked")).to_have_text("metre")
    expect(one.get_by_label("right")).to_be_checked()
    expect(one.get_by_label("Signed")).to_be_checked()
    expect(one.locator(".frugal-readout")).to_have_text("49 m² right")

    one.get_by_role("button", name="Add one").press("Enter")
    assert one.evaluate("(it) => it.model.get('turn')") == 8
    assert not visit.errors


def test_model_tells_listeners_once_and_until_they_leave(show, lever) -> None:
    page = show(lever.Lever(turn=3))
    told = page.locator(".frugal-figure").evaluate("""({ model }) => {
      const told = [];
      const one = (_, value) => told.push(["turn", value]);
      const any = () => told.push(["any"]);
      model.on("change:turn change:unit", one);
      model.on("change", any);
      model.set("turn", 4);
      model.set("turn", 4);
      model.set("unit", "m");
      model.off("change:turn", one);
      model.off("change", any);
      model.set("turn", 5);
      model.off();
      model.set("unit", "cm");
      model.save_changes();
      return told;
    }""")
    assert told == [["turn", 4], ["any"], ["turn", "m"], ["any"]]


def test_cleanup_is_kept_and_stops_the_figure(show, lever) -> None:
    page = show(lever.Lever(turn=3))
    figure = page.locator(".frugal-figure")
    figure.evaluate("(it) => { it.cleanup(); it.model.set('turn', 9); }")
    expect(figure.locator(".frugal-readout")).to_have_text("9 cm² left")


def test_a_module_that_fails_leaves_the_still_picture(show, visit, lever, tmp_path) -> None:
    broken = tmp_path / "broken.js"
    broken.write_text(
        "export default { render({ el }) { el.append('half'); throw new Error('no'); } };"
    )

    class Broken(lever.Lever):
        module = broken

    page = show(Broken(turn=3), lever.Lever(turn=5))
    first, second = page.locator(".frugal-figure").all()
    expect(first.locator("img")).to_be_visible()
    assert first.locator("img").get_attribute("alt") == "A lever and its square."
    expect(first).not_to_contain_text("half")
    expect(second.locator(".frugal-readout")).to_have_text("25 cm² left")
    assert len(visit.errors) == 1
    assert "could not be drawn" in visit.errors[0]


def test_frames_show_the_chosen_combination(show, visit, monkeypatch) -> None:
    monkeypatch.setenv("FRUGAL_SITE", "1")
    frames = interact(
        lambda x, kind, on: f"x={x} kind={kind} on={on}",
        x=[0.5, 1.5, 2.5],
        kind=["a", "b"],
        on=[True, False],
        alt="What was chosen.",
    )
    page = show(frames)
    shown = page.locator(".frugal-frame")
    expect(shown).to_have_text("x=0.5 kind=a on=True")
    page.get_by_label("x").press("ArrowRight")
    expect(shown).to_have_text("x=1.5 kind=a on=True")
    page.get_by_label("on").press("Space")
    expect(shown).to_have_text("x=1.5 kind=a on=False")
    page.get_by_label("kind").select_option(label="b")
    expect(shown).to_have_text("x=1.5 kind=b on=False")
    page.get_by_label("x").press("End")
    expect(shown).to_have_text("x=2.5 kind=b on=False")
    expect(page.locator("output")).to_have_text("2.5")
    assert not visit.errors


@pytest.fixture
def line() -> Interactive:
    bind = altair.binding_range(min=0, max=5, step=1, name="Slope ")
    slope = altair.param(name="slope", value=2, bind=bind)
    frame = pd.DataFrame({"x": [0, 1, 2]})
    scale = altair.Scale(domain=[0, 10])
    drawn = altair.Chart(frame).mark_line().transform_calculate(y="datum.x * slope")
    drawn = drawn.encode(x="x:Q", y=altair.Y("y:Q", scale=scale)).add_params(slope)
    return chart(drawn.properties(width="container"), alt="A line.")


def test_charts_move_fit_and_follow_the_theme(show, visit, line) -> None:
    page = show(f"<script>{vega_script()}</script>", line)
    figure = page.locator(".frugal-figure")
    mark = figure.locator(".mark-line path")
    before = mark.get_attribute("d")
    assert mark.get_attribute("stroke") == "#0068a8"
    figure.get_by_label("Slope").press("ArrowRight")
    expect(mark).not_to_have_attribute("d", before or "")
    assert figure.evaluate("(it) => it.model.get('slope')") == 3

    moved = mark.get_attribute("d")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(mark).to_have_attribute("stroke", "#5cb8f2")
    expect(mark).to_have_attribute("d", moved or "")
    expect(figure.get_by_label("Slope")).to_have_value("3")

    for width in (375, 1200):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(
            """() => { const svg = document.querySelector(".frugal-chart svg");
              return Math.abs(svg.clientWidth - svg.closest(".frugal-stage").clientWidth) < 10; }"""
        )
    assert not visit.errors


def test_panels_below_each_other_fit_the_page(show, visit) -> None:
    frame = pd.DataFrame({"x": [1, 2] * 2, "y": [1.0, 2.0] * 2, "part": list("aabb"), "by": "one"})
    drawn = lines(frame, "x", "y", by="by", panel="part", alt="Two charts.")
    page = show(f"<script>{vega_script()}</script>", drawn)
    for width in (375, 1200, 375):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(
            """() => { const svg = document.querySelector(".frugal-chart svg");
              const excess = svg.clientWidth - svg.closest(".frugal-stage").clientWidth;
              return excess <= 0 && excess > -40; }"""
        )
    assert not visit.errors


def test_a_chart_without_vega_stays_a_picture(show, visit, line) -> None:
    page = show(line)
    expect(page.locator(".frugal-figure img")).to_be_visible()
    assert "Vega" in visit.errors[0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.7, "1.00 kB"),
        (1234567, "1.23 MB"),
        (999_600_000, "1.00 GB"),
        (0.25, "0.250 B"),
        (-4096, "-4.10 kB"),
    ],
)
def test_quantities_have_three_digits_and_a_prefix(visit, value, words) -> None:
    assert visit.page.evaluate(f"({bundle(CONTROLS)}).quantity({value}, 'B')") == words
