"""The cost explorer in a browser: frugal.cost's formulas, and a picture that follows sliders."""

import dataclasses
import random
import re
from itertools import product

import pytest
from playwright.sync_api import expect

from frugal.arithmetic import transformer as cost
from frugal.figures.where_the_cost_is.cost_explorer import CostExplorer

MODES = ("forward", "training", "decoding")


def random_shape(rng: random.Random) -> cost.TransformerShape:
    n_heads = 2 ** rng.randrange(7)
    return cost.TransformerShape(
        length=round(2 ** rng.uniform(0, 20)),
        d_model=n_heads * rng.randrange(1, 200),
        n_heads=n_heads,
        n_layers=rng.randrange(1, 100),
        d_ff=rng.randrange(1, 40000),
        batch=rng.randrange(1, 65),
        bytes_per_number=rng.choice([2, 4]),
    )


def close(found, expected, rel=1e-9) -> bool:
    return found == pytest.approx(expected, rel=rel, abs=0)


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("cost_formulas.js", "cost")
    rng = random.Random(0)
    for _ in range(60):
        shape, mode, machine = random_shape(rng), rng.choice(MODES), rng.choice(cost.MACHINES)
        found = page.evaluate(
            """([shape, mode, machine]) => ({
              flops: cost.flops(shape, mode),
              parameters: cost.parameters(shape),
              memory: cost.memory(shape, mode),
              operations: cost.operations(shape, mode),
              crossover: cost.crossoverLength(shape.d_model, shape.d_ff),
              ridge: cost.ridge(machine, shape.bytes_per_number),
              seconds: cost.operations(shape, mode).map(
                (one) => cost.rooflineSeconds(one, machine, shape.bytes_per_number)),
              layer: [false, true].map((fused) => cost.layerSeconds(shape, machine, mode, fused)),
            })""",
            [dataclasses.asdict(shape), mode, dataclasses.asdict(machine)],
        )
        flops = cost.flops(shape, mode)
        for name in (
            "projections",
            "scores",
            "weighted_sum",
            "feed_forward",
            "attention",
            "total",
            "attention_share",
        ):
            assert close(found["flops"][name], getattr(flops, name)), (name, shape, mode)
        assert close(
            found["parameters"],
            {**dataclasses.asdict(cost.parameters(shape)), "total": cost.parameters(shape).total},
        )
        assert close(found["memory"], dataclasses.asdict(cost.memory(shape, mode))), (shape, mode)
        steps = cost.operations(shape, mode)
        assert [one["name"] for one in found["operations"]] == [one.name for one in steps]
        for one, step in zip(found["operations"], steps, strict=True):
            assert close(
                [one["flops"], one["bytes"], one["intensity"]],
                [step.flops, step.bytes, step.intensity],
            )
        size = shape.bytes_per_number
        assert close(
            found["seconds"], [cost.roofline_seconds(step, machine, size) for step in steps]
        )
        assert found["crossover"] == cost.crossover_length(shape.d_model, shape.d_ff)
        assert close(found["ridge"], machine.ridge(size))
        layer = [cost.layer_seconds(shape, machine, mode, fused=fused) for fused in (False, True)]
        assert close(found["layer"], layer)


