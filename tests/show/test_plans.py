"""Plans of layers: lists of steps in columns, which every reader gets."""

from __future__ import annotations

import html5lib
import pytest

from frugal.show import plan
from frugal.show.plans import anchor
from frugal.show.site import SITE_VARIABLE

TWO = {
    "Vanilla": ["tokens | N × d", ("queries", "keys, values"), "scores | N × N"],
    "Low rank": ["tokens | N × d", "* project keys & values | k × d_k @ #Mix, then attend"],
}
FRAMED = {
    "Encoder": [
        "tokens @ vanilla#Tokens become vectors",
        {"L times": [{"+": ["norm", "attention"]}]},
        "scores",
    ]
}


def test_a_plan_is_lists_of_steps_and_says_what_is_new() -> None:
    html = plan(TWO).to_html()
    page = html5lib.parse(html, namespaceHTMLElements=False)
    lists = [["".join(step.itertext()) for step in column.iter("li")] for column in page.iter("ol")]
    assert lists == [
        ["tokensN × d", "querieskeys, values", "scoresN × N"],
        ["tokensN × d", "new project keys & valuesk × dk"],
    ]
    assert html.count('frugal-plan-new"') == 1
    assert "d<sub>k</sub>" in html


def test_a_plan_in_plain_text() -> None:
    assert repr(plan(TWO)).splitlines() == [
        "Vanilla: tokens (N × d) → queries beside keys, values → scores (N × N)",
        "Low rank: tokens (N × d) → new: project keys & values (k × d_k)",
    ]
    assert repr(plan(FRAMED)) == (
        "Encoder: tokens → L times: [[norm → attention], added to what came in] → scores"
    )


def test_in_the_book_a_part_leads_to_its_section(monkeypatch) -> None:
    monkeypatch.setenv(SITE_VARIABLE, "1")
    page = html5lib.parse(plan(TWO | FRAMED).to_html(), namespaceHTMLElements=False)
    assert [(link.get("href"), link.get("title")) for link in page.iter("a")] == [
        ("#mix-then-attend", "Go to the section: Mix, then attend"),
        (
            "../1-foundations/the-vanilla-transformer.html#tokens-become-vectors",
            "Go to the section: Tokens become vectors",
        ),
    ]


def test_outside_the_book_there_is_nothing_to_go_to(monkeypatch) -> None:
    monkeypatch.delenv(SITE_VARIABLE, raising=False)
    assert "<a " not in plan(TWO).to_html()
    assert 'frugal-plan-hint"' not in plan(TWO).to_html()


def test_frames_are_lists_in_lists() -> None:
    page = html5lib.parse(plan(FRAMED).to_html(), namespaceHTMLElements=False)
    assert len(page.findall(".//ol//ol//ol")) == 1


@pytest.mark.parametrize(
    ("heading", "address"),
    [
        ("Backward, for scores and for α", "backward-for-scores-and-for"),
        ("16 heads: one?", "heads-one"),
        ("A naïve way", "a-naive-way"),
    ],
)
def test_an_address_keeps_letters_and_digits(heading: str, address: str) -> None:
    assert anchor(heading) == address


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, r"^columns is empty, or one of them; each must have a step or more\.$"),
        ({"Vanilla": []}, "each must have a step"),
        ({"A": [" | N"]}, r"^a step is ' \| N'; it must say something\.$"),
        ({"A": [{"L times": []}]}, r"^the frame 'L times' is empty; it must have steps\.$"),
    ],
)
def test_a_plan_without_words_is_refused(columns, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(columns)
