"""The cost explorer's Python side: state, alternative text, still picture, bad input."""

import numpy as np
import pytest

from frugal.arithmetic.transformer import MACHINES, TransformerShape, flops, memory
from frugal.figures.where_the_cost_is.cost_explorer import CostExplorer


def test_the_state_is_the_shape_and_the_machines():
    figure = CostExplorer(length=2048, d_model=768, n_heads=12, ff_ratio=3.5, machine=2)
    assert (figure.state["length"], figure.state["ff_ratio"]) == (2048, 3.5)
    assert figure.shape.d_ff == 2688
    assert [one["name"] for one in figure.state["machines"]] == [one.name for one in MACHINES]
    assert figure.state["machines"][2]["flops_bf16"] == 989e12


def test_alt_text_states_share_and_crossover():
    figure = CostExplorer(length=3072)
    assert "attention takes 50% at N = 3,072 and half at N = 3,072" in figure.alt


@pytest.mark.parametrize("mode", ["forward", "training", "decoding"])
def test_the_still_picture_draws_the_formulas(mode):
    shares, held = CostExplorer(mode=mode).picture().axes
    lines = {line.get_label(): line for line in held.get_lines()}
    assert len(lines) == (4 if mode == "decoding" else 3)
    lengths, naive = held.get_lines()[0].get_data()
    shape = TransformerShape(length=int(lengths[50]), d_model=512, n_heads=8, n_layers=6, d_ff=2048)
    assert naive[50] == memory(shape, mode).naive_scores
    # the lower edge of the uppermost area is what attention leaves
    edge = shares.collections[2].get_paths()[0].vertices
    at = edge[np.isclose(edge[:, 0], lengths[50])][:, 1]
    assert at.min() == pytest.approx(1 - flops(shape, mode).attention_share)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"machines": ()}, "machines is empty"),
        ({"ff_ratio": 0.0}, "ff_ratio is 0.0; it must be above 0"),
        ({"n_heads": 7}, "n_heads must divide d_model"),
        ({"length": 0}, "length is 0"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(options, words):
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        CostExplorer(**options)
