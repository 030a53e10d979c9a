"""The kernel explorer in a browser: the library's features, and pictures that follow."""

import math

import pytest
import torch

from frugal.attention.kernels.features import (
    elu_features,
    positive_features,
    trigonometric_features,
)
from frugal.figures.kernels.kernel_explorer import KernelExplorer, fan

MAPS = {"positive": positive_features, "trigonometric": trigonometric_features}


@pytest.fixture
def formulas(formulas):
    """Calls a function of kernel_formulas.js, which is k in it."""
    page = formulas("kernel_formulas.js", "k")
    return lambda expression, *values: page.evaluate(
        f"(values) => ({expression})(...values)", list(values)
    )


def test_estimates_equal_those_of_the_library(formulas, generator):
    q = torch.randn(6, generator=generator, dtype=torch.float64)
    keys = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    omega = torch.randn(12, 6, generator=generator, dtype=torch.float64)
    for temperature in (0.5, 1.0, 3.0):
        cooled = math.sqrt(temperature)
        exact = formulas(
            "(q, keys, t) => keys.map((key) => k.softmaxKernel(k.scaled(q, t), k.scaled(key, t)))",
            q.tolist(),
            keys.tolist(),
            temperature,
        )
        expected = (keys @ q / math.sqrt(6) / temperature).exp()
        assert exact == pytest.approx(expected.tolist())
        for name, features in MAPS.items():
            found = formulas(
                f"""(q, keys, t, omega) => {{
                  const cold = keys.map((key) => k.scaled(key, t));
                  return k.estimates(k.scaled(q, t), cold, omega, k.MAPS.{name}, [1, 7, 12]);
                }}""",
                q.tolist(),
                keys.tolist(),
                temperature,
                omega.tolist(),
            )
            for index, m in enumerate((1, 7, 12)):
                phi_q, phi_k = (features(x / cooled, omega[:m]) for x in (q, keys))
                assert found[index] == pytest.approx((phi_k @ phi_q).tolist())


def test_elu_equals_that_of_the_library(formulas, generator):
    q, key = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    found = formulas("(q, key) => k.eluKernel(q, key)", q.tolist(), key.tolist())
    assert found == pytest.approx((elu_features(q) @ elu_features(key)).item())


def test_vectors_are_normal_reproducible_and_orthogonal(formulas):
    numbers = torch.tensor(formulas("(seed, n) => k.normals(seed, n)", 3, 20_001))
    assert len(numbers) == 20_001
    assert numbers.mean().abs() < 0.03
    assert (numbers.std() - 1).abs() < 0.02
    assert (numbers.pow(4).mean() - 3).abs() < 0.2
    assert (numbers[1:] * numbers[:-1]).mean().abs() < 0.03
    assert formulas("(seed, n) => k.normals(seed, n)", 3, 4) == pytest.approx(
        numbers[:4].tolist(), rel=1e-6
    )
    rows = torch.tensor(formulas("(seed) => k.projection(seed, 20, 8, true)", 5))
    for block in (rows[:8], rows[8:16], rows[16:]):
        products = block @ block.T
        torch.testing.assert_close(products, products.diagonal().diag(), atol=1e-5, rtol=0)
    plain = torch.tensor(formulas("(seed) => k.projection(seed, 20, 8, false)", 5))
    torch.testing.assert_close(rows.norm(dim=-1), plain.norm(dim=-1))
    assert (plain @ plain.T).triu(1).abs().max() > 1


def test_orthogonal_rows_are_those_of_a_qr_decomposition(formulas, generator):
    square = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    rows = formulas("(rows) => k.orthogonalised(rows, [1, 1, 1, 1], 4)", square.T.tolist())
    q, r = torch.linalg.qr(square)
    expected = (q * r.diagonal().sign()).T
    torch.testing.assert_close(torch.tensor(rows, dtype=torch.float64), expected)


def told(figure, name, what="weight"):
    """The numbers that marks of a class stand for; those of the legend stand for none."""
    return figure.locator(f".{name}[data-{what}]").evaluate_all(
        f"(all) => all.map((it) => +it.dataset.{what})"
    )


def said(figure):
    return figure.locator(".frugal-readout").inner_text()


