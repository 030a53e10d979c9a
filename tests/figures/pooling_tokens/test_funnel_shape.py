"""The funnel builder in a browser: the library's FLOPs, and words that merge in blocks."""

import random

import pytest

from frugal.arithmetic.fewer_tokens import funnel_flops, perceiver_flops
from frugal.figures.pooling_tokens.funnel_shape import FunnelShape


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("token_cost_formulas.js", "cost")
    rng = random.Random(0)
    for _ in range(30):
        blocks = [rng.randrange(1, 7) for _ in range(rng.randrange(1, 5))]
        length, decoder = rng.randrange(16, 1025), rng.randrange(4)
        widths = {"dModel": rng.randrange(1, 99), "dFf": rng.randrange(1, 99)}
        found = page.evaluate(
            "([n, blocks, d, w]) => window.cost.funnelLayers(n, blocks, d, w)",
            [length, blocks, decoder, widths],
        )
        ours = funnel_flops(
            length,
            blocks=blocks,
            d_model=widths["dModel"],
            d_ff=widths["dFf"],
            n_decoder_layers=decoder,
        )
        assert found == [vars(layer) for layer in ours]
        sizes = [rng.randrange(1, 5000) for _ in range(4)]
        found = page.evaluate(
            "([m, n, o, l, w]) => window.cost.perceiverFlops(m, n, o, l, w)", [*sizes, widths]
        )
        *shape, layers = sizes
        ours = perceiver_flops(
            *shape, n_layers=layers, d_model=widths["dModel"], d_ff=widths["dFf"]
        )
        assert found == vars(ours)


def drawn(figure, name):
    return figure.locator(".funnel-layer").evaluate_all(
        f"(all) => all.map((it) => +it.dataset.{name})"
    )


def test_sliders_change_layers_tokens_and_flops(show):
    figure = show(FunnelShape((2, 1, 2), n_decoder_layers=1, length=64, d_model=8, d_ff=32))
    said = figure.locator(".frugal-readout")
    assert drawn(figure, "queries") == [64, 64, 32, 16, 16, 64]
    assert drawn(figure, "keys") == [64, 64, 64, 32, 16, 64]
    assert figure.locator(".funnel-keys").count() == 2
    layers = funnel_flops(64, blocks=(2, 1, 2), d_model=8, d_ff=32, n_decoder_layers=1)
    total = sum(layer.flops for layer in layers) / layers[0].flops
    assert "6 layers give 64 vectors" in said.inner_text()
    assert f"A plain encoder would have {total:.1f} layers" in said.inner_text()
    figure.get_by_label("Decoder").press("Home")
    assert drawn(figure, "queries") == [64, 64, 32, 16, 16]
    assert "5 layers give 16 vectors" in said.inner_text()
    figure.get_by_label("Block 2").press("ArrowRight")
    assert drawn(figure, "queries") == [64, 64, 32, 32, 16, 16]
    figure.get_by_label("Block 2").press("Home")  # the blocks after an empty one do not count
    assert drawn(figure, "queries") == [64, 64]
    figure.get_by_label("Tokens").press("ArrowLeft")
    assert drawn(figure, "queries") == [48, 48]


def test_words_merge_from_block_to_block(show):
    """A box for each vector, over all words that it stands for, and a stripe piece under each."""
    figure = show(FunnelShape((1, 1, 1, 1), n_decoder_layers=1, length=64))
    pieces = figure.locator(".funnel-layer").evaluate_all(
        "(all) => all.map((it) => it.getAttribute('d').split('M').length - 1)"
    )
    assert pieces == [8, 4, 2, 1, 8]
    words = figure.locator(".funnel-words").all_text_contents()
    assert len(words) == sum(pieces)
    start, blocks = 0, []
    for count in pieces:
        blocks.append(" ".join(words[start : start + count]))
        start += count
    assert len(set(blocks)) == 1  # no word is lost, and their order is kept
    widths = figure.locator(".funnel-box").evaluate_all(
        "(all) => all.map((it) => +it.getAttribute('width') + 3)"
    )
    assert [round(widths[n] / widths[0], 6) for n in (0, 8, 12, 14, 15)] == [1, 2, 4, 8, 1]


def test_the_first_state_tells_the_finding(show):
    """Eighteen layers for less than twelve plain ones, and words that have merged."""
    figure = show(FunnelShape())
    layers = funnel_flops(512, blocks=(6, 6, 6), d_model=768, d_ff=3072, n_decoder_layers=0)
    share = sum(one.flops for one in layers) / layers[0].flops / 12
    assert share < 0.95
    assert "18 layers give 128 vectors" in figure.locator(".frugal-readout").inner_text()
    assert f"{share:.0%}".replace("%", " %") in figure.locator(".frugal-readout").inner_text()
    assert "the small brown dog" in figure.locator(".funnel-words").all_text_contents()


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_jumps_collides_or_is_too_small(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(FunnelShape())
    heights = set()
    for name in ("Block 1", "Block 2", "Block 3", "Block 4", "Decoder", "Tokens"):
        for key in ("Home", "End"):
            figure.get_by_label(name, exact=True).press(key)
            heights.add(figure.evaluate("(it) => it.getBoundingClientRect().height"))
    for step in figure.locator(".frugal-steps button").all():
        step.click()
        heights.add(figure.evaluate("(it) => it.getBoundingClientRect().height"))
        assert step.bounding_box()["height"] >= 24
    assert len(heights) == 1
    assert figure.locator("input, button, select, [tabindex]").count() <= 12
    boxes = figure.locator("svg text").evaluate_all(
        """(all) => all.map((it) => {
          const { left, right, top, bottom } = it.getBoundingClientRect();
          return [left, right, top, bottom];
        })"""
    )
    assert min(bottom - top for _, _, top, bottom in boxes) > 12  # letters of 11 px or more
    for n, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[:n]:
            beside = right <= other[0] or other[1] <= left
            assert beside or bottom <= other[2] + 1 or other[3] <= top + 1


def test_presets_set_the_shape(show):
    figure = show(FunnelShape((1,)))
    figure.get_by_role("button", name="12 plain layers").click()
    assert drawn(figure, "queries") == [512] * 12
    assert "100 % of 12 plain layers" in figure.locator(".frugal-readout").inner_text()
    figure.get_by_role("button", name="B6-6-6 with a decoder").click()
    assert len(drawn(figure, "queries")) == 20


def test_the_still_picture_draws_every_layer():
    figure = FunnelShape((2, 1), n_decoder_layers=1, length=64)
    bars = [bar.get_width() for bar in figure.picture().axes[0].patches]
    assert sorted(bars) == [32, 64, 64, 64, 64]  # the last is the outline of a border's keys


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": ()}, r"blocks is \(\)"),
        ({"blocks": (13,)}, r"blocks is \(13,\)"),
        ({"blocks": (1, 0)}, r"blocks is \(1, 0\)"),
        ({"length": 20}, "length is 20"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        FunnelShape(**options)
