"""The head switches in a browser: they compute what torch computes, and keys flip them too."""

import copy

import pytest
import torch
from torch import nn

from frugal.attention.heads import layers_of, prune_heads
from frugal.data import journeys
from frugal.figures.sixteen_heads_or_one.head_switches import HeadSwitches
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.elimination import WordVectorElimination

STORIES = journeys.draw(5, seed=5, sentences=(3, 4))
IMPORTANCE = [[4.0, 1.0], [0.5, 2.0], [1.5, 1.0]]
LEAST = [(1, 0), (0, 1), (2, 1), (2, 0), (1, 1), (0, 0)]
ORDERS = {"least important": LEAST, "most important": LEAST[::-1]}


def reader(seed=0, **options):
    torch.manual_seed(seed)
    config = {"d_model": 16, "n_heads": 2, "n_layers": 3, "d_ff": 24, "positions": "rope"}
    encoder = Encoder(TransformerConfig(len(journeys.VOCABULARY), **config | options)).eval()
    classify = nn.Linear(16, 8)
    for parameter in [*encoder.parameters(), *classify.parameters()]:
        nn.init.normal_(parameter, std=0.4)
        parameter.data = parameter.data.half().float()  # as the page gets them
    return encoder, classify


def figure(**options):
    given = {
        "model": reader(),
        "importance": IMPORTANCE,
        "orders": ORDERS,
        "vocabulary": journeys.VOCABULARY,
        "classes": journeys.PLACES,
        "examples": STORIES,
        "question": "Where is Anna?",
    }
    given |= options
    return HeadSwitches(given.pop("model"), **given)


OFF = [(), [(0, 1), (2, 0)], [(1, 0), (1, 1)], LEAST]


@pytest.mark.parametrize("off", OFF, ids=["none", "two", "a layer", "all"])
def test_the_page_computes_what_torch_computes(formulas, off):
    shown = figure(off=off)
    page = formulas("gated_encoder.js", "gated")
    formulas("../../show/models.js", "models")
    found = page.evaluate(
        """(state) => {
          const { layers, heads, parameters } = state.shape;
          const weights = models.unpack(state.weights, parameters);
          const off = Array.from({ length: layers }, (_, layer) =>
            Array.from({ length: heads }, (_, head) => state.off.includes(layer * heads + head)));
          const run = ({ ids }) => window.gated.forward(weights, state.shape, ids, off);
          return state.examples.map(run);
        }""",
        shown.state,
    )
    torch.testing.assert_close(torch.tensor(found), shown.probabilities(), rtol=0, atol=1e-5)


def test_a_head_that_is_off_is_a_head_that_was_pruned():
    encoder, classify = reader()
    pruned = copy.deepcopy(encoder)
    names = list(layers_of(pruned))
    prune_heads(pruned, {names[0]: [1], names[2]: [0, 1]})
    shown = figure(off=[(0, 1), (2, 0), (2, 1)]).probabilities()
    for text, (story, _) in enumerate(STORIES):
        ids = torch.tensor([journeys.VOCABULARY.ids(story)])
        with torch.no_grad():
            expected = classify(pruned(ids)[:, 0]).softmax(-1)[0]
        torch.testing.assert_close(shown[text], expected, rtol=0, atol=1e-5)


def off(shown):
    """The numbers of the switches that are off."""
    pressed = shown.locator(".heads-switch").evaluate_all(
        "(all) => all.map((it) => it.ariaPressed)"
    )
    return [number for number, one in enumerate(pressed) if one == "false"]


def shares(shown):
    return shown.locator(".heads-percent").evaluate_all(
        "(all) => all.map((it) => +it.dataset.value)"
    )


def marks(shown):
    """Whether each story is shown as read rightly."""
    return ["✓" in words for words in shown.locator(".heads-text").all_inner_texts()]


def agrees(shown, made, numbers, example=0):
    """The page shows what torch computes with these heads off."""
    made.state["off"] = numbers
    assert off(shown) == numbers
    assert marks(shown) == made.right()
    assert shares(shown) == pytest.approx(made.probabilities()[example].tolist(), abs=1e-5)
    said = shown.locator(".frugal-readout").inner_text()
    assert said.startswith(f"{6 - len(numbers)} of 6 heads are on, and {sum(made.right())} of 5")


