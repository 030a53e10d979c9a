"""The shifted windows in a browser: who sees whom is the library's mask, and all keys work."""

from pathlib import Path

import numpy as np
import pytest
import torch

from frugal.attention.swin import shifted_window_mask, split_windows
from frugal.figures.windows_in_two_dimensions.swin_shift import SwinShift
from frugal.show.modules import bundle

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "windows_in_two_dimensions"
PICTURE = np.linspace(0, 1, 32 * 32).reshape(32, 32)


def seen_by_library(rows, columns, window, shift):
    """(patches, patches): True where the library's roll, cut and mask let one see the other."""
    mask = shifted_window_mask(rows, columns, window=window, shift=(shift, shift))
    if mask is None:
        mask = torch.ones(rows * columns // window**2, window**2, window**2, dtype=torch.bool)
    number = torch.arange(rows * columns).view(1, rows, columns, 1)
    number = split_windows(number.roll((-shift, -shift), dims=(1, 2)).float(), window)[
        ..., 0
    ].long()
    seen = torch.zeros(rows * columns, rows * columns, dtype=torch.bool)
    for cell, patches in enumerate(number):
        seen[patches[:, None], patches[None, :]] = mask[cell]
    return seen


@pytest.mark.parametrize(
    ("rows", "columns", "window", "shift"), [(8, 8, 4, 2), (4, 6, 2, 1), (6, 9, 3, 2), (8, 8, 4, 0)]
)
def test_relations_equal_the_librarys_mask(visit, rows, columns, window, shift):
    page = visit.page
    page.goto("about:blank")
    page.evaluate(f"window.swin = {bundle(FIGURE / 'swin_windows.js')}; null")
    found = page.evaluate(
        """(grid) => swin.places(grid).map((place) => swin.relations(place, grid))""",
        {"rows": rows, "columns": columns, "window": window, "shift": shift},
    )
    seen = torch.tensor([[one == "seen" for one in row] for row in found])
    assert seen.equal(seen_by_library(rows, columns, window, shift))
    inside = torch.tensor([[one != "outside" for one in row] for row in found])
    assert (inside.sum(1) == window**2).all()


def count(figure, relation):
    return figure.locator(f'.swin-patch[data-relation="{relation}"]').count()


def test_steps_move_the_patches_and_the_sentence(show):
    figure = show(SwinShift(PICTURE, query=(0, 1)))
    patch = figure.get_by_role("option", name="row 1, column 2", exact=True)
    said = figure.get_by_role("status")
    before = patch.bounding_box()
    assert (count(figure, "seen"), count(figure, "masked")) == (16, 0)
    assert "the 16 patches of its window" in said.inner_text()

    figure.get_by_label("2 Shift").check()
    after = patch.bounding_box()
    side = before["width"]
    assert round((after["x"] - before["x"]) / side) == 6  # two to the left, around the edge
    assert round((after["y"] - before["y"]) / side) == 6
    assert (count(figure, "seen"), count(figure, "masked")) == (4, 12)

    figure.get_by_role("button", name="Next step").click()
    assert figure.get_by_label("3 Mask").is_checked()
    assert "A mask hides the 12 patches" in said.inner_text()
    figure.get_by_role("button", name="Next step").click()
    assert patch.bounding_box() == before
    figure.get_by_role("button", name="Next step").click()
    assert count(figure, "seen") == 4
    assert "twice the width" in said.inner_text()


def test_patches_are_chosen_by_mouse_and_arrow_keys(show):
    figure = show(SwinShift(PICTURE))
    figure.get_by_role("option", name="row 7, column 7", exact=True).click()
    chosen = figure.locator('[aria-selected="true"]')
    assert chosen.get_attribute("aria-label") == "row 7, column 7"
    board = figure.get_by_role("listbox")
    board.press("ArrowRight")
    assert chosen.get_attribute("aria-label") == "row 7, column 8"
    board.press("ArrowRight")  # the edge
    assert chosen.get_attribute("aria-label") == "row 7, column 8"
    assert board.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    figure.get_by_label("2 Shift").check()
    board.press("ArrowRight")  # on the rolled board row 7, column 1 lies there
    assert chosen.get_attribute("aria-label") == "row 7, column 1"


@pytest.mark.parametrize(
    ("visit", "moves"),
    [({"reduced_motion": "reduce"}, False), ({"reduced_motion": "no-preference"}, True)],
    indirect=["visit"],
)
def test_patches_glide_unless_motion_is_unwanted(show, moves):
    figure = show(SwinShift(PICTURE))
    seconds = figure.locator(".swin-patch").first.evaluate(
        """(patch) => {
          const each = getComputedStyle(patch).transitionDuration.split(",");
          return Math.max(...each.map(parseFloat));
        }"""
    )
    assert (seconds > 0.3) == moves


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_fits_a_narrow_page(show):
    figure = show(SwinShift(PICTURE))
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_axe_finds_nothing_serious(show):
    from axe_playwright_python.sync_playwright import Axe

    figure = show(SwinShift(PICTURE))
    found = Axe().run(figure.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_still_picture_has_text_and_size():
    figure = SwinShift(PICTURE)
    assert figure.to_png().startswith(b"\x89PNG")
    assert "windows of 4 by 4" in figure.alt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"picture": PICTURE * 300}, "values"),
        ({"patches": (7, 8)}, "patches is"),
        ({"window": 3}, "window is 3"),
        ({"shift": 4}, "shift 4"),
        ({"step": "glue"}, "step is 'glue'"),
        ({"query": (8, 0)}, "query is"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SwinShift(**{"picture": PICTURE, **options})
