"""A page on paper: text and figures, no bars, no sliders, no addresses between the words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browsing import visiting

PAGE = "chapters/2-interactions/hashing.html"
A4 = {"width": 718, "height": 1047}  # px of paper between margins of 10 mm
GONE = """
.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-footer, .headerlink,
.frugal-copy, .frugal-progress, .frugal-toolbar, .frugal-control, .frugal-steps, .vega-bindings,
.cell.tag_hide-input details.hide, .frugal-figure input, .frugal-figure select,
.frugal-figure button, .frugal-address, #jb-print-docs-body
"""


@pytest.fixture(scope="module")
def paper(browser: Browser, address: str) -> Iterator[Page]:
    with visiting(browser, viewport=A4) as visit:
        page = visit.open(f"{address}/{PAGE}")
        page.emulate_media(media="print")
        yield page


def test_what_only_a_screen_can_use_is_gone(paper: Page) -> None:
    seen = paper.evaluate(
        """(gone) => [...document.querySelectorAll(gone)]
          .filter((it) => it.checkVisibility()).map((it) => it.className || it.id)""",
        GONE,
    )
    assert seen == []
    assert paper.locator(".bd-article h1").is_visible()


def test_figures_are_stills_with_their_words(paper: Page) -> None:
    figures = paper.evaluate(
        """() => [...document.querySelectorAll(".frugal-figure")].map((it) => ({
          drawn: [...it.querySelectorAll("svg, img, canvas")].some((one) => one.checkVisibility()),
          told: getComputedStyle(it, "::after").content.slice(1, -1).replaceAll('\\\\"', '"'),
          words: it.getAttribute("aria-label"),
        }))"""
    )
    assert len(figures) > 2
    for figure in figures:
        assert figure["drawn"], figure["words"]
        assert figure["told"] == figure["words"]


def test_nothing_is_cut_and_no_address_is_spilled(paper: Page) -> None:
    assert paper.evaluate("document.documentElement.scrollWidth <= innerWidth")
    spilled = paper.evaluate(
        """() => [...document.querySelectorAll(".bd-article a")]
          .map((it) => getComputedStyle(it, "::after").content)
          .filter((content) => content !== "none" && content !== "normal")"""
    )
    assert spilled == []
    cut = paper.evaluate(
        """() => [...document.querySelectorAll(".bd-article pre")]
          .filter((it) => it.checkVisibility() && it.scrollWidth > it.clientWidth + 1)
          .map((it) => it.textContent.slice(0, 60))"""
    )
    assert cut == []


def test_a_chapter_becomes_a_pdf(paper: Page, tmp_path: Path) -> None:
    pdf = paper.pdf(format="A4", path=tmp_path / "page.pdf")
    assert pdf.startswith(b"%PDF")
    pages = max(int(count) for count in re.findall(rb"/Count (\d+)", pdf))
    assert 5 < pages < 40