def table(figure) -> dict[str, list[str]]:
    rows = figure.locator("tbody tr").evaluate_all(
        "(all) => all.map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    return {name: cells for name, *cells in rows}


def test_the_words_name_the_crossover_and_what_waits_for_memory(show):
    figure = show(CostExplorer(length=1024, bytes_per_number=2, machine=2))
    said = figure.locator(".frugal-readout").inner_text()
    assert "At N = 1,024 scores and weighted sum take 25 % of the FLOPs" in said
    assert "half at N = 3,072" in said
    shape = cost.TransformerShape(
        length=1024, d_model=512, n_heads=8, n_layers=6, d_ff=2048, bytes_per_number=2
    )
    for step in cost.operations(shape):
        limit = "memory" if step.intensity < cost.H100.ridge(2) else "arithmetic"
        assert table(figure)[step.name][3] == limit
        assert (step.name in said.partition("On H100 SXM:")[2].partition(";")[0]) == (
            limit == "memory"
        )


def test_sliders_move_all_three_pictures(show, visit):
    figure = show(CostExplorer())
    charts = [figure.locator(f".cost-{name}") for name in ("shares", "memory", "roofline")]
    for label in ("tokens N", "width d", "d_ff / d", "heads", "batch"):
        before = [chart.inner_html() for chart in charts]
        slider = figure.get_by_label(label, exact=True)
        slider.focus()
        visit.page.keyboard.press("ArrowRight")
        after = [chart.inner_html() for chart in charts]
        moved = [one != other for one, other in zip(before, after, strict=True)]
        # heads and batch change what is held and moved, not who spends the FLOPs
        assert moved == [label not in ("heads", "batch"), True, True], label
    assert figure.evaluate("(it) => it.model.get('length')") == 1536
    said = figure.locator(".frugal-readout").inner_text()
    assert "At N = 1,536" in said


def test_the_chart_is_a_handle_for_n(show, visit):
    figure = show(CostExplorer())
    chart = figure.locator(".cost-shares")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100)
    visit.page.mouse.down()
    assert figure.evaluate("(it) => it.model.get('length')") == 2**13  # half-way from 2^6 to 2^20
    visit.page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 100)
    visit.page.mouse.up()
    assert figure.evaluate("(it) => it.model.get('length')") == 2**20


def test_points_lie_on_the_roof_at_their_intensity(show):
    figure = show(
        CostExplorer(length=4096, d_model=1024, n_heads=16, bytes_per_number=2, machine=1)
    )
    width = figure.locator(".cost-roofline").evaluate("(it) => it.viewBox.baseVal.width")
    points = figure.locator(".cost-roofline .cost-point").evaluate_all(
        "(all) => all.map((it) => [+it.getAttribute('cx'), +it.getAttribute('cy')])"
    )
    found = sorted(0.1 * (1e6 / 0.1) ** ((x - 58) / (width - 1 - 58)) for x, _ in points)
    shape = cost.TransformerShape(
        length=4096, d_model=1024, n_heads=16, n_layers=6, d_ff=4096, bytes_per_number=2
    )
    steps = {step.name: step for step in cost.operations(shape)}
    del steps["weighted sum"]  # the same point as scores
    assert found == pytest.approx(sorted(step.intensity for step in steps.values()), rel=1e-3)
    on_the_roof = sum(y == pytest.approx(40) for _, y in points)
    assert on_the_roof == sum(step.intensity >= cost.A100.ridge(2) for step in steps.values())


def test_a_machine_measured_by_the_page(show):
    mine = dataclasses.replace(cost.CPU_CORE, name="this machine", flops_fp32=50e9, bandwidth=10e9)
    figure = show(CostExplorer(machines=[mine, cost.A100]))
    assert "50.0 GFLOP/s and 10.0 GB/s" in figure.inner_text()
    figure.get_by_label("A100 80GB SXM").check()
    assert "19.5 TFLOP/s and 2.04 TB/s (NVIDIA A100" in figure.inner_text()


def test_labels_keep_apart(formulas):
    page = formulas("cost_charts.js", "charts")
    assert page.evaluate("charts.apart([50, 52, 90], 10, [0, 100])") == [50, 60, 90]
    assert page.evaluate("charts.apart([99, 98, 97], 10, [0, 100])") == [100, 90, 80]
    assert page.evaluate("charts.apart([5, 1], 10, [0, 100])") == [11, 1]
    there_and_back = page.evaluate("charts.logScale([1, 1000], [0, 30]).invert(20)")
    assert there_and_back == pytest.approx(100)


SIZES = {
    "d_model": 512,
    "n_heads": 8,
    "n_layers": 6,
    "ff_ratio": 4.0,
    "batch": 1,
    "mode": "forward",
}
CORE = {**SIZES, "machine": 0, "bytes_per_number": 4, "part": 0}
CARD = {**SIZES, "machine": 2, "bytes_per_number": 2, "part": 2}


