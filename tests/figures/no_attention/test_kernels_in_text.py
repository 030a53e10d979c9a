"""The kernels in a text in a browser: the numbers given, how far they move, the place chosen."""

import pytest
import torch

from frugal.figures.no_attention import KernelsInText

TEXT = list("def f(x):\n    return x")
WEIGHTS = (2 * torch.randn(2, 22, 3, 5, generator=torch.Generator().manual_seed(0))).softmax(-1)
TRIES = [("the least", 7, 1), ("the other layer", 12, 2)]


def drawn(figure, which):
    """Weights by head and characters back, of the map at the place (0) or of the mean (1)."""
    cells = figure.locator(".kit-map").nth(which).locator(".kit-cell")
    found = cells.evaluate_all(
        "(all) => all.map(({ dataset: it }) => [+it.head, +it.back, +it.weight])"
    )
    return {(head, back): weight for head, back, weight in found}


def expected(kernels):
    heads, size = kernels.shape
    return {
        (head + 1, back): kernels[head, -1 - back].item()
        for head in range(heads)
        for back in range(size)
    }


def window(figure):
    """The characters that are read, the latest last."""
    return [one for one in figure.locator(".kit-above").all_text_contents()[::-1] if one]


def said(figure):
    return figure.locator(".frugal-readout").inner_text()


def test_formulas_equal_the_definition(formulas):
    page = formulas("text_formulas.js", "kit")
    made = KernelsInText(TEXT, WEIGHTS)
    for layer in (1, 2):
        of_layer = WEIGHTS[layer - 1].double().flip(-1)
        found = page.evaluate("(places) => kit.moves(places)", of_layer.tolist())
        mean = of_layer.mean(0)
        shares = torch.tensor(found, dtype=torch.float64)
        for place in range(22):
            for head in range(3):
                lost = (of_layer[place, head] - mean[head]).clamp_min(0).sum()
                assert shares[place, head].item() == pytest.approx(lost.item(), abs=1e-6)
        assert made.moves(layer).tolist() == pytest.approx(shares.mean(-1).tolist())


def test_the_first_state_tells_the_finding(show):
    """The place of a whole window where the kernels move most, beside their mean."""
    made = KernelsInText(TEXT, WEIGHTS)
    moved = made.moves(1)
    place = made.state["place"]
    assert place >= 5
    assert moved[place - 1] == moved[4:].max() > moved.mean() + 0.05
    figure = show(made)
    assert drawn(figure, 0) == pytest.approx(expected(WEIGHTS[0, place - 1]), abs=2e-3)
    assert drawn(figure, 1) == pytest.approx(expected(WEIGHTS[0].mean(0)), abs=2e-3)
    words = said(figure)
    assert f"moved {100 * moved[place - 1]:.0f} % of their weight" in words
    assert f"the mean of all places is {100 * moved.mean():.0f} %" in words
    assert set(window(figure)) != {"␣"}


def test_keys_steps_and_the_text_choose_the_place_and_the_layer(show):
    figure = show(KernelsInText(TEXT, WEIGHTS, place=12, tries=TRIES))
    assert window(figure) == [")", ":", "⏎", "␣", "␣"]
    figure.get_by_role("slider", name="Place in the text").press("ArrowRight")
    assert drawn(figure, 0) == pytest.approx(expected(WEIGHTS[0, 12]), abs=2e-3)
    figure.get_by_role("slider", name="Layer").press("End")
    assert drawn(figure, 0) == pytest.approx(expected(WEIGHTS[1, 12]), abs=2e-3)
    figure.locator(".kit-letter").nth(5).click()
    assert drawn(figure, 0) == pytest.approx(expected(WEIGHTS[1, 5]), abs=2e-3)
    assert window(figure) == ["e", "f", "␣", "f", "("]
    figure.get_by_role("button", name="layer 1, place 7").click()
    assert drawn(figure, 0) == pytest.approx(expected(WEIGHTS[0, 6]), abs=2e-3)
    assert figure.locator(".kit-here").inner_text().strip() == "x"
    figure.get_by_role("slider", name="Place in the text").press("Home")
    assert window(figure) == ["d"]


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_jumps_and_all_can_be_touched(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(KernelsInText(TEXT, WEIGHTS, tries=TRIES))
    heights = set()
    for layer in ("Home", "End"):
        figure.get_by_role("slider", name="Layer").press(layer)
        for place in (0, 4, 9, 10, 15, 21):
            figure.locator(".kit-letter").nth(place).click()
            heights.add(figure.evaluate("(it) => it.getBoundingClientRect().height"))
    assert len(heights) == 1
    for node in (figure.locator(".kit-letter").first, figure.get_by_role("button").first):
        box = node.bounding_box()
        assert min(box["width"], box["height"]) >= 24
    sizes = figure.locator("svg text").evaluate_all(
        "(all) => all.filter((it) => it.textContent).map((it) => it.getBoundingClientRect().height)"
    )
    assert min(sizes) > 12  # a line of 11 px letters or more


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"place": 23}, r"^place is 23; it must be from 1 to 22\.$"),
        ({"layer": 3}, r"^layer is 3; it must be from 1 to 2\.$"),
        ({"tries": [("where?", 0, 1)]}, r"^place is 0; it must be from 1 to 22\.$"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        KernelsInText(TEXT, WEIGHTS, **options)
    with pytest.raises(ValueError, match="characters has 21 places and weights 22"):
        KernelsInText(TEXT[:-1], WEIGHTS)
