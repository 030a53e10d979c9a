"""The running example: the same model under other attentions, by definition and in a browser."""

import pytest
import torch

from frugal.attention.entmax import EntmaxAttention
from frugal.attention.kernels import KernelAttention
from frugal.attention.kernels.features import FavorFeatures
from frugal.attention.linformer import LinformerAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.data import journeys
from frugal.figures.running_example import RunningExample, read_story, running_example
from frugal.figures.running_example.running_example import ANSWER, QUERY, STORY, by_all_pairs
from tests.figures.gallery import a_window

WORDS = STORY.split()
ATTENDS = {
    "window": PatternAttention("window", window=3),
    "span": AdaptiveSpan(4, 21, ramp=4, start=6),
    "lsh": LshAttention(4, 2, seed=0),
    "sinkhorn": SinkhornAttention(4, 12, block_size=7, max_blocks=3),
    "linformer": LinformerAttention(4, 21, 8),
    "linear": KernelAttention(),
    "favor": KernelAttention(FavorFeatures(12, 32)),
    "entmax": EntmaxAttention(4, alpha=1.5),
}


def test_with_all_pairs_the_model_is_right_and_looks_up_who_went_there():
    reading = by_all_pairs()
    assert journeys.PLACES[reading.chances.argmax()] == ANSWER
    assert reading.chances.max() > 0.9
    torch.testing.assert_close(reading.matrices.sum(-1), torch.ones(4, 4, 21))
    assert WORDS[QUERY] == ANSWER
    assert WORDS[reading.shown[QUERY].argmax()] == "anna"
    assert reading.shared(reading) == pytest.approx(1)


@pytest.mark.parametrize("name", ATTENDS)
def test_any_attention_gives_a_matrix_and_an_answer(name):
    reading = read_story(ATTENDS[name])
    assert reading.matrices.shape == (4, 4, 21, 21)
    assert reading.chances.sum().item() == pytest.approx(1, abs=1e-5)
    assert 0 <= reading.shared(by_all_pairs()) < 0.999


def test_the_matrix_of_a_pattern_is_zero_outside():
    attend = PatternAttention("window", window=3)
    reading = read_story(attend)
    outside = ~attend.mask(21, 21, causal=False, device=torch.device("cpu"))
    assert (reading.matrices[..., outside] == 0).all()
    assert reading.read < 7


def test_chance_is_the_same_for_the_matrix_and_for_the_model():
    attend = LshAttention(4, 2)
    torch.manual_seed(1)
    first = read_story(attend)
    torch.manual_seed(2)
    torch.testing.assert_close(first.matrices, read_story(attend).matrices)


def test_a_matrix_is_told_as_it_is():
    made = running_example({"exact": softmax_attention})
    assert made.state["matrices"]["exact"] == made.state["matrices"]["all pairs"]
    assert made.state["shared"]["exact"] == pytest.approx(1)
    assert made.state["method"] == "exact"


@pytest.mark.usefixtures("unchecked")
def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="attends is empty"):
        running_example({})
    with pytest.raises(ValueError, match="shown is 'x'"):
        RunningExample({"all pairs": by_all_pairs()}, shown="x")


def first_of(row) -> str:
    share = row.max().item()
    return f"“{WORDS[row.argmax()]}” {100 * share:.{1 if share < 0.0995 else 0}f} %"


@pytest.mark.parametrize("width", [375, 1280])
def test_steps_lead_from_all_pairs_to_the_first_and_the_last(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    attends = {"a window": ATTENDS["window"], "a kernel": ATTENDS["linear"]}
    made = running_example(attends)
    figure = show(made)
    steps, gives = figure.locator(".frugal-steps button"), figure.locator(".running-most")
    rows = {name: torch.tensor(one)[QUERY] for name, one in made.state["matrices"].items()}
    exact = f"With all pairs: {first_of(rows['all pairs'])}."
    assert steps.nth(1).get_attribute("aria-current") == "step"
    heights = {figure.bounding_box()["height"]}
    for number, name in ((2, "a kernel"), (1, "a window"), (0, "all pairs")):
        steps.nth(number).click()
        assert figure.get_by_role("radio", name=name).is_checked()
        assert gives.inner_text().startswith(f"“{ANSWER}” gives most to {first_of(rows[name])}")
        assert gives.inner_text().endswith(exact) == (name != "all pairs")
        heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1


def test_with_one_attention_a_step_asks_the_word_that_it_changes_least():
    made = running_example({"span": ATTENDS["span"]})
    *_, last = made.state["guide"]["tries"]
    apart = (by_all_pairs().shown - read_story(ATTENDS["span"]).shown).abs().sum(-1)
    apart[QUERY] = torch.inf  # two steps before have asked for it
    assert last["state"] == {"method": "span", "query": apart.argmin().item()}
    assert f"“{WORDS[apart.argmin()]}”" in last["words"]


def test_the_reader_switches_and_asks_another_word(show):
    made = a_window(pages={"window": "fixed-patterns.html"})
    figure = show(made)
    said = figure.locator(".frugal-readout")
    assert f"“{ANSWER}” gives most to “anna”" in figure.locator(".running-most").inner_text()
    assert "which is right" in said.inner_text()
    heights = {figure.bounding_box()["height"]}
    figure.get_by_role("radio", name="all pairs").press("ArrowRight")
    assert said.inner_text().startswith("With window, a word gives weight to")
    assert figure.get_by_role("link").get_attribute("href") == "fixed-patterns.html"
    heights.add(figure.bounding_box()["height"])
    figure.get_by_role("slider").press("Home")
    assert "“where?” gives most to" in figure.locator(".running-most").inner_text()
    heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1
    figure.locator(".running-touch").nth(1).click()
    assert "“ben” gives most to" in figure.locator(".running-most").inner_text()
