"""The charts of learned kernels in a browser: the numbers given, and sliders that choose them."""

import pytest
import torch

from booktools.assets import vega_script
from frugal.figures.no_attention.learned_kernels import (
    kernels_in_text,
    kernels_of,
    kernels_over_training,
)
from frugal.mixing.convolution import LightweightConv

GENERATOR = torch.Generator().manual_seed(0)
KERNELS = {
    step: (torch.randn(2, 3, 5, generator=GENERATOR) * (1 + step / 40)).softmax(-1)
    for step in (0, 40, 80)
}
TEXT = list("def f(x):\n    return x")
WEIGHTS = (2 * torch.randn(2, len(TEXT), 3, 5, generator=GENERATOR)).softmax(-1)


@pytest.fixture
def show(visit, tmp_path):
    """Opens a chart alone on a page and gives its element; nothing may go wrong meanwhile."""

    def opened(figure):
        file = tmp_path / "figure.html"
        head = "<!doctype html><html lang=en><meta charset=utf-8><title>A figure</title>"
        script = f"<script>{vega_script()}</script>"
        file.write_text(f"{head}{script}<main>{figure.to_html()}</main></html>", encoding="utf-8")
        visit.open(file.as_uri())
        found = visit.page.locator(".frugal-figure[data-mounted]")
        found.locator("svg .mark-rect path").first.wait_for(state="attached")
        return found

    yield opened
    assert visit.errors + visit.foreign == []


def drawn(figure):
    """Weights by head and distance, from the labels of the cells, which screen readers read."""
    labels = figure.locator("svg .mark-rect path[aria-label]").evaluate_all(
        "(all) => all.map((it) => it.getAttribute('aria-label'))"
    )
    found = {}
    for label in labels:
        parts = dict(part.split(": ") for part in label.split("; "))
        key = int(parts["head"]), int(parts.get("distance", parts.get("characters back")))
        found[key] = float(parts["weight"])
    return found


def expected(kernels):
    return {
        (head + 1, distance): round(kernels[head, -1 - distance].item(), 3)
        for head in range(kernels.shape[0])
        for distance in range(kernels.shape[1])
    }


def test_sliders_choose_the_layer_and_the_checkpoint(show):
    figure = show(kernels_over_training(KERNELS))
    assert drawn(figure) == pytest.approx(expected(KERNELS[80][0]), abs=2e-3)
    assert "Layer 1 after 80 updates" in figure.locator("svg").text_content()
    figure.get_by_role("slider", name="Checkpoint").press("ArrowLeft")
    assert drawn(figure) == pytest.approx(expected(KERNELS[40][0]), abs=2e-3)
    figure.get_by_role("slider", name="Layer").press("End")
    assert drawn(figure) == pytest.approx(expected(KERNELS[40][1]), abs=2e-3)
    assert "Layer 2 after 40 updates" in figure.locator("svg").text_content()


def read(figure):
    texts = figure.locator("svg .mark-text.role-mark text").all_text_contents()
    return [one for one in texts if one]


def test_sliders_choose_the_place_and_the_layer(show):
    figure = show(kernels_in_text(TEXT, WEIGHTS))
    start = len(TEXT) // 2
    assert drawn(figure) == pytest.approx(expected(WEIGHTS[0, start - 1]), abs=2e-3)
    assert read(figure) == [
        one.replace("\n", "␣").replace(" ", "␣") for one in TEXT[start - 5 : start]
    ]
    figure.get_by_role("slider", name="Place in the text").press("ArrowRight")
    assert drawn(figure) == pytest.approx(expected(WEIGHTS[0, start]), abs=2e-3)
    figure.get_by_role("slider", name="Layer").press("End")
    assert drawn(figure) == pytest.approx(expected(WEIGHTS[1, start]), abs=2e-3)
    figure.get_by_role("slider", name="Place in the text").press("Home")
    assert read(figure) == ["d"]


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
@pytest.mark.parametrize(
    "figure", [kernels_over_training(KERNELS), kernels_in_text(TEXT, WEIGHTS)], ids=["over", "in"]
)
def test_fits_a_narrow_page_and_axe_finds_nothing_serious(show, figure):
    from axe_playwright_python.sync_playwright import Axe

    shown = show(figure)
    assert shown.locator(".frugal-stage").evaluate("(it) => it.scrollWidth <= it.clientWidth")
    found = Axe().run(shown.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    assert figure.to_png().startswith(b"\x89PNG")


def test_kernels_of_a_model_are_those_it_uses():
    layers = torch.nn.Sequential(*(LightweightConv(8, 2, 3, causal=True) for _ in "ab"))
    found = kernels_of(layers.state_dict())
    torch.testing.assert_close(found, torch.stack([layer.weights for layer in layers]))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: kernels_over_training({}), "kernels has 0 different shapes"),
        (
            lambda: kernels_over_training({0: KERNELS[0], 1: KERNELS[0][:1]}),
            "kernels has 2 different shapes",
        ),
        (lambda: kernels_in_text(TEXT[:-1], WEIGHTS), "characters has 21 places and weights 22"),
        (lambda: kernels_of({}), "state has no scores"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
