"""The table of modifications in a browser: ranks, thresholds, forms, and that nothing jumps."""

import numpy as np
import pytest

from frugal.transfer.agreement import ranks, spearman
from tests.figures.gallery import the_modification_zoo


def test_ranks_are_those_of_the_library(formulas):
    page = formulas("zoo_formulas.js", "zoo")
    chance = np.random.default_rng(0)
    for _ in range(5):
        a, b = chance.integers(0, 6, (2, 20)).tolist()
        assert page.evaluate("(a) => zoo.ranks(a)", a) == ranks(a).tolist()
        assert page.evaluate("([a, b]) => zoo.spearman(a, b)", [a, b]) == pytest.approx(
            spearman(a, b)
        )
        groups = chance.choice(["norms", "shapes", "gates"], 20).tolist()
        told = page.evaluate("([a, b, groups]) => zoo.spearman(a, b, groups)", [a, b, groups])
        assert told == pytest.approx(spearman(a, b, groups))
    assert page.evaluate("zoo.spearman([1, 1, 1], [1, 2, 3])") is None
    assert page.evaluate("zoo.spearman([1, 2], [1, 2])") is None


def signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{abs(value):.2f}"


def said(figure) -> str:
    return figure.locator(".frugal-readout").inner_text()


def kinds(figure) -> list[str]:
    return figure.locator(".zoo-row").evaluate_all("(all) => all.map((it) => it.dataset.kind)")


def names(figure) -> list[str]:
    return figure.locator(".zoo-name").all_inner_texts()


def expected(made, threshold, *, sure=False) -> tuple[int, int, int]:
    both = [
        (paper >= threshold, (ours.get("low", -np.inf) if sure else ours["ours"]) >= threshold)
        for _, paper, ours in made.shown()
    ]
    return tuple(map(sum, ((a for a, _ in both), (b for _, b in both), (a and b for a, b in both))))


@pytest.mark.parametrize("sure", [False, True])
@pytest.mark.parametrize("form", ["published", "repaired"])
def test_the_sentence_counts_what_the_library_counts(show, form, sure):
    made = the_modification_zoo(form=form, sure=sure, threshold=2)
    paper, ours, both = expected(made, 2, sure=sure)
    here = f"{ours} here with the whole interval" if sure else f"{ours} here"
    figure = show(made)
    adopted = figure.locator('.zoo-row[data-kind="both"] .zoo-name').all_inner_texts()
    assert len(adopted) == both
    named = f" ({', '.join(adopted)})" if 0 < len(", ".join(adopted)) <= 60 else ""
    assert said(figure) == (
        f"early loss: Of 24 rows {paper} gain 2 % or more in the paper, {here}, {both} in "
        f"both{named}. The rank correlation of these rows is {signed(made.correlation())}, and "
        f"inside the families {signed(made.correlation(inside_families=True))}."
    )


FIRST = {"measure": "loss", "family": "all", "form": "published", "sort": "paper"}
FIRST |= {"threshold": 1.0, "sure": False, "chosen": ""}
TRIES = (
    ("both", FIRST),
    ("the whole interval", {**FIRST, "sure": True}),
    ("a family", {**FIRST, "family": "shapes"}),
)


def test_the_threshold_moves_rows_from_one_kind_to_another(show):
    figure = show(the_modification_zoo())
    figure.get_by_label("Adopt from").press("Home")
    many = kinds(figure)
    figure.get_by_label("Adopt from").press("End")
    few = kinds(figure)
    assert few.count("neither") > many.count("neither")
    assert "10 %" in said(figure)


def test_rows_are_filtered_and_sorted(show):
    made = the_modification_zoo()
    figure = show(made)
    by_paper = sorted(made.shown(), key=lambda one: -one[1])
    assert names(figure) == [name for name, *_ in by_paper]
    figure.get_by_label("Sorted by").select_option("the paper's order")
    assert names(figure) == [f"row {n}" for n in range(24)]
    figure.get_by_label("Sorted by").select_option("gain here")
    assert names(figure)[0] == max(made.shown(), key=lambda one: one[2]["ours"])[0]
    figure.get_by_label("Family").select_option("shapes")
    assert sorted(names(figure)) == sorted(f"row {n}" for n in range(0, 24, 3))
    assert figure.locator(".zoo-points .zoo-mark").count() == 8
    assert said(figure).startswith("early loss: Of 8 rows")
    assert "inside the families" not in said(figure)
    figure.get_by_label("Family").select_option("all rows")
    figure.get_by_label("Measure").select_option("steps per second")
    assert "row 5" not in names(figure)
    assert said(figure).startswith("steps per second: Of 23 rows")


def test_a_chosen_row_tells_its_numbers_and_what_came_in_between(show):
    figure = show(the_modification_zoo())
    about, labels = figure.locator(".zoo-about"), figure.locator(".zoo-label")
    assert "row 12" not in labels.all_text_contents()
    assert about.inner_text().startswith("Choose a row")
    figure.locator(".zoo-name", has_text="row 12").press("Enter")
    assert about.inner_text().startswith("row 12: ")
    assert "row 12" in labels.all_text_contents()
    assert about.inner_text().endswith("As published: the norm was another.")
    assert figure.evaluate("() => document.activeElement.dataset.name") == "row 12"
    published = about.inner_text()
    figure.get_by_label("repaired").check()
    assert "As published" not in about.inner_text()
    assert about.inner_text() != published
    figure.locator('.zoo-points .zoo-mark[data-name="row 12"]').dispatch_event("click")
    assert about.inner_text().startswith("Choose a row")


@pytest.mark.parametrize("width", [390, 900])
def test_the_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(the_modification_zoo().guided("Which would you adopt?", *TRIES))
    heights = {figure.bounding_box()["height"]}
    figure.locator(".zoo-name", has_text="row 12").click()
    heights.add(figure.bounding_box()["height"])
    figure.get_by_label("Family").select_option("shapes")
    heights.add(figure.bounding_box()["height"])
    figure.get_by_label("here with the whole interval").check()
    figure.get_by_label("Measure").select_option("steps per second")
    heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1


def test_steps_ask_for_more_and_for_a_family(show):
    """Each leads to other numbers, and back to the first state whatever was chosen meanwhile."""
    made = the_modification_zoo().guided("Which would you adopt?", *TRIES)
    figure = show(made)
    steps = figure.locator(".frugal-steps button")
    current = figure.locator(".frugal-steps [aria-current=step]")
    assert current.inner_text() == "1 both"
    told = [said(figure)]
    for number in (1, 2):
        steps.nth(number).click()
        assert current.inner_text() == f"{number + 1} {TRIES[number][0]}"
        told.append(said(figure))
    made.state["family"] = "shapes"
    assert f"The rank correlation of these rows is {signed(made.correlation())}." in told[2]
    assert len(set(told)) == 3
    figure.get_by_label("Measure").select_option("steps per second")
    figure.locator(".zoo-name").first.click()
    assert current.count() == 0
    steps.nth(0).click()
    assert said(figure) == told[0]
