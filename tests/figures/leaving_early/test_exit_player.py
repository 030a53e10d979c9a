"""The exit player in a browser: the library's rules, by mouse and by key."""

import pytest
import torch

from frugal.depth.early_exit import Confidence, Patience, Seen, exits_by
from tests.browsing import heights_of
from tests.figures.gallery import exit_player


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("exit_formulas.js", "exits")
    scores = 2 * torch.randn(60, 6, 3, generator=torch.Generator().manual_seed(0)).double()
    seen, answers = Seen(scores, scores), scores.argmax(-1)
    sure = scores.softmax(-1).amax(-1)
    for threshold in (0.0, 0.5, 0.8, 0.95, 1.0):
        found = page.evaluate("([c, t]) => exits.byConfidence(c, t)", [sure.tolist(), threshold])
        assert found == exits_by(Confidence(threshold), seen).tolist()
    for patience in range(1, 8):
        found = page.evaluate("([a, p]) => exits.byPatience(a, p)", [answers.tolist(), patience])
        assert found == exits_by(Patience(patience), seen).tolist()
    streaks = page.evaluate("() => exits.streaks([1, 1, 1, 2, 2, 1])")
    assert streaks == [0, 1, 2, 0, 1, 0]


def state(figure):
    """What the charts show: shares by exit, mean exit and accuracy."""
    shares = figure.locator(".exit-share").evaluate_all(
        "(all) => all.map((it) => +it.dataset.value)"
    )
    now = figure.locator(".exit-now").evaluate("(it) => [+it.dataset.right, +it.dataset.layers]")
    return shares, now


def agrees(figure, made):
    right, layers, shares = made.outcome()
    shown, now = state(figure)
    assert shown == pytest.approx(shares)
    assert now == pytest.approx([right, layers])
    climbed = figure.locator(".exit-rung:not(.exit-unseen)").count()
    exit_ = int(made.exits()[made.state["example"]])
    assert climbed == min(exit_, made.state["climbed"])


def test_both_rules_and_their_dials_do_what_the_library_does(show):
    made = exit_player()
    figure = show(made)
    agrees(figure, made)
    figure.get_by_label("Threshold").press("End")
    made.state["threshold"] = 1.0
    agrees(figure, made)
    figure.get_by_label("Threshold").press("Home")
    made.state["threshold"] = 0.2
    agrees(figure, made)
    figure.get_by_label("with a temperature").uncheck()
    made.state["cooled"] = False
    agrees(figure, made)
    figure.get_by_label("patience", exact=True).check()
    made.state["rule"] = "patience"
    agrees(figure, made)
    assert not figure.get_by_label("Threshold").is_visible()
    figure.get_by_label("Patience", exact=True).press("ArrowRight")
    made.state["patience"] = 2
    agrees(figure, made)


def test_a_text_climbs_layer_by_layer(show):
    made = exit_player(threshold=1.0)
    figure = show(made)
    press = lambda name: figure.get_by_role("button", name=name).click()  # noqa: E731
    press("From the start")
    made.state["climbed"] = 1
    agrees(figure, made)
    said = figure.locator(".frugal-readout")
    assert said.inner_text().startswith("After layer 1 the answer is ")
    assert "It climbs on." in said.inner_text()
    press("Next layer")
    made.state["climbed"] = 2
    agrees(figure, made)
    press("To the exit")
    made.state["climbed"] = 4
    agrees(figure, made)
    assert "It has climbed all layers." in said.inner_text()
    figure.get_by_label("Story").press("ArrowRight")
    made.state["example"] = 1
    agrees(figure, made)
    assert figure.locator(".exit-story").inner_text() == made.state["texts"][1]


@pytest.mark.parametrize("width", [390, 1280])
def test_no_story_and_no_rule_changes_the_height(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    stories = [" ".join(["anna moved to the attic ."] * (1 + number % 9)) for number in range(20)]
    tries = (("sure", {"rule": "confidence"}), ("patience", {"rule": "patience", "patience": 2}))
    figure = show(exit_player(texts=stories).guided("How many layers?", *tries))
    places = [
        {"example": example, "climbed": climbed, "rule": rule, name: limit}
        for rule, name, limits in (
            ("confidence", "threshold", (0.2, 0.9, 1.0)),
            ("patience", "patience", (1, 2)),
        )
        for limit in limits
        for example in range(0, 18)
        for climbed in (1, 4)
    ]
    heights = heights_of(figure, places)
    assert max(heights) - min(heights) < 0.5
    assert heights[0] <= (1150 if width < 500 else 950)
    shown = figure.locator(".exit-story > *:visible")
    assert shown.all_inner_texts() == [stories[places[-1]["example"]]]


@pytest.mark.usefixtures("unchecked")
def test_texts_without_scores_are_refused():
    with pytest.raises(
        ValueError, match=r"scores has shape .* a row for each of 99 texts[^\n]*\.$"
    ):
        exit_player(texts=["a"] * 99)
