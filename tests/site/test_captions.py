"""Figures have numbers, words and addresses."""

from __future__ import annotations

import re

import pytest

from booktools.captions import caption_of
from tests.site.conftest import SOURCES

FIGURES = ".frugal-figure, svg.frugal-picture, .frugal-cells, .frugal-plan"


@pytest.mark.parametrize(
    ("html", "words"),
    [
        (
            '<div class="frugal-figure" aria-label="A falls to 0.5. Then B rises.">',
            "A falls to 0.5.",
        ),
        ('<svg class="frugal-picture" aria-label="What is &quot;x&quot;? It.">', 'What is "x"?'),
        ('<svg class="frugal-picture" aria-label="no stop">', "no stop"),
        (
            '<div class="frugal-plan"><div><p class="frugal-plan-title">A &amp; b</p></div>'
            '<div><p class="frugal-plan-title">C</p></div></div>',
            "A & b and C, step by step.",
        ),
        (
            '<div class="frugal-cells"><p class="frugal-cells-title"><b>strided</b> '
            "<small>queries ↓ keys →</small></p></div>",
            "strided: queries down, keys across; a dark square is 1.",
        ),
        (
            '<div class="frugal-cells"><p class="frugal-cells-title">'
            "<small>rows ↓ to →</small></p></div>",
            "Rows down, to across; a dark square is 1.",
        ),
    ],
)
def test_the_words_are_the_first_that_the_figure_says(html, words) -> None:
    assert caption_of(html) == words


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("chapters/")])
def test_every_figure_of_a_chapter_can_be_cited(parsed, name) -> None:
    soup = parsed(f"{name}.html")
    figures, captions = soup.select(FIGURES), soup.select(".frugal-caption")
    title = re.match(r"([\d.]+)\.? ", soup.select_one("article h1").get_text())
    if title is None:  # the appendix has no numbers
        assert not captions
        return
    chapter = title[1].rstrip(".")
    assert len(captions) == len(figures)
    for count, (figure, caption) in enumerate(zip(figures, captions, strict=True), start=1):
        assert figure.find_next(class_="frugal-caption") is caption
        link = caption.a
        assert link.get_text() == f"Figure {chapter}.{count}"
        assert link["href"] == f"#{caption['id']}"
        assert 10 < len(caption.get_text()) < 400, caption.get_text()
