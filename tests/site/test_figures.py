"""Every control of every figure is moved by keyboard, and the picture is seen to change."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from tests.browsing import changes_of_height, look_of
from tests.site.conftest import WITH_FIGURES, show_in

# What changes a little later, or goes on by itself, would look like an answer.
STANDS_STILL = ".frugal-figure * { transition: none !important; animation: none !important; }"
# Controls stay usable and are not part of the picture: a moved thumb is not a changed picture.
HIDE_CONTROLS = f"""
{STANDS_STILL}
.frugal-toolbar, .vega-bindings, .frugal-control,
.frugal-figure :is(input, select, button, output) {{ opacity: 0 !important; }}
.frugal-figure * {{ caret-color: transparent !important; }}
"""
# What a reader may press to move each kind of control, until the picture has changed.
KEYS = {
    "range": ("ArrowRight", "ArrowLeft", "End", "Home"),
    "radio": ("ArrowRight", "ArrowLeft"),
    "checkbox": ("Space",),
    "select": ("ArrowDown", "ArrowUp", "End", "Home"),
    "button": ("Enter",),
    "number": ("ArrowUp", "ArrowDown"),
    "text": ("End", "Backspace"),
    None: (),
}
# The same place again, so that nothing but the figure's own look can differ.
TO_THE_MIDDLE = "(it) => it.scrollIntoView({ block: 'center', behavior: 'instant' })"
WHOLE = (1280, 2400)
"""A window that holds every figure: pictures of what is beyond it take ten times as long."""
# Of a figure's controls, for the two scripts below: all, which can be used, and of which kind.
OF_CONTROLS = """
  const all = [...figure.querySelectorAll("input, select, button")];
  const usable = (it) => !it.disabled && !it.closest("[inert]");
  const kind = (it) => (it.tagName === "INPUT" ? it.type : it.tagName.toLowerCase());
