"""Intervals in a browser: as often without 0 as the library's power says."""

import re

import numpy as np
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
    figure.get_by_label("Seeds per side").press("End")
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


def guided():
    here = {"source": "a record", "effect": 1.0}
    return interval_explorer(seeds=3, effect=1).guided(
        "A change adds one point. How often does a comparison find it?",
        ("Three seeds per side: how many leave 0 out?", {**here, "seeds": 3}),
        ("Twenty seeds: how many now?", {**here, "seeds": 20}),
        (
            "Three seeds, and nothing differs: what do finds tell?",
            {**here, "seeds": 3, "effect": 0.0},
        ),
    )


def test_each_step_changes_the_answer_and_finds_are_too_large(show):
    figure = show(guided())
    step = figure.locator(".frugal-steps button")
    found = r"(\S+) % of 1000 .* a difference of (\S+) points on average; the true one is (\S+)\."
    shares = []
    for place, (seeds, effect) in enumerate([(3, 1), (20, 1), (3, 0)]):
        if place:
            step.nth(place).click()
        assert step.nth(place).get_attribute("aria-current") == "step"
        low_high = interval_explorer(seeds=seeds, effect=effect).drawn(20_000)
        finds = low_high[(low_high[:, 0] > 0) | (low_high[:, 1] < 0)]
        share, size, true = map(float, re.search(found, told(figure)).groups())
        assert share / 100 == pytest.approx(len(finds) / 20_000, abs=0.05)
        assert size == pytest.approx(np.abs(finds.mean(1)).mean(), rel=0.12)
        assert true == effect
        shares.append(share)
    assert shares[1] > 2 * shares[0] > 2 * shares[2]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(guided())
    heights = figure.evaluate(
        """(it, states) => [...new Set(states.map((state) => {
          it.model.set(state);
          return it.getBoundingClientRect().height;
        }))]""",
        [{"seeds": n, "effect": e} for n in (2, 3, 20) for e in (0, 1, 5)],
    )
    assert len(heights) == 1


def test_without_a_difference_every_find_is_false(show):
    figure = show(interval_explorer(seeds=2, effect=0))
    assert told(figure).startswith("Nothing differs, and ")
    read = "(all) => all.map((it) => it.dataset.low)"
    before = figure.locator(".interval-in").evaluate_all(read)
    figure.get_by_role("button", name="Draw again").click()
    assert figure.locator(".interval-in").evaluate_all(read) != before
