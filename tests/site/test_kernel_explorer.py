"""The kernel explorer in a browser: the library's features, and pictures that follow."""

import math
from pathlib import Path

import pytest
import torch

from frugal.attention.kernel_features import positive_features, trigonometric_features
from frugal.show.kernel_explorer import KernelExplorer, fan
from frugal.show.modules import bundle

SHOW = Path(__file__).parents[2] / "lib" / "frugal" / "show"
MAPS = {"positive": positive_features, "trigonometric": trigonometric_features}


@pytest.fixture
def show(visit, tmp_path):
    """Opens a figure alone on a page and gives its element; nothing may go wrong meanwhile."""

    def opened(figure):
        file = tmp_path / "figure.html"
        head = "<!doctype html><html lang=en><meta charset=utf-8><title>A figure</title>"
        file.write_text(f"{head}<main>{figure.to_html()}</main></html>", encoding="utf-8")
        visit.open(file.as_uri())
        return visit.page.locator(".frugal-figure[data-mounted]")

    yield opened
    assert visit.errors + visit.foreign == []


@pytest.fixture
def formulas(visit):
    """Calls a function of kernel_formulas.js."""
    visit.page.goto("about:blank")
    visit.page.evaluate(f"window.kernel = {bundle(SHOW / 'kernel_formulas.js')}; null")

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
                f"""(q, keys, t, omega) => k.estimates(
                  k.scaled(q, t), keys.map((key) => k.scaled(key, t)), omega, k.MAPS.{name}, [1, 7, 12])""",
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
    return figure.locator(f".{name}").evaluate_all("(all) => all.map((it) => +it.dataset.weight)")


def spread(figure):
    return figure.locator(".kernel-spread").evaluate_all(
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
    features = figure.get_by_label("Features m")
    features.press("End")
    assert spread(figure) < wide / 2
    assert "With 256 positive features" in figure.locator(".frugal-readout").inner_text()
    assert "0 % of the estimates are negative" in figure.locator(".frugal-readout").inner_text()
    narrow = spread(figure)
    figure.get_by_label("Temperature").press("Home")
    assert spread(figure) > 2 * narrow
    assert drawn(figure, "kernel-true")[-1] > 2 * truth[-1]


def test_error_falls_with_features_as_one_over_the_root(show):
    figure = show(KernelExplorer(orthogonal=False))
    for kind in MAPS:
        found = errors(figure, kind)
        assert 3 < found[0] / found[6] < 22  # 8 if it were exact, from 2 to 128 features
    independent = errors(figure, "positive")
    figure.get_by_label("Orthogonal").check()
    assert errors(figure, "positive") != independent


def test_trigonometric_features_go_negative(show):
    figure = show(KernelExplorer(power=3))
    assert min(drawn(figure, "kernel-draw")) >= 0
    figure.get_by_label("sine and cosine").check()
    said = figure.locator(".frugal-readout")
    assert "trigonometric" in said.inner_text()
    share = int(said.inner_text().split("draws ")[1].split(" %")[0])
    assert share > 10
    figure.get_by_label("Temperature").press("Home")
    assert int(said.inner_text().split("draws ")[1].split(" %")[0]) > 30


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
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        KernelExplorer(**options)