"""
# Of all controls of a figure, by place among them: those that can be used now, one of each group of
# radio buttons; buttons last, when there is something for them to undo. Out of turn is what nobody
# can reach: a key would go to what was reached before.
CONTROLS = f"""(figure) => {{
  {OF_CONTROLS}
  const found = all.flatMap((it, place) => {{
    const group = kind(it) === "radio" && it.name;
    const first = !group || all.find((other) => usable(other) && other.name === group) === it;
    return usable(it) && first ? [{{ place, kind: kind(it) }}] : [];
  }});
  const buttons = found.filter((it) => it.kind === "button");
  return [...found.filter((it) => it.kind !== "button"), ...buttons];
}}"""
# A control by its place: the chosen one of its group, its kind and value; nothing when it is out of
# turn, or gone with a list that another control filtered.
CONTROL = f"""(figure, place) => {{
  {OF_CONTROLS}
  const at = all[place];
  const group = at && kind(at) === "radio" && at.name;
  const it = (group && all.find((other) => other.name === group && other.checked)) || at;
  if (!it || !usable(it)) return null;
  const label = it.getAttribute("aria-label") || it.labels?.[0]?.textContent.trim();
  return {{ place: all.indexOf(it), kind: kind(it), label: label || it.textContent.trim(),
           value: [it.value, it.checked] }};
}}"""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def seen_to_change(figure: Locator, before: bytes, seconds: float = 1.0) -> bool:
    """At once, or in a look after each third of the time; each waits until the page has drawn."""
    for pause in (0.0, *([seconds / 3] * 3 if seconds else [])):
        time.sleep(pause)
        figure.page.evaluate(DRAWN)
        if look_of(figure) != before:
            return True
    return False


def places_of(figure: Locator) -> list[dict[str, Any]]:
    """Place and kind of the controls that can be used now.

    A place is among all controls, so that it stays the same one's when moving another disables it,
    or draws it anew, and on a fresh page.
    """
    return figure.evaluate(CONTROLS)


def moved(figure: Locator, place: int) -> bool:
    for key in KEYS[(figure.evaluate(CONTROL, place) or {"kind": None})["kind"]]:
        before = look_of(figure)
        now = figure.evaluate(CONTROL, place)
        if now is None:
            return False
        control = figure.locator("input, select, button").nth(now["place"])
        control.press(key)
        # What stays at its value, as a slider at its end, has nothing to draw: no need to wait.
        after = figure.evaluate(CONTROL, place)
        at_its_end = now["kind"] != "button" and after and after["value"] == now["value"]
        if seen_to_change(figure, before, seconds=0.0 if at_its_end else 1.0):
            return True
    return False


def moved_after_others(figure: Locator, place: int) -> bool:
    """What leads back to the first state has nothing to do until another control was moved."""
    return any(
        moved(figure, other["place"]) and moved(figure, place)
        for other in places_of(figure)
        if other["place"] != place
    )


def figures_of(page: Page) -> list[Locator]:
    page.add_style_tag(content=HIDE_CONTROLS)
    figures = page.locator(".frugal-figure")
    return [figures.nth(place) for place in range(figures.count())]


def move_all(figure: Locator) -> tuple[list[int], list[str]]:
    """Places of the controls that moved nothing; and what else is wrong."""
    still, problems = [], []
    if not figure.get_attribute("data-mounted"):
        return [], ["was not drawn"]
    figure.scroll_into_view_if_needed()
    controls = places_of(figure)
    for place in (one["place"] for one in controls):
        now = figure.evaluate(CONTROL, place)
        if now and not now["label"]:
            problems.append(f"a {now['kind']} has no label")
        if not moved(figure, place):
            still.append(place)
    # A chart may offer no more than hints under the pointer.
    a_chart = (figure.get_attribute("data-module") or "").startswith("chart-")
    if not controls and not a_chart and not figure.locator("[tabindex='0']").count():
        problems.append("has nothing to move")
    return still, problems


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_figures_follow_the_theme_and_keep_their_state(opened, name) -> None:
    page = opened.page
    page.add_style_tag(content=STANDS_STILL)
    show_in(page, "light", *WHOLE)
    figures = page.locator(".frugal-figure").all()
    ranges = [figure.locator("input[type=range]:enabled") for figure in figures]
    for all_of_one in ranges:
        if all_of_one.count():
            all_of_one.first.press("ArrowRight")
    page.wait_for_timeout(100)
    values = [it.evaluate_all("(all) => all.map((it) => it.value)") for it in ranges]
    before, widths = [], [figure.bounding_box()["width"] for figure in figures]
    for figure in figures:
        figure.evaluate(TO_THE_MIDDLE)
        before.append(look_of(figure))
    page.evaluate("document.documentElement.dataset.theme = 'dark'")  # all are drawn anew, once
    problems = []
    for place, (figure, light) in enumerate(zip(figures, before, strict=True), 1):
        figure.evaluate(TO_THE_MIDDLE)
        if not seen_to_change(figure, light):
            problems.append(f"figure {place} looks the same in the dark")
        if figure.bounding_box()["width"] != widths[place - 1]:  # or another size would be a look
            problems.append(f"figure {place} has another width in the dark")
    page.wait_for_timeout(100)
    problems += [
        f"figure {place} forgot its state in the dark"
        for place, (it, light) in enumerate(zip(ranges, values, strict=True), 1)
        if it.evaluate_all("(all) => all.map((it) => it.value)") != light
    ]
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert problems == []


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_every_control_moves_its_picture(opened, address, name) -> None:
    """It leaves the figures moved."""
    page = opened.page
    show_in(page, "light", *WHOLE)
    found = [move_all(figure) for figure in figures_of(page)]
    problems = [
        f"figure {at + 1} {other}" for at, (_, others) in enumerate(found) for other in others
    ]
    for at, (still, _) in enumerate(found):
        # What was moved before may leave a control nothing to do: those that moved nothing are
        # tried again on a fresh page, one after the other, and on a page of its own at last.
        figure: Locator | None = None
        for place in still:
            if figure is not None and moved(figure, place):
                continue
            opened.open(f"{address}/{name}")
            show_in(page, "light", *WHOLE)
            figure = figures_of(page)[at]
            if not moved(figure, place) and not moved_after_others(figure, place):
                told = (figure.evaluate(CONTROL, place) or {"label": "gone"})["label"]
                problems.append(f"figure {at + 1}: control {place} ('{told}') moves nothing")
    assert found, "the page has no figure"
    assert problems + opened.errors == []


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_figures_keep_their_height_while_they_are_used(opened, name) -> None:
    """The last test of a page: every control has been everywhere after it."""
    problems = []
    for width in (390, 1280):
        show_in(opened.page, "light", width)
        figures = opened.page.locator(".frugal-figure[data-mounted]")
        for at, figure in enumerate(figures.all(), 1):
            _, found = changes_of_height(figure, turns=0)
            problems += [f"figure {at}, {width} px: {one}" for one in found]
    assert problems == []


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_figures_work_from_disk(visit, html, name) -> None:
    page = visit.open((html / name).as_uri())
    figures = figures_of(page)
    assert [figure.get_attribute("data-mounted") for figure in figures] == ["true"] * len(figures)
    for figure in figures:
        controls = places_of(figure)
        if controls:
            assert moved(figure, controls[0]["place"]), f"{controls[0]} moves nothing from disk"
            break
    assert visit.errors + visit.foreign == []


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
@pytest.mark.parametrize("name", WITH_FIGURES)
def test_without_script_a_still_picture_stands_in(visit, address, name) -> None:
    page = visit.page
    page.goto(f"{address}/{name}")
    stills = page.locator(".frugal-figure .frugal-still")
    assert stills.count() == page.locator(".frugal-figure").count()
    stills.first.scroll_into_view_if_needed()
    assert stills.first.bounding_box()["height"] > 20