def guided() -> CostExplorer:
    return CostExplorer(length=8192).guided(
        "Is attention the expensive part?",
        ("8,192 tokens, one CPU core", {"length": 8192, **CORE}),
        ("512 tokens: what takes most now?", {"length": 512, **CORE}),
        ("8,192 tokens on an H100: what waits for memory?", {"length": 8192, **CARD}),
    )


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def number(told: str) -> float:
    value, unit = told.split()
    return float(value) * {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[unit[0]]


def test_each_step_changes_the_answer(show):
    figure = show(guided())
    steps = figure.locator(".frugal-steps button")
    said = figure.locator(".frugal-readout")
    current = figure.locator(".frugal-steps [aria-current]")
    most, ratios = [], []
    for place, (length, size) in enumerate([(8192, 4), (512, 4), (8192, 2)]):
        if place:
            steps.nth(place).click()
        assert current.inner_text().startswith(f"{place + 1} ")
        sizes = {name: SIZES[name] for name in ("d_model", "n_heads", "n_layers")}
        shape = cost.TransformerShape(length=length, d_ff=2048, bytes_per_number=size, **sizes)
        counts, held = cost.flops(shape), cost.memory(shape)
        words = said.inner_text()
        assert f"weighted sum take {percent(counts.attention_share)} of the FLOPs" in words
        assert f"feed-forward network {percent(counts.feed_forward / counts.total)}." in words
        told = re.search(r"Stored scores hold (\S+ \S+), parameters (\S+ \S+)\. ", words)
        assert number(told[1]) == pytest.approx(held.naive_scores, rel=0.005)
        assert number(told[2]) == pytest.approx(held.parameters, rel=0.005)
        most.append(counts.attention > counts.feed_forward)
        machine = cost.H100 if place == 2 else cost.CPU_CORE
        whole, fused = (cost.layer_seconds(shape, machine, fused=one) for one in (False, True))
        ratios.append(whole / fused)
    assert most == [True, False, True]
    assert "On H100 SXM: scores, softmax and weighted sum wait for memory" in words
    assert ratios[0] < 1.2
    assert ratios[2] > 4


@pytest.mark.parametrize("width", [390, 1280])
def test_the_height_stays_and_a_phone_holds_it_on_one_and_a_half_screens(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 844})
    figure = show(guided())
    heights = figure.evaluate(
        """async (it, states) => {
          const heights = new Set();
          for (const state of states) {
            it.model.set(state);
            await new Promise(requestAnimationFrame);
            heights.add(it.getBoundingClientRect().height);
          }
          return [...heights];
        }""",
        [
            {"mode": mode, "machine": machine, "length": length, "d_model": 8192, "part": part}
            for mode, machine, (length, part) in product(
                MODES, range(3), [(64, 0), (2**20, 1), (8192, 2), (2**20, 3)]
            )
        ],
    )
    assert len(heights) == 1
    if width == 390:
        assert heights[0] <= 1200


def test_a_narrow_page_shows_one_part_at_a_time(show, visit):
    visit.page.set_viewport_size({"width": 390, "height": 844})
    figure = show(CostExplorer())
    names = ("shares", "memory", "roofline", "table")
    parts = [figure.locator(f".cost-{name}") for name in names]
    for place, label in enumerate(("FLOPs", "bytes", "roofline", "table")):
        figure.get_by_label(label, exact=True).check()
        assert [part.is_visible() for part in parts] == [n == place for n in range(4)]
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    expect(parts[0]).to_be_visible()
    assert all(part.is_visible() for part in parts)
    assert figure.get_by_label("table", exact=True).is_disabled()


@pytest.mark.parametrize("width", [375, 768, 1440])
def test_it_fits(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(CostExplorer(length=2**20, mode="training", machine=2))
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth - it.clientWidth") <= 0
    outside = figure.locator("svg text").evaluate_all(
        """(all) => all.filter((it) => {
          const text = it.getBoundingClientRect();
          const box = it.closest("svg").getBoundingClientRect();
          return text.left < box.left - 2 || text.right > box.right + 2;
        }).map((it) => it.textContent)"""
    )
    assert outside == []
