"""The token calculator in a browser: the library's counts and costs, and a picture that follows."""

import dataclasses
import random
import re

import pytest

from frugal.arithmetic.token_counts import picture_tokens, sound_frames, voxel_tokens
from frugal.arithmetic.transformer import TransformerShape
from frugal.figures.pictures_and_sound.token_calculator import (
    BASE,
    LANDMARKS,
    TokenCalculator,
    token_bill,
)

COUNTS = [196, 576, 2999, 8000, 50_176]
"""Tokens of the landmarks."""


def outcome(function, *args, **options):
    """A number, or the sentence that refuses to give one."""
    try:
        return function(*args, **options)
    except ValueError as error:
        return str(error)


def test_counts_and_sentences_equal_those_of_the_library(formulas):
    page = formulas("token_formulas.js", "tokens")
    rng = random.Random(0)
    for _ in range(80):
        patch, fits = rng.randrange(0, 17), rng.random() < 0.6
        height, width = (rng.randrange(0, 40) * (patch if fits else 1) for _ in range(2))
        samples, window, hop = rng.randrange(-1, 5000), rng.randrange(0, 900), rng.randrange(0, 700)
        found = page.evaluate(
            """([height, width, patch, samples, window_, hop]) => {
              const tried = (f) => { try { return f(); } catch (error) { return error.message; } };
              return [
                tried(() => tokens.pictureTokens(height, width, patch)),
                tried(() => tokens.voxelTokens(height, patch)),
                tried(() => tokens.soundFrames(samples, window_, hop)),
              ];
            }""",
            [height, width, patch, samples, window, hop],
        )
        assert found == [
            outcome(picture_tokens, height, width, patch=patch),
            outcome(voxel_tokens, height, patch=patch),
            outcome(sound_frames, samples, window=window, hop=hop),
        ]


def test_bills_equal_those_of_the_library(formulas):
    page = formulas("token_calculator.js", "calculator")
    rng = random.Random(1)
    for _ in range(40):
        n_heads = 2 ** rng.randrange(5)
        shape = TransformerShape(
            length=1,
            d_model=n_heads * rng.randrange(1, 100),
            n_heads=n_heads,
            n_layers=rng.randrange(1, 40),
            d_ff=rng.randrange(1, 5000),
            bytes_per_number=rng.choice([2, 4]),
        )
        tokens = round(2 ** rng.uniform(0, 20))
        found = page.evaluate(
            "([tokens, shape]) => calculator.tokenBill(tokens, shape)",
            [tokens, dataclasses.asdict(shape)],
        )
        expected = dataclasses.asdict(token_bill(tokens, shape))
        assert found == pytest.approx(expected, rel=1e-12, abs=0)


def bill(figure):
    return [cell.inner_text() for cell in figure.locator(".tokens-bill td").all()]


def test_sliders_move_the_cut_the_count_and_the_chart(show):
    figure = show(TokenCalculator())
    said = figure.locator(".frugal-readout")
    assert bill(figure)[0] == "196"
    share = token_bill(196)
    percent = 100 * share.attention_flops / (share.attention_flops + share.other_flops)
    assert said.inner_text() == (
        f"A picture makes 196 tokens; attention takes {percent:.1f} % of the FLOPs, less than all "
        "the rest."
    )
    before = figure.locator(".tokens-here-attention").get_attribute("cy")
    assert figure.locator(".tokens-cut").count() == 2 * (14 + 1)
    figure.get_by_label("Side").first.press("ArrowRight")
    assert bill(figure)[0] == "256"
    assert figure.locator(".tokens-cut").count() == 2 * (16 + 1)
    figure.get_by_label("Patch").first.select_option("8")
    assert bill(figure)[0] == "1,024"
    after = figure.locator(".tokens-here-attention").get_attribute("cy")
    assert float(after) < float(before)


