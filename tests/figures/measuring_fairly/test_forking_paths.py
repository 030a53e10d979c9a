"""The garden of forking paths in a browser: as many wins as the library finds."""

import numpy as np
import pytest
from playwright.sync_api import expect

from frugal.evidence import Study, play
from tests.figures.gallery import forking_paths, some_noise

FAIR = {"seeds": 5, "rule": "t test"}


def wanted(options: dict) -> dict:
    """A study of the library in the names of the script."""
    own = {"seeds": 1, "tries": 1, "tasks": 1, "rule": "higher", "told": "best", "chosen": "test"}
    baseline = options.get("baseline_tries", 1)
    given = {k: v for k, v in options.items() if k != "baseline_tries"}
    return {**own, "effect": 0, "baseline": baseline, **given}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tries": 10},
        {"tries": 10, "baseline_tries": 10},
        {"tasks": 8, "tries": 3},
        {"tasks": 4, "tries": 5, "told": "mean"},
        {"tries": 6, "chosen": "validation"},
        {"tries": 6, "chosen": "validation, run again"},
        {"effect": 0.7, "seeds": 2},
        FAIR,
        {**FAIR, "tasks": 8},
        {**FAIR, "tries": 8, "told": "mean", "tasks": 2},
    ],
)
def test_the_script_makes_the_studies_of_the_library(formulas, options):
    page = formulas("garden_formulas.js", "garden")
    noise, made = some_noise()["a record"], forking_paths()
    limit = made.state["limits"][options.get("seeds", 1)]
    found = page.evaluate(
        "([s, n, t]) => garden.play(s, n, t, 3000, 1).map((one) => [one.difference, +one.win])",
        [wanted(options), noise.tolist(), limit],
    )
    differences, wins = np.array(found).T
    library = play(Study(**options), noise, studies=20_000)
    assert wins.mean() == pytest.approx(library.wins.mean(), abs=0.035)
    assert differences.mean() == pytest.approx(library.differences.mean(), abs=0.1)
    assert differences.std() == pytest.approx(library.differences.std(), rel=0.08)


def test_t_is_that_of_two_lists(formulas):
    page = formulas("garden_formulas.js", "garden")
    assert page.evaluate("() => garden.tOf([1, 2, 3], [0, 1, 2])") == pytest.approx(1.5**0.5)
    assert page.evaluate("() => garden.tOf([1, 1], [1, 1])") == 0


def still(visit, show, made):
    visit.page.emulate_media(reduced_motion="reduce")
    return show(made)


def share(figure) -> float:
    return float(figure.locator(".fork-share").get_attribute("data-value"))


def test_a_sweep_on_one_side_wins_and_equal_tries_take_it_back(show, visit):
    made = forking_paths()
    figure = still(visit, show, made)
    assert share(figure) == pytest.approx(made.outcomes().wins.mean(), abs=0.04)
    assert share(figure) > 0.85
    assert "it should win in 50 %." in figure.locator(".frugal-readout").inner_text()
    assert figure.locator(".fork-end").count() == 10
    assert figure.locator(".fork-end.fork-told").count() == 1
    figure.get_by_label("as many tries for the baseline").check()
    assert share(figure) == pytest.approx(0.5, abs=0.06)


def test_the_told_path_is_the_highest(show, visit):
    figure = still(visit, show, forking_paths(tasks=3))
    read = "(all) => all.map((it) => +it.dataset.value)"
    ends = figure.locator(".fork-end").evaluate_all(read)
    told = figure.locator(".fork-end.fork-told").evaluate_all(read)
    assert len(ends) == 30
    assert told == [max(ends)]


SWEPT = {"tries": 10, "effect": 0.0, "seeds": 1, "tasks": 1, "rule": "higher"}
SWEPT |= {"told": "best", "chosen": "test", "equal": False}
FORKED = {**SWEPT, "seeds": 5, "tasks": 8, "rule": "t test"}
EQUAL = {**FORKED, "equal": True, "told": "mean", "chosen": "validation, run again"}


def guided():
    return forking_paths().guided(
        "The change does nothing. How often does a study say that it helps?",
        ("Ten tries on one side, the best told", SWEPT),
        ("Five seeds, a t test, the best of eight tasks: does the test help?", FORKED),
        ("Ten tries on both sides, new seeds, the mean told: what is left?", EQUAL),
    )


def told(figure) -> str:
    return figure.locator(".frugal-readout").inner_text()


def average(figure) -> float:
    words = told(figure).partition("A study tells ")[2].partition(" points on average.")[0]
    return float(words.replace("−", "-"))


def test_each_step_changes_the_answer(show, visit):
    figure = still(visit, show, guided())
    step = figure.locator(".frugal-steps button")
    shares = []
    for place, options in enumerate((SWEPT, FORKED, EQUAL)):
        if place:
            step.nth(place).click()
        assert step.nth(place).get_attribute("aria-current") == "step"
        library = forking_paths(**options).outcomes()
        shares.append(share(figure))
        assert shares[-1] == pytest.approx(library.wins.mean(), abs=0.05)
        assert average(figure) == pytest.approx(library.differences.mean(), abs=0.16)
        assert f": {100 * shares[-1]:.1f} %. A study tells" in told(figure)
    assert min(shares[:2]) > 0.6
    assert shares[2] < 0.09
    assert figure.locator(".fork-mean").count() == 1


@pytest.mark.parametrize("width", [390, 1280])
def test_the_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = still(visit, show, guided())
    states = [SWEPT, {"tries": 1}, FORKED, EQUAL, {"effect": 3}, {"seeds": 1}, {"tasks": 1}]
    heights = figure.evaluate(
        """async (it, states) => {
          const heights = new Set();
          for (const state of states) {
            it.model.set(state);
            await Promise.resolve();
            heights.add(it.getBoundingClientRect().height);
          }
          return [...heights];
        }""",
        states,
    )
    assert len(heights) == 1


def test_rules_and_the_true_effect(show, visit):
    figure = still(visit, show, forking_paths(**EQUAL))
    said = figure.locator(".frugal-readout")
    assert share(figure) == pytest.approx(0.05, abs=0.03)
    assert "it should win in 5.0 %." in said.inner_text()
    tries = figure.get_by_label("Tries", exact=True)
    tries.press("Home")
    assert figure.get_by_label("as many tries for the baseline").is_disabled()
    tries.press("End")
    assert figure.get_by_label("as many tries for the baseline").is_enabled()
    figure.get_by_label("True effect").press("End")
    assert share(figure) > 0.9
    assert "It really adds 3.0 points." in said.inner_text()
    figure.get_by_label("Seeds").press("Home")
    assert said.inner_text() == "A t test needs two seeds or more: no study has a result."


def test_it_plays_by_itself_and_can_be_paused(show, visit):
    visit.page.emulate_media(reduced_motion="no-preference")
    figure = show(forking_paths())
    label = figure.locator(".frugal-button").last
    told = figure.get_by_label("The share of studies")
    before = told.text_content()
    expect(told).not_to_have_text(before)
    label.click()
    assert label.inner_text() == "Play"
    paused = told.text_content()
    figure.page.wait_for_timeout(400)
    assert told.text_content() == paused
    label.click()
    figure.get_by_text("of 1000 studies say that the change helps").wait_for()
    assert label.inner_text() == "Another thousand"
    label.click()
    assert label.inner_text() == "Pause"
