"""The pattern playground in a browser: the library's masks, and a picture that follows controls."""

import math
import random

import pytest
import torch

from frugal.attention.patterns.masks import pattern_mask, receptive_field
from frugal.figures.fixed_patterns.pattern_playground import PatternPlayground

OPTIONS = {
    "full": (),
    "window": ("window",),
    "dilated": ("window", "dilation"),
    "global": ("global_tokens",),
    "random": ("n_random", "seed"),
    "strided": ("stride",),
    "fixed": ("stride", "summary"),
}


def layers_to_meet(mask: torch.Tensor, causal: bool) -> float:
    """After how many layers all positions, or all before, have been heard of."""
    apart = torch.ones_like(mask).triu(1) if causal else torch.zeros_like(mask)
    layers = range(len(mask))
    return next((n for n in layers if (receptive_field(mask, n) | apart).all()), math.inf)


def test_masks_equal_those_of_the_library(formulas):
    page = formulas("pattern_formulas.js", "patterns")
    rng = random.Random(0)
    for _ in range(60):
        parts = rng.sample(list(OPTIONS), rng.randint(1, 4))
        stride, causal = rng.randint(1, 9), rng.random() < 0.5
        every = {
            "window": rng.randint(0, 9),
            "dilation": rng.randint(1, 5),
            "global_tokens": rng.sample(range(30), rng.randint(0, 3)),
            "n_random": rng.randint(0, 4),
            "seed": rng.randint(0, 10**6),
            "stride": stride,
            "summary": rng.randint(1, stride),
        }
        options = {name: every[name] for part in parts for name in OPTIONS[part]}
        name, length = "+".join(parts), rng.randint(1, 60)
        layers = rng.randint(0, 4)
        found, reached, bill, meet = page.evaluate(
            """([name, length, options, layers]) => {
              const seen = patterns.mask(name, length, options);
              const needed = patterns.layersNeeded(seen);
              return [seen, needed.map((row) => row.map((n) => n <= layers)),
                      patterns.bill(seen, 64), patterns.layersToMeet(needed, options.causal)];
            }""",
            [name, length, {**options, "causal": causal}, layers],
        )
        mask = pattern_mask(name, length, causal=causal, **options)
        assert torch.equal(torch.tensor(found), mask), (name, length, causal, options)
        assert torch.equal(torch.tensor(reached), receptive_field(mask, layers))
        assert meet == layers_to_meet(mask, causal), (name, length, causal, options)
        pairs = int(mask.sum())
        assert (bill["pairs"], bill["flops"]) == (pairs, 4 * pairs * 64)
        assert bill["density"] == pytest.approx(pairs / length**2)


def pixels(figure) -> str:
    return figure.locator("canvas").evaluate("(canvas) => canvas.toDataURL()")


def facts(figure) -> str:
    return figure.locator(".patterns-facts").inner_text()


def test_every_control_moves_the_picture(show, visit):
    figure = show(PatternPlayground(["window", "dilated", "global", "random", "fixed"], layers=1))
    for label in (
        "Window w",
        "Dilation",
        "Global tokens g",
        "Random keys r",
        "Stride ℓ",
        "Summary c",
    ):
        before = pixels(figure), facts(figure)
        control = figure.get_by_label(label)
        control.focus()
        visit.page.keyboard.press("ArrowRight")
        after = pixels(figure), facts(figure)
        assert all(one != other for one, other in zip(before, after, strict=True)), label
    before = pixels(figure)
    figure.get_by_label("causal: nothing after the query").click()
    assert pixels(figure) != before
    for label in ("window", "dilated", "global tokens", "random", "strided", "fixed"):
        before = pixels(figure)
        figure.get_by_label(label, exact=True).focus()
        visit.page.keyboard.press("Space")
        assert pixels(figure) != before, label


def test_density_and_reach_are_told_in_words(show, visit):
    figure = show(PatternPlayground(["window"], length=48, window=4, layers=2, query=20))
    mask = pattern_mask("window", 48, window=4)
    assert f"{mask.float().mean():.1%}".replace("%", " %") in facts(figure)
    said = figure.locator(".frugal-readout")
    assert "sees 9 of 48 positions in one layer; after 2 layers it can have heard of 17" in (
        said.inner_text()
    )
    figure.get_by_label("Layers L").focus()
    visit.page.keyboard.press("ArrowRight")
    assert "after 3 layers it can have heard of 25" in said.inner_text()
    figure.get_by_label("global tokens", exact=True).check()
    assert "heard of 48" in said.inner_text()


