"""The adaptive-span figure in a browser: the library's numbers, and pictures that follow."""

import random

import pytest
import torch

from frugal.attention.span import AdaptiveSpan
from frugal.figures.adaptive_spans.adaptive_span import AdaptiveSpanFigure, SpanRun

SCORES = [((7 * d) % 11) / 3 - 0.02 * d for d in range(64)]
STEPS = [0, 10, 20]
RUNS = {
    "free": SpanRun(
        label="none",
        steps=STEPS,
        spans=[[[30.0, 30.0], [30.0, 30.0]]] * 2 + [[[31.0, 5.0], [60.0, 0.5]]],
    ),
    "priced": SpanRun(
        label="some",
        steps=STEPS,
        spans=[[[30.0, 30.0], [30.0, 30.0]]] * 2 + [[[3.0, 0.0], [12.0, 0.0]]],
    ),
}


def library_weights(span, ramp):
    """The weights of the last query whose scores over distance are SCORES, by the library."""
    attend = AdaptiveSpan(1, len(SCORES), ramp, start=span).double()
    q = torch.ones(1, 1, len(SCORES), 1, dtype=torch.float64)
    k = torch.tensor(SCORES[::-1], dtype=torch.float64).view(1, 1, -1, 1)
    return attend.weights(q, k, causal=True)[0, 0, -1].flip(0), attend


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("span_formulas.js", "span")
    rng = random.Random(0)
    for _ in range(40):
        span, ramp = rng.choice([0, rng.randrange(64), 64]), rng.randrange(1, 49)
        found = page.evaluate(
            """([scores, span, ramp]) => ({
              mask: scores.map((_, distance) => window.span.softMask(span, ramp, distance)),
              weights: window.span.attention(scores, span, ramp),
              reach: window.span.reach(span, ramp, scores.length),
            })""",
            [SCORES, span, ramp],
        )
        weights, attend = library_weights(span, ramp)
        distance = torch.arange(64)
        assert found["mask"] == pytest.approx(attend.soft_mask(distance)[0].tolist(), abs=1e-6)
        assert found["weights"] == pytest.approx(weights.tolist(), abs=1e-6)
        assert found["reach"] == attend.reach()


def drawn(figure, name):
    key = {"span-bar": "span", "span-weight": "weight"}[name]
    values = figure.locator(f".{name}").evaluate_all(f"(all) => all.map((it) => +it.dataset.{key})")
    return values


def test_sliders_move_the_mask_and_the_attention(show):
    figure = show(AdaptiveSpanFigure(SCORES, span=20, ramp=8))
    before = figure.locator(".span-mask").get_attribute("points")
    assert drawn(figure, "span-weight") == pytest.approx(
        library_weights(20, 8)[0].tolist(), abs=1e-6
    )
    assert "28 of 64 keys are read" in figure.locator(".frugal-readout").inner_text()
    slider = figure.get_by_label("Span z")
    slider.press("ArrowRight")
    assert figure.locator(".span-mask").get_attribute("points") != before
    assert drawn(figure, "span-weight") == pytest.approx(
        library_weights(21, 8)[0].tolist(), abs=1e-6
    )
    figure.get_by_label("Ramp R").press("Home")
    assert "22 of 64 keys are read" in figure.locator(".frugal-readout").inner_text()
    assert "0 keys lie on the ramp" in figure.locator(".frugal-readout").inner_text()


def test_training_and_penalty_move_the_bars(show):
    figure = show(AdaptiveSpanFigure(SCORES, runs=RUNS, max_span=64, model_ramp=4))
    said = figure.locator(".frugal-readout").nth(1)
    assert drawn(figure, "span-bar") == [31, 5, 60, 0.5]
    assert "After 20 updates the mean span is 24.1" in said.inner_text()
    assert "1 of 4 heads" in said.inner_text()
    figure.get_by_label("some").check()
    assert drawn(figure, "span-bar") == [3, 0, 12, 0]
    figure.get_by_label("Training").press("Home")
    assert drawn(figure, "span-bar") == [30] * 4
    assert "After 0 updates" in said.inner_text()
    heights = figure.locator(".span-bar").evaluate_all(
        "(all) => all.map((it) => +it.getAttribute('height'))"
    )
    assert heights == pytest.approx([190 * 30 / 64] * 4)


def test_steps_lead_from_a_deaf_span_to_one_that_hears(show):
    """The strongest key is unread, then on the ramp, then within the span."""
    scores = [score + 4 * (d == 40) for d, score in enumerate(SCORES)]
    figure = show(AdaptiveSpanFigure(scores, runs=RUNS, max_span=64, model_ramp=4))
    strongest = 40
    said = figure.locator(".frugal-readout").first
    states = []
    for number, words in enumerate(("does not hear of it", "can pull", "is within the span")):
        figure.locator(".frugal-steps").first.get_by_role("button").nth(number).click()
        assert f"strongest key, {strongest} tokens back" in said.inner_text()
        assert words in said.inner_text()
        states.append(drawn(figure, "span-weight")[strongest])
    assert states[0] == 0 < states[1] < states[2]
    model = figure.locator(".frugal-steps").nth(1)
    model.get_by_role("button").nth(2).click()
    assert drawn(figure, "span-bar") == [3, 0, 12, 0]
    assert model.locator("[aria-current]").inner_text() == "3 trained, some"


def test_a_strongest_key_that_is_near_has_no_steps(show):
    figure = show(AdaptiveSpanFigure(SCORES))
    assert figure.locator(".frugal-steps").count() == 0
    assert "3 tokens back, is within the span" in figure.locator(".frugal-readout").inner_text()


@pytest.mark.parametrize("width", [375, 1280])
def test_the_figure_keeps_its_height_and_fits_a_phone(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    scores = [score + 4 * (d == 40) for d, score in enumerate(SCORES)]
    runs = RUNS | {"third": SpanRun(label="started at 0", steps=STEPS, spans=RUNS["free"].spans)}
    figure = show(AdaptiveSpanFigure(scores, runs=runs, max_span=64, model_ramp=4))
    heights = {figure.bounding_box()["height"]}
    for button in figure.locator(".frugal-steps button").all():
        button.click()
        heights.add(figure.bounding_box()["height"])
    figure.get_by_label("Span z").press("End")
    heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1
    assert heights.pop() <= 1150


def test_without_runs_there_is_one_view(show):
    figure = show(AdaptiveSpanFigure(SCORES))
    assert figure.get_by_label("Training").count() == 0


def test_the_still_picture_shows_every_run():
    figure = AdaptiveSpanFigure(SCORES, runs=RUNS)
    titles = [axes.get_title() for axes in figure.picture().axes]
    assert [title.split(":")[0] for title in titles[2:]] == ["none", "some"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": [1.0]}, "scores has 1"),
        (
            {"runs": RUNS | {"more": SpanRun(label="x", steps=[0], spans=[[[1.0]]])}},
            "different steps",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveSpanFigure(**{"scores": SCORES, **options})


def test_a_run_needs_a_checkpoint_for_every_step():
    with pytest.raises(ValueError, match="spans has 1 checkpoints and steps 2"):
        SpanRun(label="x", steps=[0, 1], spans=[[[1.0]]])