@pytest.mark.parametrize("size", [-1, 2])
def test_elu_and_its_reason_are_the_librarys(show, size):
    explorer = KernelExplorer(size=size)
    figure = show(explorer)
    truth, weights = explorer.weights("elu")
    exact, kernels = explorer.kernels("elu")
    assert told(figure, "kernel-true") == pytest.approx(truth.tolist(), abs=1e-6)
    assert told(figure, "kernel-own") == pytest.approx(weights[0].tolist(), abs=1e-6)
    assert told(figure, "kernel-draw", "kernel") == pytest.approx(kernels[0].tolist(), rel=1e-5)
    assert f"{exact.max() / exact.min():,.1f}".removesuffix(".0")[:3] in said(figure)
    assert told(figure, "kernel-other") == []


def test_smaller_scores_bring_every_kernel_near_softmax(show):
    figure = show(KernelExplorer())
    size = figure.get_by_label("Largest score")

    def gap():
        both = (told(figure, name) for name in ("kernel-true", "kernel-own"))
        return max(abs(a - b) for a, b in zip(*both, strict=True))

    wide = gap()
    assert wide > 0.2
    size.press("Home")
    assert gap() < wide / 4


def test_more_vectors_bring_more_draws_near(show):
    figure = show(KernelExplorer(kind="positive", size=0, power=1))
    weights = told(figure, "kernel-own") + told(figure, "kernel-other")
    assert len(weights) == 11 * 40
    assert min(weights) >= 0
    near = "of 40 draws come within 10 points"
    few = int(said(figure).split(near)[0].split()[-1])
    figure.get_by_label("Random vectors m").press("End")
    assert "With 256 vectors" in said(figure)
    assert int(said(figure).split(near)[0].split()[-1]) > few
    assert "0 % of all weights are below zero" in said(figure)
    assert "1.0 times at the farthest" in said(figure)


def test_sines_and_cosines_err_at_the_farthest_key_and_go_negative(show):
    figure = show(KernelExplorer(kind="trigonometric"))
    weights = told(figure, "kernel-own") + told(figure, "kernel-other")
    below = sum(weight < 0 for weight in weights)
    assert below > 40
    share = said(figure).split(" % of all weights")[0].split()[-1]
    assert round(float(share)) == round(100 * below / len(weights))
    assert "1.0 times e^score at the nearest key" in said(figure)
    assert "−" in said(figure).split("nearest key, and ")[1]


def test_a_new_draw_changes_the_weights_and_elu_has_none(show):
    figure = show(KernelExplorer(kind="positive"))
    before = told(figure, "kernel-own")
    again = figure.get_by_role("button", name="Draw again")
    again.click()
    assert told(figure, "kernel-own") != before
    assert sum(told(figure, "kernel-own")) == pytest.approx(1)
    figure.get_by_label("elu + 1").check()
    assert again.is_disabled()
    assert figure.get_by_label("Random vectors m").is_disabled()


@pytest.mark.parametrize("width", [390, 1280])
def test_steps_lead_and_the_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    tries = [("flat", {}), ("drawn", {"kind": "positive"}), ("waves", {"kind": "trigonometric"})]
    figure = show(KernelExplorer(tries=tries))
    steps = figure.locator(".frugal-steps button")
    heights = {figure.bounding_box()["height"]}
    for index in (1, 2, 0):
        steps.nth(index).click()
        assert steps.nth(index).get_attribute("aria-current") == "step"
        heights.add(figure.bounding_box()["height"])
        figure.get_by_label("Largest score").press("Home")
        heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1


def test_words_and_the_still_picture_tell_the_kernel_shown():
    figure = KernelExplorer()
    truth, weights = figure.weights("elu")
    assert f"nearest key {truth[-1]:.0%}; elu + 1 gives it {weights[0, -1]:.0%}" in figure.alt
    left, right = figure.picture().axes
    heights = [bar.get_height() for bar in left.patches]
    assert heights == pytest.approx([*weights[0].tolist(), *truth.tolist()])
    exact, _ = figure.kernels("elu")
    assert right.lines[0].get_ydata() == pytest.approx(exact.tolist())
    assert "the median of 40 draws" in KernelExplorer(kind="positive").alt


def test_the_fan_has_keys_of_one_length_at_even_angles():
    q, keys = fan(n_keys=5, size=3.0)
    q, keys = torch.tensor(q), torch.tensor(keys)
    scores = keys @ q / math.sqrt(len(q))
    half = 3 / math.sqrt(2)
    assert scores.tolist() == pytest.approx([-3, -half, 0, half, 3], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"q": [1.0]}, "one of q and keys is None"),
        ({"q": [1.0, 2.0], "keys": [[1.0, 2.0]]}, "keys has 1 vectors"),
        ({"q": [1.0, 2.0], "keys": [[1.0, 2.0], [1.0]]}, "of 2 numbers like q"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        KernelExplorer(**options)