def test_pointing_at_a_row_chooses_its_query(show, visit):
    figure = show(PatternPlayground(["strided"], causal=True))
    box = figure.locator("canvas").bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10.5 * box["height"] / 48)
    assert "Position 11 sees" in figure.locator(".frugal-readout").inner_text()
    figure.get_by_label("Query", exact=True).focus()
    visit.page.keyboard.press("End")
    assert "Position 48 sees" in figure.locator(".frugal-readout").inner_text()


@pytest.mark.parametrize("preset", ["Dense", "Longformer", "BigBird", "Strided", "Fixed"])
def test_presets(show, preset):
    figure = show(PatternPlayground())
    figure.get_by_role("button", name=preset).click()
    masks = {
        "Dense": pattern_mask("full", 48),
        "Longformer": pattern_mask("window+global", 48, window=4, global_tokens=(0,)),
        "BigBird": pattern_mask(
            "window+global+random", 48, window=2, global_tokens=(0, 1), n_random=2
        ),
        "Strided": pattern_mask("strided", 48, stride=7),
        "Fixed": pattern_mask("fixed", 48, stride=7, summary=1),
    }
    assert f"{int(masks[preset].sum())} of 2304" in facts(figure)


def joined(*patterns, **options) -> dict:
    state = PatternPlayground(patterns, **options).state
    return {name: value for name, value in state.items() if name != "query"}


def guided() -> PatternPlayground:
    return PatternPlayground(["window", "global"]).guided(
        "After how many layers has every position heard of every other?",
        ("A window and one global token", joined("window", "global")),
        ("The window alone: how many now?", joined("window")),
        ("Causal, the global token first: does it help?", joined("window", "global", causal=True)),
    )


def test_each_step_changes_the_answer(show, visit):
    figure = show(guided())
    said = figure.locator(".frugal-readout")
    assert said.inner_text().endswith("Every position has heard of every other after 2 layers.")
    step = figure.locator(".frugal-steps button")
    window = pattern_mask("window", 48, window=4)
    needed = layers_to_meet(window, causal=False)
    step.nth(1).click()
    assert said.inner_text().endswith(f"of every other after {needed} layers.")
    layers = figure.get_by_label("Layers L")
    layers.press("End")  # as far as the figure goes, all have met
    assert facts(figure).endswith("100.0 %")
    step.nth(2).click()
    assert layers.input_value() == "2"
    assert said.inner_text().endswith(f"heard of all before it after {needed} layers.")
    figure.get_by_role("button", name="Fixed").click()
    figure.get_by_label("causal: nothing after the query").uncheck()
    assert said.inner_text().endswith("never hear of each other, in any number of layers.")
    assert figure.locator("[aria-current]").count() == 0
    box = figure.locator("canvas").bounding_box()
    step.nth(1).click()
    visit.page.mouse.move(box["x"] + 5, box["y"] + 5)  # another query is still this step
    assert step.nth(1).get_attribute("aria-current") == "step"


def test_only_numbers_that_count_can_be_moved(show):
    figure = show(PatternPlayground(["dilated"]))
    free = [one for one in SLIDERS if figure.get_by_label(one).is_enabled()]
    assert free == ["Window w", "Dilation"]


SLIDERS = ("Window w", "Dilation", "Global tokens g", "Random keys r", "Stride ℓ", "Summary c")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(guided())
    states = [
        *({f"use_{name}": on} for on in (True, False) for name in OPTIONS if name != "full"),
        *({"layers": layers, "query": 47} for layers in (1, 2, 12)),
        {"causal": True},
    ]
    heights = figure.evaluate(
        """(it, states) => [...new Set(states.map((state) => {
          it.model.set(state);
          return it.getBoundingClientRect().height;
        }))]""",
        states,
    )
    assert len(heights) == 1


def test_an_unknown_pattern():
    with pytest.raises(ValueError, match="patterns has 'ring'; it must have some of window, "):
        PatternPlayground(["ring"])
