"""The token-pruning figure in a browser: it computes what torch computes, and its rows follow."""

import copy

import pytest
import torch
from torch import nn

from frugal import results
from frugal.arithmetic.fewer_tokens import elimination_flops
from frugal.data import journeys
from frugal.figures.dropping_tokens.token_pruning import PruningExample, TokenPruning
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.elimination import WordVectorElimination

STORIES = journeys.draw(3, seed=5, sentences=(3, 4))
PRESETS = {"few": (9, 5, 3), "all": (40, 40, 40)}


def reader(seed=0, **options):
    torch.manual_seed(seed)
    config = {"d_model": 16, "n_heads": 2, "n_layers": 3, "d_ff": 24, "positions": "rope"}
    config |= {"make_stack": WordVectorElimination} | options
    encoder = Encoder(TransformerConfig(len(journeys.VOCABULARY), **config)).eval()
    classify = nn.Linear(16, 8)
    for parameter in [*encoder.parameters(), *classify.parameters()]:
        nn.init.normal_(parameter, std=0.4)
        parameter.data = parameter.data.half().float()  # as the page gets them
    return encoder, classify


def figure(**options):
    given = {
        "models": {"plain": reader(0), "again": reader(1)},
        "vocabulary": journeys.VOCABULARY,
        "classes": journeys.PLACES,
        "examples": [
            PruningExample(text=text, answer=place, label=f"Story {number + 1}")
            for number, (text, place) in enumerate(STORIES)
        ],
        "presets": PRESETS,
        "question": "Where is Anna?",
    }
    given |= options
    return TokenPruning(given.pop("models"), **given)


def test_the_page_computes_what_torch_computes(formulas):
    page = formulas("elimination_formulas.js", "dropping")
    formulas("../../show/models.js", "models")
    for keep in ((9, 5, 3), (40, 40, 40), (1, 1, 1), (20, 20, 2)):
        shown = figure(keep=keep)
        ran, probabilities = shown.run()
        state = shown.state
        length = len(state["examples"][0]["ids"])
        found = page.evaluate(
            """([state, keep]) => {
              const weights = models.unpack(state.weights.plain, state.shape.parameters);
              const ids = state.examples[0].ids;
              const { width, inner } = state.shape;
              return {
                ...window.dropping.forward(weights, state.shape, ids, keep),
                flops: window.dropping.flops(keep, ids.length, width, inner),
              };
            }""",
            [state, list(keep)],
        )
        assert found["probabilities"] == pytest.approx(probabilities.tolist(), abs=1e-5)
        left = [layer["left"] for layer in found["layers"]]
        assert left == [positions[0].tolist() for positions in ran.positions]
        assert found["flops"] == elimination_flops(keep, length=length, d_model=16, d_ff=24)
        assert found["flops"] == shown.flops()[0]


def kept(shown, layer):
    """The words that a row shows as kept; layer 1 is next to the input, at the bottom."""
    row = shown.locator(".pruning-row").nth(3 - layer)
    return row.locator(".pruning-kept").evaluate_all("(all) => all.map((it) => it.dataset.word)")


def by_torch(shown_figure, layer):
    words = shown_figure.state["examples"][shown_figure.state["example"]]["words"]
    return [words[place] for place in shown_figure.run()[0].positions[layer - 1][0].tolist()]


def shares(shown):
    return shown.locator(".pruning-percent").evaluate_all(
        "(all) => all.map((it) => +it.dataset.value)"
    )