def test_switches_flip_by_press_and_key_and_the_model_answers(show):
    made = figure()
    shown = show(made)
    agrees(shown, made, [])
    switch = shown.locator(".heads-switch")
    switch.nth(3).click()
    agrees(shown, made, [3])
    switch.nth(3).press("ArrowUp")
    shown.page.keyboard.press("ArrowLeft")
    shown.page.keyboard.press("Space")
    agrees(shown, made, [0, 3])
    shown.page.keyboard.press("ArrowUp")  # there is nothing above
    shown.page.keyboard.press("Enter")
    agrees(shown, made, [3])


def test_buttons_take_the_next_head_of_an_order(show):
    made = figure()
    shown = show(made)
    press = lambda name: shown.get_by_role("button", name=name).click()  # noqa: E731
    press("least important")
    press("least important")
    agrees(shown, made, [1, 2])
    press("most important")
    agrees(shown, made, [0, 1, 2])
    press("least important")
    agrees(shown, made, [0, 1, 2, 5])
    press("All off")
    agrees(shown, made, [0, 1, 2, 3, 4, 5])
    press("least important")  # nothing is left
    agrees(shown, made, [0, 1, 2, 3, 4, 5])
    press("All on")
    agrees(shown, made, [])


def test_a_story_is_chosen_and_told(show):
    made = figure(off=[(0, 0)])
    shown = show(made)
    shown.locator(".heads-text").nth(2).click()
    agrees(shown, made, [0], example=2)
    assert shown.locator(".heads-story").inner_text() == STORIES[2].text
    assert "Of story 3 the model says" in shown.locator(".frugal-readout").inner_text()
    assert "✓" in shown.locator(".heads-line").nth(STORIES[2].place).inner_text()


def test_bars_are_as_long_as_heads_are_important(show):
    shown = show(figure())
    shown.page.set_viewport_size({"width": 375, "height": 800})
    widths = shown.locator(".heads-switch .heads-bar").evaluate_all(
        "(all) => all.map((it) => it.firstChild.offsetWidth / it.offsetWidth)"
    )
    assert widths == pytest.approx([value / 4 for row in IMPORTANCE for value in row], abs=0.03)
    words = shown.locator(".heads-share").all_inner_texts()
    assert words[0] == "40.0 %"


def test_the_still_picture_has_a_number_or_off_for_every_head():
    axes = figure(off=[(0, 0), (2, 1)]).picture().axes[0]
    words = [text.get_text() for text in axes.texts]
    assert words == ["off", "10.0%", "5.0%", "20.0%", "15.0%", "off"]
    assert axes.get_title().endswith("of 5 texts are read rightly")


def test_the_figure_leaves_the_model_as_it_is():
    pair = reader(2)
    before = copy.deepcopy(pair[0].state_dict())
    figure(model=pair, off=LEAST).probabilities()
    assert all(torch.equal(value, pair[0].state_dict()[name]) for name, value in before.items())
    assert all(layer.n_heads == 2 for layer in layers_of(pair[0]).values())


def pruned():
    encoder, classify = reader()
    prune_heads(encoder, {next(iter(layers_of(encoder))): [1]})
    return encoder, classify


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"examples": []}, "each must have one entry or more"),
        ({"model": reader(positions="learned", max_length=40)}, "cannot run"),
        ({"model": reader(make_stack=WordVectorElimination)}, "cannot run"),
        ({"model": pruned()}, "cannot run"),
        ({"classes": ("x", "y")}, "a classifier of 8 outputs"),
        ({"importance": [[1.0, 2.0]]}, "3 rows of 2 numbers"),
        ({"orders": {"few": LEAST[1:]}}, "name each head once"),
        ({"off": [(0, 2)]}, "pairs of a layer and a head"),
        ({"examples": [("anna flew", 0)]}, "anna flew"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        figure(**options)
