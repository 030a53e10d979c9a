"""The chart of learned kernels in a browser: the numbers given, and controls that choose them."""

import pytest
import torch

from frugal.figures.no_attention.learned_kernels import kernels_of, kernels_over_training
from frugal.mixing.convolution import LightweightConv

GENERATOR = torch.Generator().manual_seed(0)
KERNELS = {
    step: (torch.randn(2, 3, 5, generator=GENERATOR) * (1 + step / 40)).softmax(-1)
    for step in (0, 40, 80)
}


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


def test_controls_choose_the_layer_and_the_checkpoint(show):
    figure = show(kernels_over_training(KERNELS))
    assert drawn(figure) == pytest.approx(expected(KERNELS[80][0]), abs=2e-3)
    assert "Layer 1 after 80 updates" in figure.locator("svg").text_content()
    figure.get_by_role("radio", name="80").press("ArrowLeft")
    assert drawn(figure) == pytest.approx(expected(KERNELS[40][0]), abs=2e-3)
    figure.get_by_role("slider", name="Layer").press("End")
    assert drawn(figure) == pytest.approx(expected(KERNELS[40][1]), abs=2e-3)
    assert "Layer 2 after 40 updates" in figure.locator("svg").text_content()


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
        (lambda: kernels_of({}), "state has no scores"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
