"""The entmax explorer in a browser: the library's weights and gradients, by mouse and by key."""

import random

import pytest
import torch

from frugal.attention.entmax import entmax
from frugal.figures.adaptive_sparsity import EntmaxExplorer

SCORES = [1.2, 0.4, -0.6, 2.0, -2.0, 0.9]


def library(scores, alpha, chosen):
    """The weights, and the gradient of each to the score of key `chosen`."""
    z = torch.tensor(scores, dtype=torch.float64)

    def weigh(z):
        return z.softmax(-1) if alpha == 1 else entmax(z, alpha)

    return weigh(z).tolist(), torch.autograd.functional.jacobian(weigh, z)[:, chosen].tolist()


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("entmax_formulas.js", "sparse")
    rng = random.Random(0)
    for alpha in (1, 1.05, 1.25, 1.5, 1.8, 2):
        scores = [round(rng.uniform(-3, 3), 1) for _ in range(rng.randrange(2, 13))]
        chosen = rng.randrange(len(scores))
        found = page.evaluate(
            """([scores, alpha, chosen]) => {
              const { weights, threshold } = sparse.entmax(scores, alpha);
              return [weights, threshold, sparse.gradient(weights, alpha, chosen)];
            }""",
            [scores, alpha, chosen],
        )
        weights, slopes = library(scores, alpha, chosen)
        assert found[0] == pytest.approx(weights, abs=1e-9)
        assert found[2] == pytest.approx(slopes, abs=1e-6)
        if alpha == 1:
            assert found[1] is None
        else:
            above = [score > found[1] for score in scores]
            assert above == [weight > 0 for weight in weights]


def values(figure, name):
    return figure.locator(f".entmax-{name}").evaluate_all(
        "(all) => all.map((it) => +it.dataset.value)"
    )


def said(figure):
    return figure.locator(".frugal-readout").inner_text()


def test_alpha_goes_from_softmax_to_sparsemax(show):
    figure = show(EntmaxExplorer(SCORES))
    alpha = figure.get_by_label("α")
    assert values(figure, "weight") == pytest.approx(library(SCORES, 1.5, 0)[0], abs=1e-9)
    assert values(figure, "slope") == pytest.approx(library(SCORES, 1.5, 0)[1], abs=1e-6)
    alpha.press("Home")
    assert values(figure, "weight") == pytest.approx(values(figure, "dense"))
    assert figure.locator(".entmax-threshold").count() == 0
    assert "6 of 6 keys have a weight, with no threshold" in said(figure)
    alpha.press("End")
    weights = library(SCORES, 2, 0)[0]
    assert values(figure, "weight") == pytest.approx(weights, abs=1e-9)
    assert f"{sum(weight > 0 for weight in weights)} of 6 keys have a weight" in said(figure)
    assert figure.locator(".entmax-threshold").count() == 1


def test_keys_move_a_score_and_choose_it(show):
    figure = show(EntmaxExplorer(SCORES))
    score = figure.get_by_role("slider", name="Score of key 3")
    score.press("ArrowUp")
    assert score.get_attribute("aria-valuenow") == "-0.5"
    moved = [*SCORES[:2], -0.5, *SCORES[3:]]
    assert values(figure, "weight") == pytest.approx(library(moved, 1.5, 2)[0], abs=1e-9)
    assert "Key 3 lies below it" in said(figure)
    assert values(figure, "slope") == pytest.approx([0.0] * 6)
    score.press("End")
    score.press("ArrowUp")
    assert score.get_attribute("aria-valuenow") == "3"
    assert "A higher score of key 3 would raise" in said(figure)


def test_a_score_follows_the_mouse(show):
    figure = show(EntmaxExplorer(SCORES))
    score = figure.get_by_role("slider", name="Score of key 5")
    box = score.locator("circle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = figure.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x, y - 60, steps=4)
    mouse.up()
    now = float(score.get_attribute("aria-valuenow"))
    assert -1.5 < now < 2
    moved = [*SCORES[:4], now, SCORES[5]]
    assert values(figure, "weight") == pytest.approx(library(moved, 1.5, 4)[0], abs=1e-9)
    mouse.move(x, y)
    assert float(score.get_attribute("aria-valuenow")) == now


def test_the_still_picture_shows_the_weights():
    figure = EntmaxExplorer(SCORES, alpha=1.25)
    heights = [bar.get_height() for bar in figure.picture().axes[1].patches]
    assert heights[: len(SCORES)] == pytest.approx(library(SCORES, 1.25, 0)[0])


@pytest.mark.parametrize(
    ("scores", "message"), [([1.0], "scores has 1 numbers"), ([0, 4], r"scores has 4\.0")]
)
def test_bad_scores_are_named(scores, message):
    with pytest.raises(ValueError, match=message):
        EntmaxExplorer(scores)


@pytest.mark.parametrize("width", [375, 1280])
def test_a_finger_beside_a_disk_still_takes_it(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 800})
    figure = show(EntmaxExplorer(SCORES))
    for handle in figure.locator(".entmax-handle").all():
        reach = handle.locator(".entmax-reach").bounding_box()
        disk = handle.locator("circle").bounding_box()
        assert min(reach["width"], reach["height"]) >= 24
        for start, size in (("x", "width"), ("y", "height")):
            middle = disk[start] + disk[size] / 2
            assert reach[start] + reach[size] / 2 == pytest.approx(middle, abs=0.5)
