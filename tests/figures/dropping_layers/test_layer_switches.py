"""The layer switches in a browser: they compute what torch computes, and keys flip them too."""

import copy

import pytest
import torch
from torch import nn

from frugal.data import hops
from frugal.depth.layerdrop import LayerDrop, every_other, prune_layers
from frugal.depth.reversible import ReversibleStack
from frugal.figures.dropping_layers import LayerSwitches
from frugal.model import Encoder, TransformerConfig
from tests.browsing import heights_of

LETTERS, HOPS = 5, 3
RINGS = hops.draw(4, n_letters=LETTERS, n_hops=HOPS, seed=3)


def follower(seed=0, **options):
    torch.manual_seed(seed)
    config = {"d_model": 16, "n_heads": 2, "n_layers": 4, "d_ff": 24, "positions": "none"}
    encoder = Encoder(TransformerConfig(LETTERS**2, **config | options)).eval()
    classify = nn.Linear(16, LETTERS * HOPS)
    for parameter in [*encoder.parameters(), *classify.parameters()]:
        nn.init.normal_(parameter, std=0.4)
        parameter.data = parameter.data.half().float()  # as the page gets them
    return encoder, classify


def figure(**options):
    models = {"plain": follower(0), "dropped": follower(1, make_stack=LayerDrop)}
    given = {"models": models, "examples": RINGS} | options
    return LayerSwitches(given.pop("models"), **given)


@pytest.mark.parametrize("off", [[], [0], [1, 2], [0, 1, 3]])
def test_the_page_computes_what_torch_computes(formulas, off):
    shown = figure(off=off)
    page = formulas("shallow_encoder.js", "shallow")
    formulas("../../show/models.js", "models")
    found = page.evaluate(
        """(state) => state.weights.map((packed) => {
          const weights = models.unpack(packed, state.shape.parameters);
          return state.examples.map(({ ids }) =>
            shallow.forward(weights, state.shape, ids, state.off));
        })""",
        shown.state,
    )
    torch.testing.assert_close(torch.tensor(found), shown.probabilities(), rtol=0, atol=1e-5)


def test_what_is_kept_between_choices_changes_nothing(formulas):
    shown = figure()
    page = formulas("shallow_encoder.js", "shallow")
    formulas("../../show/models.js", "models")
    again, anew = page.evaluate(
        """(state) => {
          const weights = models.unpack(state.weights[0], state.shape.parameters);
          const [memory, ids] = [new Map(), state.examples[0].ids];
          const choices = [[], [0], [3], [1, 2], [], [0, 3], [1]];
          const run = (off, kept) => shallow.forward(weights, state.shape, ids, off, kept);
          return [choices.map((off) => run(off, memory)), choices.map((off) => run(off))];
        }""",
        shown.state,
    )
    assert again == anew


def test_a_layer_that_is_off_is_a_layer_that_was_pruned():
    encoder, classify = follower()
    pruned = copy.deepcopy(encoder)
    prune_layers(pruned, [0, 3])
    shown = figure(models={"one": (encoder, classify)}, off=[1, 2])
    with torch.no_grad():
        expected = classify(pruned(RINGS.tokens)).unflatten(-1, (HOPS, LETTERS)).softmax(-1)
    torch.testing.assert_close(shown.probabilities()[0], expected)
    assert len(encoder.stack.layers) == 4


def test_every_other_is_the_librarys(formulas):
    page = formulas("layer_switches.js", "page")
    sizes = [(layers, keep) for layers in range(1, 9) for keep in range(1, layers + 1)]
    found = page.evaluate("(sizes) => sizes.map(([n, keep]) => page.everyOther(n, keep))", sizes)
    assert [tuple(one) for one in found] == [every_other(*one) for one in sizes]


def off(shown):
    pressed = shown.locator(".layers-switch").evaluate_all(
        "(all) => all.map((it) => it.ariaPressed)"
    )
    return [number for number, one in enumerate(pressed) if one == "false"]


def shares(shown):
    return shown.locator(".layers-percent").evaluate_all(
        "(all) => all.map((it) => +it.dataset.value)"
    )


def agrees(shown, made, gone):
    """The page shows what torch computes with these layers off."""
    made.state["off"] = gone
    assert off(shown) == gone
    right = made.right()
    assert shares(shown) == pytest.approx(right.flatten().tolist(), abs=1e-9)
    said = shown.locator(".frugal-readout").inner_text()
    assert said.startswith(f"{4 - len(gone)} of 4 layers ")
    for row, name in zip(right, made.state["names"], strict=True):
        assert f"{100 * row.mean().item():.0f} % with {name}" in said


def test_switches_flip_by_press_and_key_and_one_stays_on(show):
    made = figure()
    shown = show(made)
    agrees(shown, made, [])
    switch = shown.locator(".layers-switch")
    switch.nth(2).click()
    agrees(shown, made, [2])
    switch.nth(2).press("ArrowLeft")
    shown.page.keyboard.press("Space")
    agrees(shown, made, [1, 2])
    shown.page.keyboard.press("ArrowLeft")
    shown.page.keyboard.press("ArrowLeft")  # there is nothing further left
    shown.page.keyboard.press("Enter")
    agrees(shown, made, [0, 1, 2])
    switch.nth(3).click()  # the last one that is on
    agrees(shown, made, [0, 1, 2])
    switch.nth(1).click()
    agrees(shown, made, [0, 2])


