"""The Perceiver's cost surface in a browser: the library's numbers, and a cell that moves."""

import pytest

from frugal.figures.latents.latent_cost import LatentCost


def saving(figure, inputs, latents):
    cell = figure.locator(f'[data-inputs="{inputs}"][data-latents="{latents}"]')
    return float(cell.get_attribute("data-saving")), cell.get_attribute("data-level")


def steps(figure):
    return figure.locator(".latent-step").evaluate_all(
        "(all) => Object.fromEntries(all.map((it) => [it.dataset.step, +it.dataset.flops]))"
    )


@pytest.mark.parametrize("outputs", ["one", "all"])
def test_the_surface_is_that_of_the_library(show, outputs):
    python = LatentCost(layers=6, outputs=outputs)
    figure = show(python)
    for inputs, latents in ((32, 4), (2048, 256), (131072, 8192), (32, 8192)):
        cost, full = python.costs(inputs, latents)
        found, level = saving(figure, inputs, latents)
        assert found == pytest.approx(full / cost.total)
        assert (level == "loses") == (full < cost.total)
    assert steps(figure) == vars(python.costs(2048, 256)[0])
    losing = figure.locator('[data-level="loses"]').count()
    assert 0 < losing == figure.locator(".latent-cross").count()


def test_arrow_keys_and_the_mouse_choose_a_cell(show):
    python = LatentCost(2048, 256)
    figure = show(python)
    said = figure.locator(".frugal-readout")
    assert "2,048 inputs through 256 latents cost 1/" in said.inner_text()
    surface = figure.locator(".latent-surface")
    surface.focus()
    surface.press("ArrowRight")
    surface.press("ArrowDown")
    assert "4,096 inputs through 128 latents" in said.inner_text()
    assert steps(figure) == vars(python.costs(4096, 128)[0])
    figure.locator('[data-inputs="32"][data-latents="8192"]').click()
    assert "times as much as full attention" in said.inner_text()
    surface.press("ArrowLeft")  # the edge holds
    assert "32 inputs through 8,192 latents" in said.inner_text()


def test_layers_and_outputs_change_the_surface(show):
    figure = show(LatentCost(layers=4))
    before = saving(figure, 2048, 256)[0]
    figure.get_by_label("Layers L").press("End")
    deep = saving(figure, 2048, 256)[0]
    assert deep != before
    figure.get_by_label("one an input").check()
    assert saving(figure, 2048, 256)[0] < deep


def test_presets_are_the_systems_of_the_papers(show):
    figure = show(LatentCost())
    said = figure.locator(".frugal-readout")
    figure.get_by_role("button", name="Pixels of a picture").click()
    assert "50,176 inputs through 512 latents" in said.inner_text()
    figure.get_by_role("button", name="Voxels of a robot").click()
    assert "8,077 inputs through 2,048 latents" in said.inner_text()
    assert steps(figure) == vars(LatentCost(layers=6, outputs="all").costs(8077, 2048)[0])


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_fits_a_narrow_page(show):
    figure = show(LatentCost())
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_axe_finds_nothing_serious(show):
    from axe_playwright_python.sync_playwright import Axe

    figure = show(LatentCost())
    found = Axe().run(figure.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_still_picture_draws_surface_and_bars():
    figure = LatentCost(8077, 2048, layers=6, outputs="all")
    assert figure.to_png().startswith(b"\x89PNG")
    surface, bars = figure.picture().axes
    assert surface.images[0].get_array().shape == (12, 13)
    cost, full = figure.costs(8077, 2048)
    assert [bar.get_width() for bar in bars.patches] == [
        full,
        cost.encode,
        cost.process,
        cost.decode,
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 31}, "inputs is 31"),
        ({"latents": 8193}, "latents is 8193"),
        ({"layers": 0}, "layers is 0"),
        ({"outputs": "some"}, "outputs is 'some'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LatentCost(**options)
