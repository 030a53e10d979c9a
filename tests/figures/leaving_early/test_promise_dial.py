"""The promise dial in a browser: the library's threshold, over draws."""

import pytest
import torch

from frugal.depth.early_exit import conformal_threshold
from tests.figures.gallery import promise_dial


@pytest.mark.parametrize("drop", [False, True])
def test_formulas_equal_those_of_the_library(formulas, drop):
    page = formulas("exit_formulas.js", "exits")
    made = promise_dial()
    scores, agrees = made.state["scores"][:60], made.state["agrees"][:60]
    for tolerance in (0.02, 0.05, 0.1, 0.25, 0.9):
        made.state["tolerance"] = tolerance
        m = page.evaluate("([s, a]) => exits.largest(s, a)", [scores, agrees])
        found = page.evaluate(
            "([m, t, d]) => { const tau = exits.threshold(m, t, d); return [tau, String(tau)]; }",
            [m, tolerance, drop],
        )
        assert float(found[1].replace("Infinity", "inf")) == made.threshold(
            range(60), drop_consistent=drop
        )
        below = page.evaluate("(t) => exits.needed(t)", tolerance)
        with pytest.raises(ValueError, match=rf"needs at least {below}\."):
            conformal_threshold(torch.zeros(0, 2), torch.zeros(0, 2) > 0, tolerance)


def test_inconsistency_is_that_of_the_first_exit_above(formulas):
    page = formulas("exit_formulas.js", "exits")
    table = [[[0.9, 0.1], [0.2, 0.8], [0.1, 0.2]], [[True, False], [True, False], [False, True]]]
    found = page.evaluate("([s, a]) => exits.inconsistency(s, a, 0.5)", table)
    assert found == {"inconsistent": pytest.approx(1 / 3), "layers": 2}


def test_a_draw_takes_so_many_and_all_are_taken_as_often(formulas):
    page = formulas("exit_formulas.js", "exits")
    counts = page.evaluate(
        """() => {
          const random = exits.chance(3), counts = Array(10).fill(0);
          for (let i = 0; i < 4000; i++) {
            const [first, rest] = exits.split(10, 4, random);
            if (new Set([...first, ...rest]).size !== 10 || first.length !== 4) return [];
            first.forEach((one) => (counts[one] += 1));
          }
          return counts;
        }"""
    )
    assert counts == pytest.approx([1600] * 10, abs=150)


def marks(figure):
    read = "(all) => all.map((it) => +it.dataset.value)"
    return [
        figure.locator(name).evaluate_all(read) for name in (".promise-mean", ".promise-tolerance")
    ]


def test_the_dial_keeps_its_promise_and_the_library_agrees(show):
    made = promise_dial()
    figure = show(made)
    means, tolerances = marks(figure)
    assert tolerances == [0.1, 0.1]
    for mean, drop in zip(means, (False, True), strict=True):
        assert mean == pytest.approx(made.rates(drop_consistent=drop).mean().item(), abs=0.01)
    assert means[1] < means[0] < 0.11
    said = figure.locator(".frugal-readout").inner_text()
    assert said.startswith(f"Counted: {100 * means[0]:.2f} % inconsistent" if means[0] else "")


def test_another_draw_another_size_and_too_few(show):
    figure = show(promise_dial())
    before = marks(figure)[0]
    figure.get_by_role("button", name="Draw again").click()
    assert marks(figure)[0] != before
    figure.get_by_label("Tolerance").press("Home")
    said = figure.locator(".frugal-readout").inner_text()
    assert (
        said
        == "A tolerance of 0.5 % needs 199 examples, and there are 100: nobody may leave early."
    )
    assert marks(figure)[0] == [0, 0]
    figure.get_by_label("Calibrated on").select_option("50 stories")
    assert "there are 50" in figure.locator(".frugal-readout").inner_text()


@pytest.mark.usefixtures("unchecked")
def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match=r"with more than 100 examples\.$"):
        promise_dial(n=100)
