"""The Sinkhorn figure in a browser: the library's matrices, and controls that move them."""

import random

import pytest
import torch

from frugal.attention.sinkhorn.balance import sinkhorn
from frugal.figures.sorting.sinkhorn_balance import SinkhornBalance

SCORES = [[2.0, 1.0, 0.0], [1.8, 0.0, 1.5], [1.0, 0.8, 0.0]]


def test_formula_equals_that_of_the_library(formulas):
    page = formulas("sinkhorn_formulas.js", "balance")
    rng = random.Random(0)
    for iterations in (0, 1, 2, 7, 20):
        size, temperature = rng.randrange(2, 9), rng.choice([0.1, 0.7, 1.0, 3.0])
        scores, noise = (
            [[rng.gauss(0, 2) for _ in range(size)] for _ in range(size)] for _ in range(2)
        )
        found = page.evaluate(
            "([s, n, t, k]) => balance.sinkhorn(s, n, t, k)",
            [scores, noise, temperature, 2 * iterations],
        )
        expected = sinkhorn(
            torch.tensor(scores, dtype=torch.float64),
            noise=torch.tensor(noise, dtype=torch.float64),
            temperature=temperature,
            n_iterations=iterations,
        )
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), expected)
    half = page.evaluate(
        "([s, n]) => balance.rowSums(balance.sinkhorn(s, n, 1, 3))", [scores, noise]
    )
    assert half == pytest.approx([1.0] * size)


def sums(figure, kind, panel="both"):
    found = figure.locator(f".balance-{panel} .balance-{kind}-sum").all_text_contents()
    return [float(word) for word in found]


def cells(figure, panel="both"):
    values = figure.locator(f".balance-{panel} .balance-cell").evaluate_all(
        "(all) => all.map((it) => it.dataset.value)"
    )
    return torch.tensor([float(value) for value in values]).view(3, 3)


def said(figure):
    return figure.locator(".frugal-readout").inner_text()


def test_steps_divide_rows_then_columns_and_the_control_stops_at_rows(show):
    figure = show(SinkhornBalance(SCORES, iterations=0))
    assert torch.equal(cells(figure), cells(figure, "alone"))
    assert "Nothing is divided yet" in said(figure)
    steps = figure.get_by_label("Iterations")
    steps.press("ArrowRight")
    assert sums(figure, "row") == sums(figure, "row", "alone") == [1.0, 1.0, 1.0]
    assert max(sums(figure, "column")) > 1.4
    steps.press("ArrowRight")
    assert sums(figure, "column") == [1.0, 1.0, 1.0]
    assert max(sums(figure, "row")) > 1.05
    torch.testing.assert_close(cells(figure), sinkhorn(torch.tensor(SCORES), n_iterations=1))
    alone = sinkhorn(torch.tensor(SCORES), balanced=False)
    torch.testing.assert_close(cells(figure, "alone"), alone)
    assert "Rows and columns, 1 times each" in said(figure)
    steps.press("End")
    assert sums(figure, "row") == [1.0, 1.0, 1.0]
    torch.testing.assert_close(cells(figure, "alone"), alone)


def test_a_low_temperature_makes_it_a_permutation(show):
    figure = show(SinkhornBalance(SCORES, iterations=12))
    assert cells(figure).max() < 0.8
    figure.get_by_label("Temperature").press("Home")
    assert cells(figure).amax(1).min() > 0.9
    assert "3 of 3 blocks are first choices" in said(figure).partition("columns")[2]


def test_balance_takes_away_what_all_rows_want(show):
    """A score added to a whole column: rows alone follow it, the balanced matrix does not."""
    figure = show(SinkhornBalance(SCORES, iterations=12))
    before, alone = cells(figure), cells(figure, "alone")
    figure.get_by_label("All want block 1").press("End")
    torch.testing.assert_close(cells(figure), before, atol=1e-3, rtol=0)
    assert sums(figure, "column", "alone")[0] > alone.sum(0)[0] + 0.5
    found = SinkhornBalance(SCORES, iterations=12, pull=3)
    torch.testing.assert_close(cells(figure), found.matrix().float())
    torch.testing.assert_close(cells(figure, "alone"), found.matrix(balanced=False).float())
    assert "1 of 3 blocks is a first choice" in said(figure).partition("columns")[0]


def test_noise_moves_the_matrix_and_a_button_draws_it_again(show):
    figure = show(SinkhornBalance(SCORES, iterations=4))
    plain = cells(figure)
    box = figure.get_by_label("Gumbel noise")
    box.check()
    first = cells(figure)
    assert not torch.allclose(plain, first)
    figure.get_by_role("button", name="Draw noise again").click()
    assert not torch.allclose(cells(figure), first)
    box.uncheck()
    assert torch.equal(cells(figure), plain)


@pytest.mark.parametrize("width", [390, 1280])
def test_steps_lead_and_the_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    tries = [("as it was", {}), ("all want one", {"pull": 3}), ("cold", {"temperature": 0.1})]
    figure = show(SinkhornBalance(SCORES, tries=tries))
    steps = figure.locator(".frugal-steps button")
    heights = {figure.bounding_box()["height"]}
    for index in (1, 2, 0):
        steps.nth(index).click()
        assert steps.nth(index).get_attribute("aria-current") == "step"
        heights.add(figure.bounding_box()["height"])
    for key in ("Home", "ArrowRight", "ArrowRight", "End"):
        figure.get_by_label("Iterations").press(key)
        heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1


def test_six_blocks_fit_a_phone(show, visit):
    """With words as long as the chapter's, in a column as narrow as a page's."""
    visit.page.set_viewport_size({"width": 375, "height": 900})
    scores = [[2.0 * (j == (i + 3) % 6) for j in range(6)] for i in range(6)]
    words = ("which blocks are fetched, and how often is that?", "the same, and nobody is liked")
    tries = [(one, {"pull": pull}) for one, pull in zip(words, (0, 2), strict=True)]
    figure = show(SinkhornBalance(scores, pull=2, tries=[*tries, ("cold", {"temperature": 0.1})]))
    assert figure.bounding_box()["height"] <= 1150
    sizes = figure.locator(".balance-chart text").evaluate_all(
        "(all) => all.map((it) => parseFloat(getComputedStyle(it).fontSize) * it.getScreenCTM().a)"
    )
    assert min(sizes) >= 11
    assert sums(figure, "column") == pytest.approx([1.0] * 6, abs=0.02)


def test_words_and_still_picture_tell_both_matrices():
    figure = SinkhornBalance(SCORES, iterations=2, temperature=0.5, pull=1)
    for axes, balanced in zip(figure.picture().axes, (False, True), strict=True):
        matrix = figure.matrix(balanced=balanced)
        torch.testing.assert_close(torch.tensor(axes.images[0].get_array().data), matrix)
        low, high = (f"{end:.2f}" for end in (matrix.sum(0).min(), matrix.sum(0).max()))
        assert f"fetched {low if low == high else f'{low} to {high}'} times" in figure.alt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": [[1.0, 2.0]]}, "scores has rows of"),
        ({"scores": [[1.0]]}, "scores has rows of"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SinkhornBalance(**{"scores": SCORES, **options})
