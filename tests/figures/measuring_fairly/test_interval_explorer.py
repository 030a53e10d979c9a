"""Intervals in a browser: as often without 0 as the library's power says."""

import re

import pytest

from frugal.evidence import detectable, power
from tests.figures.gallery import interval_explorer


def now(figure):
    return float(figure.locator(".interval-now").get_attribute("data-value"))


def told(figure) -> str:
    return figure.locator(".frugal-readout").inner_text()


def test_the_chance_is_that_of_the_library(show):
    made = interval_explorer(seeds=5, effect=1.5)
    figure = show(made)
    assert now(figure) == pytest.approx(made.chance(), abs=0.005)
    spread = made.state["spreads"]["a record"]
    least = detectable(spread, 5)
    said = re.search(r"A difference of (\S+) points is found in 80 %\.", told(figure))
    assert float(said[1]) == pytest.approx(least, abs=0.02)
    figure.get_by_label("Seeds a side").press("End")
    assert now(figure) == pytest.approx(power(1.5, spread, 20), abs=0.005)
    figure.get_by_label("Noise from").select_option("a noisier one")
    spread = made.state["spreads"]["a noisier one"]
    assert now(figure) == pytest.approx(power(1.5, spread, 20), abs=0.005)


def test_intervals_are_t_intervals_of_drawn_runs(show):
    made = interval_explorer(seeds=4, effect=1)
    figure = show(made)
    low_high = made.drawn()
    found = ((low_high[:, 0] > 0) | (low_high[:, 1] < 0)).mean()
    share = float(told(figure).split(" %")[0].rsplit(" ", 1)[1]) / 100
    assert share == pytest.approx(found, abs=0.05)
    assert figure.locator(".interval-in, .interval-out").count() == 40


def test_without_a_difference_every_find_is_false(show):
    figure = show(interval_explorer(seeds=2, effect=0))
    assert told(figure).startswith("Nothing differs, and ")
    read = "(all) => all.map((it) => it.dataset.low)"
    before = figure.locator(".interval-in").evaluate_all(read)
    figure.get_by_role("button", name="Draw again").click()
    assert figure.locator(".interval-in").evaluate_all(read) != before
