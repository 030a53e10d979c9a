"""The decoding player in a browser: each step is the decoder's, and all keys work."""

import pytest
import torch

from frugal.decoding.parallel import MaskedTranslator, mask_predict_passes
from frugal.figures.decoding_in_parallel.decoding_player import (
    DecodingExample,
    DecodingPlayer,
    DecodingRun,
    DecodingStep,
)
from frugal.model import TransformerConfig

SYMBOLS = ["<pad>", "<bos>", "<eos>", "<mask>", *"abcdef "]


def passes(iterations: int):
    torch.manual_seed(4)
    config = TransformerConfig(len(SYMBOLS), d_model=12, n_heads=3, n_layers=1)
    model = MaskedTranslator(config, mask=3, max_target_length=9).eval()
    with torch.no_grad():
        memory = model.encoder(torch.tensor([[4, 5, 6]]))
        padding = torch.ones(1, 9, dtype=torch.bool)
        return list(mask_predict_passes(model, memory, padding, iterations=iterations))


WRITTEN = passes(3)


def examples() -> list[DecodingExample]:
    left = DecodingRun.left_to_right(
        "left to right", "27 May", [1.0, 1.0, 0.9, 0.5, 1.0, 1.0], right=True
    )
    one = DecodingRun.from_passes("one shot", passes(1), SYMBOLS, right=False)
    three = DecodingRun.from_passes("three passes", WRITTEN, SYMBOLS, right=True)
    short = DecodingRun.left_to_right("left to right", "1 May", [1.0] * 5, right=True)
    return [
        DecodingExample("05-27", [left, one, three]),
        DecodingExample("05-01", [short, one, three]),
    ]


def texts(figure) -> list[str]:
    return figure.locator(".decoding-text").evaluate_all(
        """(lanes) => lanes.map((lane) => [...lane.querySelectorAll("b")].map(
             (it) => it.textContent || "·").join("").replaceAll("␣", " "))"""
    )


def step(figure) -> int:
    return figure.evaluate("(it) => it.model.get('step')")


def test_every_step_shows_what_was_written(show):
    figure = show(DecodingPlayer(examples(), step=0))
    assert texts(figure) == ["·" * 6, "·" * 9, "·" * 9]
    runs = examples()[0].runs
    for t in range(1, 7):
        figure.evaluate("(it, t) => it.model.set('step', t)", t)
        for lane, run in zip(figure.locator(".decoding-lane").all(), runs, strict=True):
            want = run.steps[min(t, len(run.steps)) - 1]
            cells = lane.locator(".decoding-cell")
            shown = cells.evaluate_all("(all) => all.map((it) => +it.dataset.probability)")
            assert shown == pytest.approx(want.probability, abs=1e-4)
            text = "".join(symbol or "·" for symbol in want.symbols)
            assert texts(figure)[runs.index(run)] == text
            past = lane.locator(".decoding-past").count()
            assert past == min(t, len(run.steps))
    verdicts = figure.locator(".decoding-verdict").all_text_contents()
    assert verdicts == ["✓ right, 6 steps", "✗ wrong, 1 step", "✓ right, 3 steps"]


def test_what_is_doubted_is_what_is_written_next(show):
    figure = show(DecodingPlayer(examples(), step=0))
    lane = figure.locator(".decoding-lane").nth(2)
    marked = {"fresh": [], "doubtful": []}
    for t in (1, 2, 3):
        figure.evaluate("(it, t) => it.model.set('step', t)", t)
        for kind, found in marked.items():
            found.append(
                lane.locator(".decoding-cell").evaluate_all(
                    f"""(all) => all.map((it, at) => [it, at]).filter(
                      ([it]) => it.classList.contains("decoding-{kind}")).map(([, at]) => at)"""
                )
            )
    hidden = [one.hidden[0].nonzero().flatten().tolist() for one in WRITTEN]
    assert [len(places) for places in hidden] == [9, 6, 3]
    assert marked == {"fresh": hidden, "doubtful": [*hidden[1:], []]}


def test_keys_and_buttons_step(show):
    figure = show(DecodingPlayer(examples(), step=0))
    page = figure.page
    figure.locator(".decoding-lanes").focus()
    for key, want in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 6)]:
        page.keyboard.press(key)
        assert step(figure) == want
    assert figure.get_by_role("button", name="Step ▶").is_disabled()
    page.keyboard.press("Home")
    assert step(figure) == 0
    figure.get_by_role("button", name="Step ▶").click()
    assert step(figure) == 1
    figure.get_by_role("slider").press("ArrowRight")
    assert step(figure) == 2
    assert "Step 2 of 6. left to right: 27····" in figure.locator(".frugal-readout").text_content()


def test_it_plays_to_the_end_and_pauses(show):
    figure = show(DecodingPlayer(examples(), step=4))
    page = figure.page
    figure.locator(".decoding-lanes").press(" ")
    assert figure.get_by_role("button", name="Pause").is_visible()
    page.wait_for_function("() => document.querySelector('.frugal-figure').model.get('step') === 6")
    figure.get_by_role("button", name="Play").wait_for()
    figure.get_by_role("button", name="Play").click()  # from the start again
    assert step(figure) < 6
    figure.get_by_role("button", name="Pause").click()
    before = step(figure)
    page.wait_for_timeout(1000)
    assert step(figure) == before


def test_another_example_has_its_own_clock(show):
    figure = show(DecodingPlayer(examples(), step=6))
    figure.get_by_label("Write").select_option(label="05-01")
    assert step(figure) == 5
    assert texts(figure)[0] == "1 May"
    assert figure.get_by_role("slider").get_attribute("max") == "5"


def test_the_still_picture_and_the_words():
    figure = DecodingPlayer(examples())
    assert (
        "left to right takes 6 parallel steps and ends with ‘27 May’, which is right" in figure.alt
    )
    assert "one shot takes 1 parallel step and ends" in figure.alt


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: DecodingPlayer([]), "examples is empty"),
        (lambda: DecodingExample("x", []), "runs of 'x' is empty"),
        (lambda: DecodingRun("slow", [], right=True), "steps of 'slow' is empty"),
        (lambda: DecodingRun.from_passes("x", [], SYMBOLS, right=True), "passes is empty"),
        (lambda: DecodingStep("ab", [1.0], [0]), "symbols has 2 entries and probability 1"),
        (lambda: DecodingStep("a", [1.5], [0]), "probability has a value outside"),
    ],
)
def test_bad_arguments_are_named(make, named):
    with pytest.raises(ValueError, match=named):
        make()
