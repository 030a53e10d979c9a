"""Every control of every figure is moved by keyboard, and the picture is seen to change."""

from __future__ import annotations

import time
from collections.abc import Iterator

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
}
# The same place again, so that nothing but the figure's own look can differ.
TO_THE_MIDDLE = "(it) => it.scrollIntoView({ block: 'center', behavior: 'instant' })"
VALUE = "(it) => [it.value, it.checked]"
PARTS = 3
"""So many tests share the controls of a page, so that none of them takes long."""
# Out of turn: nobody can reach it, and a key would go to what was reached before.
INERT = "(it) => Boolean(it.closest('[inert]'))"


def kind_of(control: Locator) -> str:
    return control.evaluate("(it) => it.tagName === 'INPUT' ? it.type : it.tagName.toLowerCase()")


def label_of(control: Locator) -> str:
    return control.evaluate(
        """(it) => it.getAttribute("aria-label") || it.labels?.[0]?.textContent.trim()
             || it.textContent.trim()"""
    )


def seen_to_change(figure: Locator, before: bytes, seconds: float = 1.0) -> bool:
    """Within the time, and in a dozen looks a second of it: a busy machine may draw late."""
    stop, looks = time.monotonic() + seconds, 0
    while True:
        if look_of(figure) != before:
            return True
        looks += 1
        if time.monotonic() > stop and looks >= 12 * seconds:
            return False
        time.sleep(0.05)


def controls_of(figure: Locator) -> Iterator[Locator]:
    """Ranges, lists and boxes first; buttons last, when there is something for them to undo.

    What is enabled now, and has its turn, counts. A control is found by its place among all, so
    that it stays the same one when moving another disables it, or draws it anew.
    """
    every = figure.locator("input, select, button")
    enabled = every.evaluate_all(
        f"(all) => all.flatMap((it, at) => it.disabled || ({INERT})(it) ? [] : [at])"
    )
    controls = [every.nth(place) for place in enabled]
    controls.sort(key=lambda control: kind_of(control) == "button")
    groups: set[str] = set()
    for control in controls:
        group = control.get_attribute("name") if kind_of(control) == "radio" else None
        if group:
            if group in groups:
                continue
            groups.add(group)
            control = figure.locator(f'input[name="{group}"]:checked')
        yield control


def moved(figure: Locator, control: Locator) -> bool:
    if control.evaluate(INERT):
        return False
    kind = kind_of(control)
    for key in KEYS[kind]:
        before = look_of(figure)
        control.focus()
        value = control.evaluate(VALUE)
        control.press(key)
        # What stays at its value, as a slider at its end, has nothing to draw: no need to wait.
        at_its_end = kind != "button" and control.evaluate(VALUE) == value
        if seen_to_change(figure, before, seconds=0.0 if at_its_end else 1.0):
            return True
    return False


def moved_after_others(figure: Locator, controls: list[Locator], place: int) -> bool:
    """What leads back to the first state has nothing to do until another control was moved."""
    for other in controls:
        if kind_of(other) != "button" and moved(figure, other) and moved(figure, controls[place]):
            return True
    return False


def figures_of(page: Page) -> list[Locator]:
    page.add_style_tag(content=HIDE_CONTROLS)
    figures = page.locator(".frugal-figure")
    return [figures.nth(place) for place in range(figures.count())]


def move_all(figure: Locator, part: int) -> tuple[list[int], list[str]]:
    """Which controls of the part, by place, moved nothing; and what else is wrong."""
    still, problems = [], []
    if not figure.get_attribute("data-mounted"):
        return [], ["was not drawn"]
    figure.scroll_into_view_if_needed()
    controls = list(controls_of(figure))
    for place, control in list(enumerate(controls))[part::PARTS]:
        gone = not control.count()  # a list that was filtered by another control
        if not gone and not label_of(control):
            problems.append(f"a {kind_of(control)} has no label")
        if gone or not moved(figure, control):
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
    show_in(page, "light", 1280)
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


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", WITH_FIGURES)
def test_every_control_moves_its_picture(opened, address, name, part) -> None:
    """It leaves the figures moved."""
    page = opened.page
    show_in(page, "light", 1280)
    found = [move_all(figure, part) for figure in figures_of(page)]
    problems = [
        f"figure {at + 1} {other}" for at, (_, others) in enumerate(found) for other in others
    ]
    for at, (still, _) in enumerate(found):
        # What was moved before may leave a control nothing to do: those that moved nothing are
        # tried again on a fresh page, one after the other, and on a page of its own at last.
        controls: list[Locator] = []
        for place in still:
            if controls and moved(figure, controls[place]):
                continue
            opened.open(f"{address}/{name}")
            show_in(page, "light", 1280)
            figure = figures_of(page)[at]
            controls = list(controls_of(figure))
            if not moved(figure, controls[place]) and not moved_after_others(
                figure, controls, place
            ):
                problems.append(f"figure {at + 1}: '{label_of(controls[place])}' moves nothing")
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
        control = next(controls_of(figure), None)
        if control is not None:
            assert moved(figure, control), f"'{label_of(control)}' moves nothing from disk"
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
