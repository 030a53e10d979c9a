"""The shifted windows in a browser: who sees whom is the library's mask, and all keys work."""

import numpy as np
import pytest
import torch

from frugal.attention.swin import shifted_window_mask, split_windows
from frugal.figures.windows_in_two_dimensions.swin_shift import SwinShift

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
def test_relations_equal_the_librarys_mask(formulas, rows, columns, window, shift):
    page = formulas("swin_windows.js", "swin")
    found = page.evaluate(
        """(grid) => swin.places(grid).map((place) => swin.relations(place, grid))""",
        {"rows": rows, "columns": columns, "window": window, "shift": shift},
    )
    seen = torch.tensor([[one == "seen" for one in row] for row in found])
    assert seen.equal(seen_by_library(rows, columns, window, shift))
    inside = torch.tensor([[one != "outside" for one in row] for row in found])
    assert (inside.sum(1) == window**2).all()
    grid = {"rows": rows, "columns": columns, "window": window, "shift": shift}
    heard = page.evaluate("(grid) => swin.places(grid).map((one) => swin.heardOf(one, grid))", grid)
    plain = seen_by_library(rows, columns, window, 0)
    assert heard == ((seen.int() @ plain.int()) > 0).sum(1).tolist()


def count(figure, relation):
    return figure.locator(f'.swin-patch[data-relation="{relation}"]').count()


def test_steps_move_the_patches_and_the_sentence(show):
    figure = show(SwinShift(PICTURE, query=(0, 1)))
    patch = figure.get_by_role("option", name="row 1, column 2", exact=True)
    said = figure.get_by_role("status")
    before = patch.bounding_box()
    assert (count(figure, "seen"), count(figure, "masked")) == (16, 0)
    assert "the 16 patches of its window" in said.inner_text()

    figure.get_by_label("Shift").check()
    after = patch.bounding_box()
    side = before["width"]
    assert round((after["x"] - before["x"]) / side) == 6  # two to the left, around the edge
    assert round((after["y"] - before["y"]) / side) == 6
    assert (count(figure, "seen"), count(figure, "masked")) == (4, 12)

    figure.get_by_role("button", name="Next stage").click()
    assert figure.get_by_label("Mask").is_checked()
    assert "A mask hides the 12 patches" in said.inner_text()
    figure.get_by_role("button", name="Next stage").click()
    assert patch.bounding_box() == before
    figure.get_by_role("button", name="Next stage").click()
    assert count(figure, "seen") == 4
    assert "twice the width" in said.inner_text()


def guided() -> SwinShift:
    return SwinShift(PICTURE, step="back", query=(3, 3)).guided(
        "How many patches can one patch hear of in two layers?",
        ("The windows have moved: a patch in the middle", {"step": "back", "query": [3, 3]}),
        ("Before they moved: of how many did it hear?", {"step": "cut", "query": [3, 3]}),
        ("In a corner: what does the mask leave?", {"step": "mask", "query": [0, 1]}),
    )


def test_each_step_changes_the_answer(show):
    figure = show(guided())
    said, step = figure.get_by_role("status"), figure.locator(".frugal-steps button")
    current = figure.locator(".frugal-steps [aria-current]")
    seen, plain = seen_by_library(8, 8, 4, 2), seen_by_library(8, 8, 4, 0)
    heard = ((seen.int() @ plain.int()) > 0).sum(1).view(8, 8)
    assert current.inner_text().startswith("1 ")
    assert f"it can have heard of {heard[3, 3]} of the 64 patches" in said.inner_text()
    assert figure.locator(".swin-old").count() == 2  # the border that the four old windows share
    step.nth(1).click()
    assert current.inner_text().startswith("2 ")
    assert f"hears of these {plain.view(8, 8, 64)[3, 3].sum()} of 64 alone" in said.inner_text()
    step.nth(2).click()
    left = seen.view(8, 8, 64)[0, 1].sum()
    assert f"hides the {16 - left} patches from the opposite edge: {left} are" in said.inner_text()
    assert f"it can have heard of {heard[0, 1]} of the 64 patches" in said.inner_text()
    assert sorted({int(one) for one in heard.flatten()}) == [16, 32, 64]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(guided())
    heights = figure.evaluate(
        """(it, queries) => [...new Set(queries.flatMap((query) =>
          ["cut", "shift", "mask", "back", "merge"].map((step) => {
            it.model.set({ step, query });
            return it.getBoundingClientRect().height;
          })))]""",
        [[0, 1], [3, 3], [7, 7], [0, 4]],
    )
    assert len(heights) == 1


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
    figure.get_by_label("Shift").check()
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


def test_the_still_picture_has_text_and_size():
    figure = SwinShift(PICTURE)
    assert "windows of 4 by 4" in figure.alt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"picture": PICTURE * 300}, "values"),
        ({"patches": (7, 8)}, "patches is"),
        ({"window": 3}, "window is 3"),
        ({"shift": 4}, "shift 4"),
        ({"query": (8, 0)}, "query is"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SwinShift(**{"picture": PICTURE, **options})
