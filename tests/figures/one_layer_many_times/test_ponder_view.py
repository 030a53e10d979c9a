"""The ponder view in a browser: it computes what torch computes, for any expression."""

from functools import partial

import pytest
import torch
from torch import nn

from frugal.data import nested_lists
from frugal.depth.universal import UniversalTransformer
from frugal.figures.one_layer_many_times.ponder_view import PonderView
from frugal.model import TransformerConfig
from frugal.tasks.list_reader import ListReader

EXAMPLES = ["[MAX 2 [MIN 8 [MAX 4 7 ] ] ]", "[MIN [MAX 1 5 ] [MAX [MIN 9 7 ] 3 ] ]"]


def reader(seed=0, d_model=16, **options):
    torch.manual_seed(seed)
    given = {"n_steps": 6, "start": -1.0, "position_signal": False, "step_signal": False}
    config = TransformerConfig(
        1,
        d_model=d_model,
        n_heads=2,
        n_layers=1,
        d_ff=24,
        positions="none",
        make_stack=partial(UniversalTransformer, **given | options),
    )
    model = ListReader(config).eval()
    stack = model.encoder.stack
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
        parameter.data = parameter.data.half().float()  # as the page gets them
    if stack.halting is not None:  # it tells words apart
        stack.halting.weight.data *= 4
        stack.halting.bias.data.fill_(-1)
    return model


def figure(**options):
    return PonderView(options.pop("model", reader()), **{"examples": EXAMPLES} | options)


def test_the_page_reads_what_the_library_reads(formulas):
    page = formulas("ponder_formulas.js", "ponder")
    for one in nested_lists.draw(20, depths=(1, 6), seed=1):
        found = page.evaluate("(text) => window.ponder.parse(text).words", one.text)
        expected = nested_lists.read(one.text)
        kept = [tuple(word[name] for name in expected[0]._fields) for word in found]
        assert kept == [tuple(word) for word in expected]
        assert sum(word["closes"] for word in found) == one.text.count("]")
        tight = one.text.replace(" ]", "]")
        assert page.evaluate("(text) => window.ponder.parse(text).words", tight) == found


@pytest.mark.parametrize(
    "text", ["", "[MAX 2 3 4 ]", "[MAX 2 3", "[MED 1 2 ]", "4", "[MAX 1 2 ] [MAX 1 2 ]", "] 4"]
)
def test_what_the_library_refuses_the_page_refuses(formulas, text):
    page = formulas("ponder_formulas.js", "ponder")
    with pytest.raises(ValueError, match="text"):
        nested_lists.read(text)
    assert page.evaluate("(text) => window.ponder.parse(text).error", text).endswith(".")


@pytest.mark.parametrize("threshold", [0.2, 0.6, 0.99])
@pytest.mark.parametrize("steps", [1, 6, 9])
def test_the_page_computes_what_torch_computes(formulas, threshold, steps):
    page = formulas("ponder_formulas.js", "ponder")
    formulas("../../show/models.js", "models")
    model = reader()
    for text in EXAMPLES:
        shown = figure(model=model, text=text, threshold=threshold, steps=steps)
        found = page.evaluate(
            """(state) => {
              const weights = models.unpack(state.weights, state.shape.parameters);
              const { words } = window.ponder.parse(state.text);
              const options = { threshold: state.threshold, nSteps: state.steps };
              return window.ponder.ponder(weights, state.shape, words, options);
            }""",
            shown.state,
        )
        stack = model.encoder.stack
        stack.threshold, stack.n_steps = threshold, steps
        with torch.no_grad():
            expected = model(nested_lists.encode([text]))[0].softmax(-1)
        assert [one["steps"] for one in found] == stack.pondering.steps[0].tolist()
        for one, shares in zip(found, stack.pondering.shares[0], strict=True):
            assert one["shares"] == pytest.approx(shares[: one["steps"]].tolist(), abs=1e-5)
        said = torch.tensor([one["probabilities"] for one in found])
        torch.testing.assert_close(said, expected, atol=1e-5, rtol=1e-4)
        stack.threshold, stack.n_steps = 0.99, 6


def steps_shown(shown):
    cards = shown.locator(".ponder-word")
    return cards.evaluate_all("(all) => all.map((it) => +it.dataset.steps)")


def test_the_reader_writes_an_expression_and_moves_the_threshold(show):
    made = figure()
    shown = show(made)
    assert steps_shown(shown) == made.pondered().steps
    field = shown.locator("input[type=text]")
    field.fill("[MIN 4 [MAX 2 9]]")
    made.state["text"] = "[MIN 4 [MAX 2 9 ] ]"
    assert steps_shown(shown) == made.pondered().steps
    said = shown.locator(".frugal-readout").inner_text()
    assert said.startswith(f"The model says {made.pondered().said[0]}, which is ")
    assert shown.locator("option:checked").inner_text() == "your own"
    field.fill("[MIN 4 [MAX 2 9")
    assert "must be closed" in shown.locator(".frugal-readout").inner_text()
    shown.locator("select").select_option(label="example 2")
    made.state["text"] = EXAMPLES[1]
    assert field.input_value() == EXAMPLES[1]
    shown.locator("input[type=range]").first.fill("0.3")
    made.state["threshold"] = 0.3
    assert steps_shown(shown) == made.pondered().steps
    shown.locator("input[type=range]").nth(1).fill("2")
    made.state["steps"] = 2
    assert steps_shown(shown) == made.pondered().steps


def test_the_still_picture_has_a_bar_per_word():
    made = figure(threshold=0.6)
    assert len(set(made.pondered().steps)) > 1
    [axes] = made.picture().axes
    assert [bar.get_height() for bar in axes.patches] == made.pondered().steps


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"examples": []}, "examples is empty"),
        ({"text": "[MAX 1 2"}, "text is no whole expression; it must be one"),
        ({"threshold": 1}, "threshold is 1"),
        ({"steps": 13}, "steps is 13"),
        ({"model": reader(step_signal=True)}, "model has an encoder"),
        ({"model": reader(halting=False)}, "model has an encoder"),
    ],
)
def test_bad_arguments_are_named(options, match):
    with pytest.raises(ValueError, match=rf"^{match}[^\n]*\.$"):
        figure(**options)