def test_a_patch_that_does_not_fit_is_said_as_the_library_says_it(show):
    figure = show(TokenCalculator(side=224))
    figure.get_by_label("Patch").first.select_option("14")
    assert bill(figure)[0] == "256"
    figure.get_by_label("Side").first.press("ArrowRight")
    with pytest.raises(ValueError, match="multiple") as raised:
        picture_tokens(256, 256, patch=14)
    assert figure.locator(".frugal-readout").inner_text() == str(raised.value)
    assert bill(figure) == ["–"] * 5
    assert figure.locator(".tokens-here").count() == 0


def test_each_kind_of_input_has_its_own_controls_and_drawing(show):
    figure = show(TokenCalculator())
    figure.get_by_label("sound").check()
    assert not figure.get_by_label("Patch").first.is_visible()
    assert bill(figure)[0] == "499"
    assert "49.9 tokens a second, 499 in all" in figure.locator(".frugal-readout").inner_text()
    assert figure.locator(".tokens-frame").count() == 5  # a tenth of a second at 50 a second
    figure.get_by_label("Hop").press("Home")
    frames = sound_frames(160_000, window=25, hop=20)
    assert bill(figure)[0] == f"{frames:,}"
    assert "Only one line in 2 is drawn" in figure.locator(".frugal-readout").inner_text()
    figure.get_by_label("voxels").check()
    assert bill(figure)[0] == "8,000"
    assert figure.locator(".tokens-face").count() == 3


@pytest.mark.parametrize("index", range(len(LANDMARKS)))
def test_landmarks_set_what_they_name(show, index):
    label, state = LANDMARKS[index]
    figure = show(TokenCalculator(modality="sound"))
    figure.get_by_role("button", name=label).click()
    chosen = figure.evaluate("(it) => it.model.get('modality')")
    assert chosen == state["modality"]
    tokens = int(bill(figure)[0].replace(",", ""))
    assert tokens == COUNTS[index]
    assert figure.locator(".frugal-steps [aria-current]").inner_text() == f"{index + 1} {label}"
    here = float(figure.locator(".tokens-here-attention").get_attribute("cx"))
    line = figure.locator(".tokens-landmark").nth(index).get_attribute("d")
    assert float(line[1:].split()[0]) == pytest.approx(here)


def test_from_some_number_of_tokens_on_attention_costs_more(show):
    """The shaded part begins where both cost the same, and the sentence changes there."""
    figure = show(TokenCalculator())
    told = figure.locator(".tokens-chart").text_content()
    even = int(re.search(r"from ([\d,]+) tokens on", told)[1].replace(",", ""))
    before, there = token_bill(even - 1), token_bill(even)
    assert before.attention_flops < before.other_flops
    assert there.attention_flops >= there.other_flops
    more = []
    for button in figure.locator(".frugal-steps button").all():
        button.click()
        more.append("more than all the rest" in figure.locator(".frugal-readout").inner_text())
    assert more == [token_bill(n).attention_flops > token_bill(n).other_flops for n in COUNTS]
    assert True in more
    assert False in more


def test_a_larger_picture_is_drawn_larger(show):
    figure = show(TokenCalculator())
    small = figure.locator(".tokens-sky").bounding_box()["width"]
    figure.get_by_label("Side").first.press("End")
    large = figure.locator(".tokens-sky").bounding_box()["width"]
    assert large / small == pytest.approx((1024 / 224) ** 0.5, rel=0.01)


def test_the_still_picture_and_the_words_have_the_counts():
    figure = TokenCalculator()
    for count in ("196", "499", "8,000"):
        assert count in figure.alt
    axes = figure.picture().axes[0]
    marked = sorted(line.get_xdata()[0] for line in axes.lines[2:])
    assert marked == [196, 499, 8000]
    attention, other = (dict(zip(*line.get_data(), strict=True)) for line in axes.lines[:2])
    assert attention[16] == token_bill(16).attention_flops
    assert other[2**20] == token_bill(2**20, BASE).other_flops


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 225}, "height is 225"),
        ({"patch": 0}, "patch is 0"),
        ({"hop": 0}, "hop 0"),
        ({"seconds": 0}, "seconds is 0"),
        ({"voxel_side": 101}, "side is 101"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TokenCalculator(**options)
