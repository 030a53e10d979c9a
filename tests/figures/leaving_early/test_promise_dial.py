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


TRIES = (
    ("many", {"tolerance": 0.1, "size": 100}),
    ("few", {"tolerance": 0.1, "size": 50}),
    ("strict", {"tolerance": 0.01, "size": 50}),
)


@pytest.mark.parametrize("width", [375, 1280])
def test_steps_lead_from_the_mean_to_the_draws_and_to_nobody(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    made = promise_dial().guided("Does every draw keep it?", *TRIES)
    figure = show(made)
    said, mean = figure.locator(".frugal-readout"), marks(figure)[0][0]
    first = said.inner_text()
    rates = made.rates()
    ends = first.partition(" in nine draws of ten")[0].rpartition("(")[2]
    low, high = (float(end.removesuffix(" %")) / 100 for end in ends.split(" to "))
    assert low == pytest.approx(rates.quantile(0.05).item(), abs=0.02)
    assert high == pytest.approx(rates.quantile(0.95).item(), abs=0.02)
    assert low < mean < high
    error = 2 * rates.std().item() / len(rates) ** 0.5
    places = {"below": mean < 0.1 - 0.9 * error, "above": mean > 0.1 + 0.9 * error}
    told = first.partition("Counted, the mean lies ")[2].partition(" the tolerance of 10.0 %")[0]
    assert places.get(told, abs(mean - 0.1) < 1.1 * error)
    heights = {figure.bounding_box()["height"]}
    for number, words in (
        (1, "10.0 %"),
        (2, "there are 50: nobody may leave early"),
        (0, "the mean lies"),
    ):
        step = figure.locator(".frugal-steps button").nth(number)
        step.click()
        assert step.get_attribute("aria-current") == "step"
        assert words in said.inner_text()
        heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1


@pytest.mark.usefixtures("unchecked")
def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match=r"with more than 100 examples\.$"):
        promise_dial(n=100)