def test_rows_and_bars_show_the_run(show):
    made = figure()
    shown = show(made)
    for layer in (1, 2, 3):
        assert kept(shown, layer) == by_torch(made, layer)
    assert shares(shown) == pytest.approx(made.run()[1].tolist(), abs=1e-5)
    widths = shown.locator(".pruning-fill").evaluate_all(
        "(all) => all.map((it) => it.offsetWidth / it.parentElement.offsetWidth)"
    )
    assert widths == pytest.approx(made.run()[1].tolist(), abs=0.01)
    marks = shown.locator(".pruning-before").evaluate_all(
        "(all) => all.map((it) => it.offsetLeft / it.parentElement.offsetWidth)"
    )
    everything = figure(keep=(40, 40, 40)).run()[1].tolist()
    assert marks == pytest.approx(everything, abs=0.01)
    length = len(made.state["examples"][0]["ids"])
    said = shown.locator(".frugal-readout").inner_text()
    assert said.startswith(f"3 of {length} tokens reach the end.")
    assert f"{100 * made.flops()[0] / made.flops()[1]:.0f} % of the FLOPs" in said
    gone = shown.locator(".pruning-row").nth(0).locator(".pruning-gone")
    assert gone.count() == length - 5
    assert gone.first.evaluate("(it) => getComputedStyle(it, '::before').opacity") == "0.25"
    assert shown.locator(".pruning-row").nth(0).locator(".pruning-dropped").count() == 2


def test_sliders_and_presets_move_the_schedule_which_never_grows(show):
    made = figure()
    shown = show(made)
    slider = [shown.get_by_label(f"Layer {layer}") for layer in (1, 2, 3)]
    values = lambda: [int(one.input_value()) for one in slider]  # noqa: E731
    before = shares(shown)
    slider[1].press("ArrowLeft")
    assert values() == [9, 4, 3]
    assert shares(shown) == pytest.approx(figure(keep=(9, 4, 3)).run()[1].tolist(), abs=1e-5)
    assert shares(shown) != before
    slider[1].press("Home")
    assert values() == [9, 1, 1]
    slider[2].press("End")
    longest = max(len(one["ids"]) for one in made.state["examples"])
    assert values() == [longest] * 3
    assert "% of the FLOPs" in shown.locator(".frugal-readout").inner_text()
    shown.get_by_role("button", name="few").click()
    assert values() == [9, 5, 3]
    assert shares(shown) == pytest.approx(before)


def test_story_order_and_model_change_the_rows(show):
    made = figure()
    shown = show(made)
    shown.get_by_label("first ones").check()
    words = made.state["examples"][0]["words"]
    assert [kept(shown, layer) for layer in (1, 2, 3)] == [words[:n] for n in PRESETS["few"]]
    shown.get_by_label("by chance").check()
    assert kept(shown, 1) != words[:9]
    shown.get_by_label("most attended").check()
    shown.get_by_label("again").check()
    made.state["model"] = "again"
    assert shares(shown) == pytest.approx(made.run()[1].tolist(), abs=1e-5)
    shown.get_by_label("Story").select_option(label="Story 3")
    made.state["example"] = 2
    assert [kept(shown, layer) for layer in (1, 2, 3)] == [by_torch(made, n) for n in (1, 2, 3)]
    assert shares(shown) == pytest.approx(made.run()[1].tolist(), abs=1e-5)
    assert "✓" in shown.locator(".pruning-class").nth(STORIES[2].place).inner_text()


