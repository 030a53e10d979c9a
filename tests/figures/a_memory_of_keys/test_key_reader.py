"""The figure of product keys in a browser: the library's pairs, and halves that turn."""

import random

import pytest
import torch

from frugal.feedforward.product_keys import _candidates, best_pairs
from frugal.figures.a_memory_of_keys import KeyReader


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("key_formulas.js", "memory")
    rng = random.Random(0)
    for n, k in ((1, 1), (4, 3), (8, 5), (12, 12), (20, 7)):
        first, second = ([rng.gauss(0, 2) for _ in range(n)] for _ in range(2))
        found = page.evaluate("([a, b, k]) => memory.bestPairs(a, b, k)", [first, second, k])
        one, other = (torch.tensor(half, dtype=torch.float64) for half in (first, second))
        sums, numbers = best_pairs(one, other, k)
        assert [i * n + j for i, j in (each["pair"] for each in found)] == numbers.tolist()
        assert [each["sum"] for each in found] == pytest.approx(sums.tolist())
        assert [each["weight"] for each in found] == pytest.approx(sums.softmax(-1).tolist())
        i, j = _candidates(k, torch.device("cpu"))
        pairs = page.evaluate("(k) => memory.candidates(k)", k)
        assert pairs == torch.stack([i, j], 1).tolist()


def cells(figure, kind):
    found = figure.locator(f'.keys-cell[data-kind="{kind}"]').evaluate_all(
        "(all) => all.map((it) => [it.dataset.pair, it.dataset.weight])"
    )
    pairs = [tuple(int(part) for part in name.strip("()").split(",")) for name, _ in found]
    weights = [None if weight is None else float(weight) for _, weight in found]
    return dict(zip(pairs, weights, strict=True))


def expected(**state):
    return pytest.approx(KeyReader(**state).read())


def test_it_reads_what_the_library_reads(show):
    figure = show(KeyReader(10, 100, k=5))
    assert cells(figure, "read") == expected(first=10, second=100, k=5)
    assert len(cells(figure, "looked")) == 10 - 5  # five rows of 5, 2, 1, 1 and 1 pairs
    assert len(cells(figure, "skipped")) == 64 - 10
    said = figure.locator(".frugal-readout").inner_text()
    assert "16 scores; of the 64 pairs 10 are added up, and 5 values are read" in said


def test_keys_turn_a_half_of_the_query(show):
    figure = show(KeyReader(0, 100))
    half = figure.get_by_role("slider", name="The first half of the query")
    half.press("PageUp")
    half.press("ArrowUp")
    assert half.get_attribute("aria-valuenow") == "33"
    assert cells(figure, "read") == expected(first=33, second=100)
    other = figure.get_by_role("slider", name="The second half of the query")
    other.press("PageDown")
    assert cells(figure, "read") == expected(first=33, second=70)
    for _ in range(12):
        half.press("ArrowDown")
    assert half.get_attribute("aria-valuenow") == "357"


def test_a_half_can_be_dragged(show, visit):
    figure = show(KeyReader(0, 0))
    half = figure.get_by_role("slider", name="The first half of the query")
    tip = half.locator(".keys-tip").bounding_box()
    box = figure.locator(".keys-dial").first.bounding_box()
    mouse = visit.page.mouse
    mouse.move(tip["x"] + tip["width"] / 2, tip["y"] + tip["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    mouse.up()
    assert abs(int(half.get_attribute("aria-valuenow")) - 90) <= 2


def test_the_order_moves_the_cells_and_nothing_else(show):
    figure = show(KeyReader(k=3))
    names = "(all) => all.map((it) => it.dataset.pair)"
    before, read = figure.locator(".keys-cell").evaluate_all(names), cells(figure, "read")
    figure.get_by_label("number").check()
    after = figure.locator(".keys-cell").evaluate_all(names)
    assert after == [f"({i}, {j})" for i in range(1, 9) for j in range(1, 9)] != before
    assert cells(figure, "read") == read
    figure.get_by_label("Values read k").press("End")
    assert len(cells(figure, "read")) == 8


def test_the_still_picture_shows_what_is_read():
    figure = KeyReader(k=4)
    (axes,) = figure.picture().axes
    weights = [word.get_text() for word in axes.texts if "%" in word.get_text()]
    assert sorted(weights) == sorted(f"{100 * share:.0f} %" for share in figure.read().values())


@pytest.mark.parametrize(
    "keys", [[[[1.0, 0.0]] * 3] * 2, [[[1.0, 0.0]] * 4], [[[1.0, 0.0]] * 9] * 2]
)
def test_bad_keys_are_named(keys):
    with pytest.raises(ValueError, match="keys has lists of"):
        KeyReader(keys=keys)
