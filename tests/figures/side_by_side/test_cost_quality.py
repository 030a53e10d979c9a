"""The chart of cost and quality: intervals of the record, and links to the chapters."""

import numpy as np
import pytest

from frugal.figures.side_by_side import CostQuality, Dot
from frugal.results import mean_interval
from tests.figures.gallery import cost_quality


def test_dots_carry_the_intervals_of_their_seeds():
    dot = cost_quality().state["dots"][2]
    found = mean_interval([0.9, 0.95, 0.7])
    assert dot["right"] == {"mean": found.mean, "low": found.low, "high": found.high}
    assert dot["costs"]["an update"]["mean"] == pytest.approx(26 / 3)


def test_a_dot_and_a_line_of_the_list_lead_to_the_chapter(show):
    figure = show(cost_quality())
    for place in (".quality-dot", ".quality-list a"):
        links = figure.locator(place)
        assert links.evaluate_all("(all) => all.map((it) => it.getAttribute('href'))") == [*"abc"]
    said = figure.locator(".quality-dot").nth(1).get_attribute("aria-label")
    assert said.startswith("window: 35 % right (23 % to 47 %), 0.63 ms (0.49 to 0.78)")
    line = figure.locator(".quality-list li").nth(1).locator("a, span").all_inner_texts()
    assert line == ["window", "35 (23–47)", "0.63 (0.49–0.78)"]


def said(figure) -> str:
    return figure.locator(".frugal-readout").inner_text()


def test_the_sentence_names_who_reaches_the_share_and_in_which_time(show):
    """Means of the seeds: 0.99, 0.35 and 0.85 right; 0.83, 0.63 and 3.1 ms to read."""
    figure = show(cost_quality(enough=0.8))
    assert said(figure) == (
        "2 of 3 methods have 80 % or more right. Fastest for reading, against all pairs: "
        "all pairs 1.00 ×, hashing 3.72 ×. The fastest, all pairs, has 99 % right."
    )
    assert figure.locator(".quality-less").count() == 1
    slider = figure.get_by_label("Right at least")
    slider.press("End")
    assert said(figure) == "None of 3 methods has 100 % right."
    slider.press("Home")
    assert "3 of 3 methods have 0 % or more right." in said(figure)
    assert "pairs: window 0.76 ×, all pairs 1.00 ×, hashing 3.72 ×." in said(figure)
    known = "The fastest, window, has 35 % right, which a guess may have as well."
    assert known in said(figure)  # 23 % to 47 %, and a guess has 25 %
    assert said(figure).endswith("The intervals of the two times overlap.")


TRIES = (
    ("80 %", {"enough": 0.8, "cost": "reading"}),
    ("of an update", {"enough": 0.8, "cost": "an update"}),
    ("a guess", {"enough": 0.25, "cost": "reading"}),
)


@pytest.mark.parametrize("width", [375, 1280])
def test_steps_change_the_sentence_and_not_the_height(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(cost_quality(enough=0.8).guided("Who is as good in less time?", *TRIES))
    heights, told = set(), []
    for number in (1, 2, 0):
        step = figure.locator(".frugal-steps button").nth(number)
        step.click()
        assert step.get_attribute("aria-current") == "step"
        told.append(said(figure))
        heights.add(figure.bounding_box()["height"])
    for key in ("Home", "End"):
        figure.get_by_label("Right at least").press(key)
        heights.add(figure.bounding_box()["height"])
    assert len(set(told)) == 3
    assert len(heights) == 1


def test_dots_lie_where_their_numbers_say_and_move_with_the_cost(show):
    figure = show(cost_quality())
    read = "(all) => all.map((it) => [+it.getAttribute('cx'), +it.getAttribute('cy')])"
    dots = figure.locator(".quality-point")
    before = dots.evaluate_all(read)
    assert before[1][0] < before[0][0] < before[2][0]
    assert before[0][1] < before[2][1] < before[1][1]
    figure.get_by_role("radio", name="an update").check(force=True)
    assert dots.evaluate_all(read) != before
    assert "8.7 (" in figure.locator(".quality-list li").nth(2).inner_text()
    figure.locator(".quality-list a").nth(2).focus()
    assert figure.locator(".quality-marked").get_attribute("data-number") == "3"


@pytest.mark.parametrize("width", [360, 680])
def test_numbers_stand_clear_of_each_other_and_of_the_dots(formulas, width):
    rng = np.random.default_rng(0)
    crowd = [[90 + 6 * k, 230] for k in range(4)] + [[130, 60], [132, 58], [131, 66]]
    places = [*crowd, *([60 + (width - 80) * x, 40 + 250 * y] for x, y in rng.random((6, 2)))]
    page = formulas("cost_quality.js", "quality")
    found = np.array(page.evaluate("([p, w]) => quality.badges(p, w)", [places, width]))
    between = np.hypot(*(found[:, None] - found[None]).transpose(2, 0, 1)) + 99 * np.eye(len(found))
    assert between.min() >= 24
    to_dots = np.hypot(*(found[:, None] - np.array(places)[None]).transpose(2, 0, 1))
    assert to_dots.min() >= 12 + 4


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="dots is empty"):
        CostQuality({}, chance=0.5)
    both = [0.5, 1.0]
    different = {"a": Dot(both, {"x": both}, "a"), "b": Dot(both, {"y": both}, "b")}
    with pytest.raises(ValueError, match="all must have x"):
        CostQuality(different, chance=0.5)
    with pytest.raises(ValueError, match="cost is 'z'"):
        cost_quality(cost="z")
