"""The Sinkhorn figure in a browser: the library's matrices, and controls that move them."""

import random
from pathlib import Path

import pytest
import torch

from frugal.attention.sinkhorn.balance import sinkhorn
from frugal.figures.sorting.sinkhorn_balance import SinkhornBalance
from frugal.show.modules import bundle

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "sorting"
SCORES = [[2.0, 1.0, 0.0], [1.8, 0.0, 1.5], [1.0, 0.8, 0.0]]


def test_formula_equals_that_of_the_library(visit):
    page = visit.page
    page.goto("about:blank")
    page.evaluate(f"window.balance = {bundle(FIGURE / 'sinkhorn_formulas.js')}; null")
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


def sums(figure, kind):
    return [float(word) for word in figure.locator(f".balance-{kind}-sum").all_text_contents()]


def cells(figure):
    values = figure.locator(".balance-cell").evaluate_all(
        "(all) => all.map((it) => it.dataset.value)"
    )
    return torch.tensor([float(value) for value in values]).view(3, 3)


def test_steps_divide_rows_then_columns(show):
    figure = show(SinkhornBalance(SCORES))
    steps = figure.get_by_label("Iterations")
    steps.press("ArrowRight")
    assert sums(figure, "row") == [1.0, 1.0, 1.0]
    assert max(sums(figure, "column")) > 1.4
    steps.press("ArrowRight")
    assert sums(figure, "column") == [1.0, 1.0, 1.0]
    assert max(sums(figure, "row")) > 1.05
    expected = sinkhorn(torch.tensor(SCORES), n_iterations=1)
    torch.testing.assert_close(cells(figure), expected)
    assert "After 1 iterations" in figure.locator(".frugal-readout").inner_text()
    steps.press("End")
    assert sums(figure, "row") == [1.0, 1.0, 1.0]


def test_a_low_temperature_makes_it_a_permutation(show):
    figure = show(SinkhornBalance(SCORES, iterations=12))
    assert cells(figure).max() < 0.8
    figure.get_by_label("Temperature").press("Home")
    assert cells(figure).amax(1).min() > 0.9
    said = figure.locator(".frugal-readout").inner_text()
    assert "3 of 3 blocks" in said


def test_noise_moves_the_matrix_and_a_button_draws_it_again(show):
    figure = show(SinkhornBalance(SCORES, iterations=4))
    plain = cells(figure)
    figure.get_by_label("added").check()
    first = cells(figure)
    assert not torch.allclose(plain, first)
    figure.get_by_role("button", name="Draw noise again").click()
    assert not torch.allclose(cells(figure), first)
    figure.get_by_label("none").check()
    assert torch.equal(cells(figure), plain)


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_fits_a_narrow_page(show):
    figure = show(SinkhornBalance(SCORES))
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_axe_finds_nothing_serious(show):
    from axe_playwright_python.sync_playwright import Axe

    figure = show(SinkhornBalance(SCORES, iterations=3))
    found = Axe().run(figure.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_still_picture_shows_the_matrix():
    figure = SinkhornBalance(SCORES, iterations=2, temperature=0.5)
    first, second = figure.picture().axes
    torch.testing.assert_close(torch.tensor(first.images[0].get_array().data), figure.matrix())
    assert second.images[0].get_array().sum(0).tolist() == pytest.approx([1.0] * 3)
    assert figure.to_png().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": [[1.0, 2.0]]}, "scores has rows of"),
        ({"scores": [[1.0]]}, "scores has rows of"),
        ({"iterations": 13}, "iterations is 13"),
        ({"temperature": 0}, "temperature is 0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SinkhornBalance(**{"scores": SCORES, **options})
