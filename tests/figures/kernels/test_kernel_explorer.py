"""The kernel explorer in a browser: the library's features, and pictures that follow."""

import math
from pathlib import Path

import pytest
import torch

from frugal.attention.kernels.features import positive_features, trigonometric_features
from frugal.figures.kernels.kernel_explorer import KernelExplorer, fan
from frugal.show.modules import bundle

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "kernels"
MAPS = {"positive": positive_features, "trigonometric": trigonometric_features}


@pytest.fixture
def formulas(visit):
    """Calls a function of kernel_formulas.js."""
    visit.page.goto("about:blank")
    visit.page.evaluate(f"window.kernel = {bundle(FIGURE / 'kernel_formulas.js')}; null")

    def call(expression, *values):
        return visit.page.evaluate(
            f"(values) => {{ const k = window.kernel; return ({expression})(...values); }}",
            list(values),
        )

    return call


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


def drawn(figure, name):
    """The weights that marks of a class stand for; those of the legend stand for none."""
    return figure.locator(f".{name}[data-weight]").evaluate_all(
        "(all) => all.map((it) => +it.dataset.weight)"
    )


def spread(figure):
    return figure.locator(".kernel-spread[data-spread]").evaluate_all(
        "(all) => Math.max(...all.map((it) => +it.dataset.spread))"
    )


def errors(figure, kind):
    text = figure.locator(f".kernel-line.kernel-{kind}").get_attribute("data-errors")
    return [float(number) for number in text.split()]


def test_features_and_temperature_move_the_spread(show):
    figure = show(KernelExplorer())
    truth = KernelExplorer().weights("positive", 4)[0]
    assert drawn(figure, "kernel-true") == pytest.approx(truth.tolist(), abs=1e-6)
    wide = spread(figure)
    features = figure.get_by_label("Random vectors m")
    features.press("End")
    assert spread(figure) < wide / 2
    assert "With 256 positive features" in figure.locator(".frugal-readout").inner_text()
    assert "0 % of the estimates are negative" in figure.locator(".frugal-readout").inner_text()
    narrow = spread(figure)
    figure.get_by_label("Temperature").press("Home")
    assert spread(figure) > 2 * narrow
    assert drawn(figure, "kernel-true")[-1] > 2 * truth[-1]


def test_error_falls_with_features_as_one_over_the_root(show):
    # scores below 1/4: for large ones the tail is too heavy for 40 draws to tell the variance
    figure = show(KernelExplorer(orthogonal=False, temperature=2))
    for kind in MAPS:
        found = errors(figure, kind)
        assert 5 < found[0] / found[6] < 13  # 8 if it were exact, from 2 to 128 vectors
    independent = errors(figure, "positive")
    figure.get_by_label("Orthogonal").check()
    assert errors(figure, "positive") != independent


def negative_share(figure):
    said = figure.locator(".frugal-readout").inner_text()
    return int(said.split("draws ")[1].split(" %")[0])


def test_trigonometric_features_go_negative(show):
    figure = show(KernelExplorer(power=2))
    assert min(drawn(figure, "kernel-draw") + drawn(figure, "kernel-other")) >= 0
    assert figure.locator(".kernel-negative").count() == 0
    figure.get_by_label("sine and cosine").check()
    assert "trigonometric" in figure.locator(".frugal-readout").inner_text()
    weights = drawn(figure, "kernel-draw") + drawn(figure, "kernel-other")
    assert len(weights) == 11 * 40
    below = sum(weight < 0 for weight in weights)
    assert figure.locator(".kernel-negative").count() == below
    assert negative_share(figure) == round(100 * below / len(weights)) > 3
    # estimates of a small kernel: q·k / √d from -4 to 4 instead of -1 to 1
    figure.get_by_label("Temperature").press("Home")
    assert negative_share(figure) > 15


def test_trigonometric_features_err_most_where_keys_face_away(show):
    figure = show(KernelExplorer())
    assert errors(figure, "positive")[3] > errors(figure, "trigonometric")[3]
    figure.get_by_label("Only keys that face away").check()
    truth = KernelExplorer(away=True).weights("positive", 4)[0]
    assert drawn(figure, "kernel-true") == pytest.approx(truth.tolist(), abs=1e-6)
    assert errors(figure, "positive")[3] < errors(figure, "trigonometric")[3]


def test_keys_that_all_face_the_query_leave_no_choice(show):
    figure = show(KernelExplorer([1.0, 0.0], [[1.0, 0.5], [0.5, 1.0]]))
    assert figure.get_by_label("Only keys that face away").count() == 0
    assert len(drawn(figure, "kernel-mean")) == 2


def test_a_new_draw_and_another_divisor_change_the_points(show):
    figure = show(KernelExplorer(power=2))
    before = drawn(figure, "kernel-draw")
    figure.get_by_role("button", name="Draw again").click()
    after = drawn(figure, "kernel-draw")
    assert after != before
    figure.get_by_label("their own sum").check()
    assert sum(drawn(figure, "kernel-draw")) == pytest.approx(1)
    assert sum(after) != pytest.approx(1)


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_fits_a_narrow_page(show):
    figure = show(KernelExplorer())
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_axe_finds_nothing_serious(show):
    from axe_playwright_python.sync_playwright import Axe

    figure = show(KernelExplorer(kind="trigonometric"))
    found = Axe().run(figure.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_still_picture_shows_both_kinds():
    figure = KernelExplorer(power=3)
    assert figure.to_png().startswith(b"\x89PNG")
    titles = [axes.get_title() for axes in figure.picture().axes]
    assert titles[:2] == ["8 positive features", "8 trigonometric features"]


def test_the_fan_has_keys_of_one_length_at_even_angles():
    q, keys = fan(n_keys=5, size=3.0)
    q, keys = torch.tensor(q), torch.tensor(keys)
    scores = keys @ q / math.sqrt(len(q))
    half = 3 / math.sqrt(2)
    assert scores.tolist() == pytest.approx([-3, -half, 0, half, 3], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"q": [1.0]}, "q and keys come together"),
        ({"q": [1.0, 2.0], "keys": [[1.0, 2.0]]}, "keys has 1 vectors"),
        ({"q": [1.0, 2.0], "keys": [[1.0, 2.0], [1.0]]}, "of 2 numbers like q"),
        ({"power": 9}, "power is 9"),
        ({"temperature": 3}, "temperature 3"),
        ({"kind": "cosine"}, "kind is 'cosine'"),
        ({"divisor": "none"}, "divisor is 'none'"),
        ({"q": [1.0], "keys": [[1.0], [-1.0]], "away": True}, "1 keys face away"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        KernelExplorer(**options)
