"""The figure of the rank in a browser: torch's singular values, and what they rebuild."""

import pytest
import torch

from frugal.figures.low_rank import RankExplorer
from tests.figures.gallery import low_rank


@pytest.mark.parametrize("size", [2, 7, 24])
def test_formulas_equal_those_of_torch(formulas, size):
    page = formulas("rank_formulas.js", "rank")
    generator = torch.Generator().manual_seed(size)
    weights = torch.randn(size, size, generator=generator, dtype=torch.float64).softmax(-1)
    weights[1] = weights[0]  # a singular value of 0
    u, s, vt = torch.linalg.svd(weights)
    page.evaluate("(rows) => { window.parts = rank.decompose(rows); }", weights.tolist())
    values = page.evaluate("parts.map(({ value }) => value)")
    assert values == pytest.approx(s.tolist(), abs=1e-6)
    for r in (0, 1, size // 2, size):
        rows = page.evaluate("(r) => rank.rebuilt(parts, r).map((row) => [...row])", r)
        torch.testing.assert_close(
            torch.tensor(rows, dtype=torch.float64), (u[:, :r] * s[:r]) @ vt[:r], atol=1e-6, rtol=0
        )
    errors = page.evaluate("rank.errors(parts)")
    made = RankExplorer({"one": weights})
    assert errors == pytest.approx(made.errors("one"), abs=1e-3)
    assert errors[0] == 1
    assert errors[-1] == 0


def test_the_error_is_that_of_the_rebuilt_matrix():
    made = low_rank()
    for one in made.state["matrices"]:
        weights = torch.tensor(one["rows"], dtype=torch.float64)
        for r, error in enumerate(made.errors(one["name"])):
            left = (weights - made.best(one["name"], r)).norm() / weights.norm()
            assert error == pytest.approx(left.item(), abs=1e-9)


def said(figure):
    return figure.locator(".frugal-readout").inner_text()


def key(figure):
    return figure.locator(".rank-key li b").all_inner_texts()


def test_the_first_state_tells_the_finding(show):
    """At the same share of the rank one matrix is nearly whole and the other is not."""
    made = low_rank()
    figure = show(made)
    assert figure.locator(".rank-kept").count() == 3
    assert figure.locator(".rank-dropped").count() == 21
    at = {"alike": 3, "pointing": 2, "random": 2}
    found = [made.errors(name)[r] for name, r in at.items()]
    assert found[0] < 0.1 < 0.8 < found[1]
    shown = [float(words.rstrip(" %")) / 100 for words in key(figure)]
    assert shown == pytest.approx(found, abs=0.006)
    assert "alike, rank 3 of 24" in said(figure)
    assert "two thin matrices of 144 numbers stand for 576" in said(figure)


def test_steps_and_controls_move_it_and_change_the_conclusion(show):
    figure = show(low_rank())
    figure.get_by_role("button", name="pointing, rank 9").click()
    assert figure.get_by_role("radio", name="pointing").is_checked()
    assert figure.locator(".rank-kept").count() == 9
    assert "hold 324 numbers, no fewer than the 324" in said(figure)
    figure.get_by_role("slider", name="Rank").press("Home")
    assert key(figure) == ["100 %"] * 3
    figure.get_by_role("slider", name="Rank").press("End")
    assert key(figure) == ["0 %"] * 3 or key(figure) == ["0.0 %"] * 3
    assert figure.locator(".rank-dropped").count() == 0


def test_what_is_painted_is_rebuilt(show):
    """At the full rank the middle picture equals the left one, and nothing is missing."""
    figure = show(low_rank())
    figure.get_by_role("slider", name="Rank").press("End")
    read = """(all) => all.map((it) => [
      ...it.getContext('2d').getImageData(0, 0, it.width, it.height).data])"""
    whole, rebuilt, missing = figure.locator("canvas").evaluate_all(read)
    assert whole == rebuilt
    assert len(set(missing)) <= 4  # one color alone
    assert len(set(whole)) > 10


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_jumps_and_all_can_be_touched(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(low_rank())
    heights = set()

    def look():
        heights.add(figure.evaluate("(it) => it.getBoundingClientRect().height"))

    for name in ("alike", "pointing", "random"):
        figure.get_by_role("radio", name=name).check()
        for pressed in ("Home", "ArrowRight", "End"):
            figure.get_by_role("slider", name="Rank").press(pressed)
            look()
    for tried in figure.locator(".frugal-steps button").all():
        tried.click()
        look()
        assert tried.bounding_box()["height"] >= 24
    assert len(heights) == 1
    assert figure.locator("input:not([type=radio]), button, select, [tabindex]").count() <= 11
    sizes = figure.locator("svg text").evaluate_all(
        "(all) => all.map((it) => it.getBoundingClientRect().height)"
    )
    assert min(sizes) > 12  # a line of 11 px letters or more


@pytest.mark.usefixtures("unchecked")
def test_matrices_and_steps_that_do_not_fit_are_refused():
    square = torch.eye(4)
    with pytest.raises(ValueError, match=r"^matrices has 0 entries; it must have 1 to 4\.$"):
        RankExplorer({})
    with pytest.raises(ValueError, match=r"^matrices\['a'\] has shape \(4, 3\); it must be"):
        RankExplorer({"a": square[:, :3]})
    with pytest.raises(ValueError, match=r"^rank is 5; it must be from 0 to 4\.$"):
        RankExplorer({"a": square}, tries=[("too far", "a", 5)])
    with pytest.raises(ValueError, match=r"^matrix is 'b'; it must be one of 'a'\.$"):
        RankExplorer({"a": square}, tries=[("who?", "b", 2)])