def of_the_chapter():
    """The figure as the chapter opens with it, of the recorded model alone."""
    recorded = results.load("elimination")
    sizes = {"d_model": 48, "n_heads": 4, "n_layers": 4, "d_ff": 96, "positions": "rope"}
    config = TransformerConfig(len(journeys.VOCABULARY), make_stack=WordVectorElimination, **sizes)
    reader = nn.ModuleDict({"encoder": Encoder(config), "classify": nn.Linear(48, 8)}).eval()
    reader.load_state_dict(recorded.weights("journeys"))
    stories = [
        story
        for story in journeys.draw(1000, seed=10_000)
        if "anna did not" in story.text and len(story.text.split()) < 45
    ]
    return TokenPruning(
        {"plain": (reader["encoder"], reader["classify"])},
        keep=recorded.values("searched keep")["journeys"][0],
        vocabulary=journeys.VOCABULARY,
        classes=journeys.PLACES,
        question="Where is Anna at the end?",
        examples=[
            PruningExample(text=story.text, answer=story.place, label=f"{number}")
            for number, story in enumerate(stories[:3], 1)
        ],
        presets={"4, 2, 1, 1": (4, 2, 1, 1), "all tokens": (65, 65, 65, 65)},
        ask="When may a word go, and which one?",
        steps={
            "Drop late": {},
            "Now drop early": {"keep": (16, 8, 4, 2)},
            "Now by chance": {"order": "chance"},
        },
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_state_is_right_and_each_step_changes_the_answer(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    shown = show(of_the_chapter())
    said = shown.locator(".frugal-readout")
    current = shown.locator(".frugal-steps [aria-current=step]")
    heights = {shown.bounding_box()["height"]}
    assert "which is right" in said.inner_text()
    assert said.inner_text().startswith("1 of 43 tokens reaches the end.")
    answers = []
    for number in (1, 2, 3):
        shown.locator(".frugal-steps button").nth(number - 1).click()
        assert current.inner_text().startswith(f"{number} ")
        answers.append("which is right" in said.inner_text())
        heights.add(shown.bounding_box()["height"])
    assert answers == [True, False, False]
    shown.get_by_label("Story").select_option(label="3")
    shown.get_by_role("button", name="4, 2, 1, 1").click()
    heights.add(shown.bounding_box()["height"])
    assert current.count() == 0
    assert len(heights) == 1
    assert heights.pop() <= (1150 if width < 500 else 1000)
    assert shown.locator("input[type=range], button, select, fieldset").count() <= 12
    assert shown.evaluate(OVERLAPS) == []


# Words of a row or of a bar that are drawn on each other.
OVERLAPS = """(figure) => {
  const names = ".pruning-class, .pruning-bar, .pruning-percent, .pruning-heading > *," +
    ".frugal-readout, .pruning-title, .pruning-story > :not(.pruning-unseen) .pruning-token";
  const all = [...figure.querySelectorAll(names)].map((it) => [it, it.getClientRects()[0]]);
  return all.flatMap(([one, a], i) => all.slice(0, i).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3).map(([other]) =>
      `${one.outerHTML.slice(0, 60)} on ${other.outerHTML.slice(0, 60)}`));
}"""


def test_the_still_picture_has_the_words_that_are_left():
    made = figure()
    texts = [text.get_text() for text in made.picture().axes[1].texts]
    assert [text.split(":")[0] for text in texts] == ["input", "layer 1", "layer 2", "layer 3"]
    last = texts[-1].split(":")[1].split()
    assert [word for word in last if word != "·"] == by_torch(made, 3)


def test_the_figure_leaves_the_model_as_it_is():
    pair = reader(2)
    pair[0].stack.keep = (2, 2, 1)
    before = copy.deepcopy(pair[0].state_dict())
    made = figure(models={"one": pair})
    made.run()
    assert pair[0].stack.keep == (2, 2, 1)
    assert all(torch.equal(value, pair[0].state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": {}}, "each must have one entry or more"),
        ({"models": {"a": reader(), "b": reader(d_ff=20)}}, "different shapes"),
        ({"models": {"a": reader(positions="learned")}}, "cannot run"),
        ({"models": {"a": reader(make_stack=None)}}, "cannot run"),
        ({"classes": ("x", "y")}, "a classifier of 8 outputs"),
        ({"presets": {"p": (1, 2, 3)}}, "keep grows"),
        ({"keep": (2, 1)}, "keep has 2 numbers"),
        ({"steps": {"one": {"keep": (1, 2, 3)}}}, "keep grows"),
        ({"steps": {"one": {"order": "luck"}}}, "order is 'luck'"),
        ({"examples": [PruningExample(text="anna flew", answer=0, label="x")]}, "anna flew"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        figure(**options)
