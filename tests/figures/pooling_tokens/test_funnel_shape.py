"""The funnel builder in a browser: the library's FLOPs, and bars that follow the sliders."""

import random
from pathlib import Path

import pytest

from frugal.arithmetic.fewer_tokens import funnel_flops, perceiver_flops
from frugal.figures.pooling_tokens.funnel_shape import FunnelShape
from frugal.show.modules import bundle

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "pooling_tokens"


def test_formulas_equal_those_of_the_library(visit):
    page = visit.page
    page.goto("about:blank")
    page.evaluate(f"window.cost = {bundle(FIGURE / 'token_cost_formulas.js')}; null")
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


def test_bars_are_as_wide_as_their_tokens(show):
    figure = show(FunnelShape((1, 1, 1), length=64))
    sizes = figure.locator(".funnel-layer").evaluate_all(
        "(all) => all.map((it) => +it.getAttribute('width'))"
    )
    assert sizes == pytest.approx([sizes[0], sizes[0] / 2, sizes[0] / 4])


def test_presets_set_the_shape(show):
    figure = show(FunnelShape((1,)))
    figure.get_by_role("button", name="12 plain layers").click()
    assert drawn(figure, "queries") == [512] * 12
    assert "100 % of 12 plain layers" in figure.locator(".frugal-readout").inner_text()
    figure.get_by_role("button", name="B6-6-6 with a decoder").click()
    assert len(drawn(figure, "queries")) == 20


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_fits_a_narrow_page(show):
    figure = show(FunnelShape())
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_axe_finds_nothing_serious(show):
    from axe_playwright_python.sync_playwright import Axe

    figure = show(FunnelShape())
    found = Axe().run(figure.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_still_picture_draws_every_layer():
    figure = FunnelShape((2, 1), n_decoder_layers=1, length=64)
    assert figure.to_png().startswith(b"\x89PNG")
    bars = [bar.get_width() for bar in figure.picture().axes[0].patches]
    assert sorted(bars) == [32, 64, 64, 64, 64]  # the last is the outline of a border's keys


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": ()}, r"blocks is \(\)"),
        ({"blocks": (13,)}, r"blocks is \(13,\)"),
        ({"blocks": (1, 0)}, r"blocks is \(1, 0\)"),
        ({"n_decoder_layers": 5}, "n_decoder_layers is 5"),
        ({"length": 20}, "length is 20"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        FunnelShape(**options)
