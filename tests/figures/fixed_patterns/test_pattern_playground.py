"""The pattern playground in a browser: the library's masks, and a picture that follows controls."""

import random
from pathlib import Path

import pytest
import torch

from frugal.attention.patterns.masks import pattern_mask, receptive_field
from frugal.figures.fixed_patterns.pattern_playground import PatternPlayground
from frugal.show.modules import bundle

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "fixed_patterns"
OPTIONS = {
    "full": (),
    "window": ("window",),
    "dilated": ("window", "dilation"),
    "global": ("global_tokens",),
    "random": ("n_random", "seed"),
    "strided": ("stride",),
    "fixed": ("stride", "summary"),
}


def test_masks_equal_those_of_the_library(visit):
    page = visit.page
    page.goto("about:blank")
    page.evaluate(f"window.patterns = {bundle(FIGURE / 'pattern_formulas.js')}; null")
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
        found, reached, bill = page.evaluate(
            """([name, length, options, layers]) => {
              const seen = patterns.mask(name, length, options);
              const needed = patterns.layersNeeded(seen);
              return [seen, needed.map((row) => row.map((n) => n <= layers)),
                      patterns.bill(seen, 64)];
            }""",
            [name, length, {**options, "causal": causal}, layers],
        )
        mask = pattern_mask(name, length, causal=causal, **options)
        assert torch.equal(torch.tensor(found), mask), (name, length, causal, options)
        assert torch.equal(torch.tensor(reached), receptive_field(mask, layers))
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


def test_it_fits_a_phone(show, visit):
    visit.page.set_viewport_size({"width": 375, "height": 800})
    show(PatternPlayground(["window", "dilated", "fixed"]))
    wide = visit.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 375


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"patterns": ["ring"]}, "patterns has 'ring'"), ({"query": 48}, "query is 48")],
)
def test_bad_input(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        PatternPlayground(**arguments)