def test_buttons_choose_layers(show):
    made = figure()
    shown = show(made)
    press = lambda name: shown.get_by_role("button", name=name).click()  # noqa: E731
    for name, gone in (
        ("Every other", [1, 3]), ("First 2", [2, 3]), ("Last 2", [0, 1]), ("All on", []),
    ):  # fmt: skip
        press(name)
        agrees(shown, made, gone)
    for left in (3, 2, 1, 1):
        press("− one by chance")
        assert len(off(shown)) == 4 - left
    agrees(shown, made, off(shown))


def test_a_ring_is_told_from_the_chosen_letter(show):
    made = figure(off=[3])
    shown = show(made)
    shown.get_by_role("button", name="Next ring").click()
    shown.locator(".frugal-segmented label", has_text="d").click()
    after = dict(divmod(token, LETTERS) for token in RINGS.tokens[1].tolist())
    truth, letter = [], 3
    for _ in range(HOPS):
        letter = after[letter]
        truth.append(letter)
    words = shown.locator(".layers-words").inner_text()
    assert words == hops.text_of(RINGS.tokens[1], n_letters=LETTERS)
    rows = shown.locator(".layers-table tbody tr").all()
    cells = [[cell[:1] for cell in row.locator("td").all_inner_texts()] for row in rows]
    assert cells[0] == ["abcde"[one] for one in truth]
    row = RINGS.tokens[1].div(LETTERS, rounding_mode="floor").tolist().index(3)
    best = made.probabilities()[:, 1, row].argmax(-1)
    assert cells[1:] == [["abcde"[one] for one in said] for said in best.tolist()]
    wrong = shown.locator(".layers-bad").count()
    assert wrong == (best != torch.tensor(truth)).sum().item()
    assert shown.locator(".layers-step-number").all_text_contents() == ["1", "2", "3"]


@pytest.mark.parametrize("width", [390, 1280])
def test_no_switch_changes_the_height(show, visit, width):
    """With the six layers, ten letters and six distances of the chapter."""
    visit.page.set_viewport_size({"width": width, "height": 900})
    rings = hops.draw(4, n_letters=10, n_hops=6, seed=3)
    models = {}
    for seed, name in enumerate(("p = 0", "p = 0.2")):
        torch.manual_seed(seed)
        sizes = {"d_model": 16, "n_heads": 2, "n_layers": 6, "d_ff": 24, "positions": "none"}
        models[name] = Encoder(TransformerConfig(100, **sizes)).eval(), nn.Linear(16, 60)
    made = LayerSwitches(models, examples=rings, off=[1, 3, 5])
    figure = show(
        made.guided(
            "Which model can do without half of its layers?",
            ("Every other layer", {"off": [1, 3, 5]}),
            ("All six layers", {"off": []}),
            ("The last three alone", {"off": [0, 1, 2]}),
        )
    )
    places = [
        {"off": off, "example": example, "start": start}
        for off in ([1, 3, 5], [], [0, 1, 2], [0, 1, 2, 3, 4])
        for example, start in ((0, 0), (1, 4), (3, 9))
    ]
    heights = heights_of(figure, places)
    assert max(heights) - min(heights) < 0.5
    assert heights[0] <= (1150 if width < 500 else 900)
    bars = figure.locator(".layers-bar").evaluate_all(
        "(all) => all.map((it) => it.getBoundingClientRect().width)"
    )
    assert len(bars) == 12
    assert min(bars) > 60  # long enough to compare


def test_the_still_picture_has_a_panel_for_each_model():
    made = figure(off=[0, 1]).picture()
    assert made.get_suptitle() == "2 of 4 layers on"
    assert [axes.get_title() for axes in made.axes] == ["plain", "dropped"]
    assert [len(axes.patches) for axes in made.axes] == [HOPS, HOPS]


def fewer():
    encoder, classify = follower()
    prune_layers(encoder, [0, 1])
    return {"whole": follower(), "fewer": (encoder, classify)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": {}}, "models is empty"),
        ({"models": {"a": follower(positions="rope")}}, "cannot run"),
        ({"models": {"a": follower(positions="learned", max_length=9)}}, "cannot run"),
        ({"models": {"a": follower(make_stack=ReversibleStack)}}, "cannot run"),
        ({"models": fewer()}, "'fewer' of another shape"),
        ({"models": {"a": (follower()[0], nn.Linear(16, 7))}}, "a classifier of 7 outputs"),
        ({"examples": hops.draw(2, n_letters=6, n_hops=3)}, "examples of 6 letters must have 36"),
        ({"off": [0, 1, 2, 3]}, "one layer must stay on"),
        ({"off": [4]}, "off is 4"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        figure(**options)
