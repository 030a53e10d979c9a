"""Plans of layers: lists of steps in columns, which every reader gets."""

from __future__ import annotations

import html5lib
import pytest

from frugal.show import plan

TWO = {
    "Vanilla": ["tokens | N × d", ("queries", "keys, values"), "scores | N × N"],
    "Low rank": ["tokens | N × d", "* project keys & values | k × d_k"],
}


def test_a_plan_is_lists_of_steps_and_says_what_is_new() -> None:
    html = plan(TWO).to_html()
    page = html5lib.parse(html, namespaceHTMLElements=False)
    lists = [["".join(step.itertext()) for step in column.iter("li")] for column in page.iter("ol")]
    assert lists == [
        ["tokensN × d", "querieskeys, values", "scoresN × N"],
        ["tokensN × d", "new project keys & valuesk × dk"],
    ]
    assert html.count("frugal-plan-new") - html.count(".frugal-plan-new") == 1
    assert "d<sub>k</sub>" in html


def test_a_plan_in_plain_text() -> None:
    assert repr(plan(TWO)).splitlines() == [
        "Vanilla: tokens (N × d) → queries beside keys, values → scores (N × N)",
        "Low rank: tokens (N × d) → new: project keys & values (k × d_k)",
    ]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "at least one column"),
        ({"Vanilla": []}, "a step in each"),
        ({"A": [" | N"]}, "nothing"),
    ],
)
def test_a_plan_without_words_is_refused(columns, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(columns)
