"""What a page makes a phone fetch, and that it stays where it is while it arrives.

Times belong to `python -m booktools phone`, on a quiet machine; bytes and shifts are the same on
any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from booktools.phone import pages_of, report, weigh
from booktools.serve import serving
from tests.site.conftest import PAGES, WITH_FIGURES

FIRST_KB, CHAPTER_KB = 250, 900
SHIFT = 0.02
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]


@pytest.fixture(scope="module")
def compressed(html: Path) -> Iterator[str]:
    with serving(html, compressed=True) as address:
        yield address


@pytest.mark.parametrize("name", ["index.html", *CHAPTERS])
def test_a_page_is_light_and_stands_still(browser: Browser, compressed: str, name: str) -> None:
    weight = weigh(browser, compressed, name, slow=False)
    assert weight.kilobytes <= (FIRST_KB if name == "index.html" else CHAPTER_KB)
    assert weight.shift <= SHIFT
    assert weight.kilobytes > 50  # it did load something


def test_nothing_stands_between_the_reader_and_the_first_words(parsed) -> None:
    for name in set(PAGES) - {"search.html"}:
        head = parsed(name).head
        sheets = [link["href"] for link in head.select('link[rel="stylesheet"]')]
        assert len(sheets) == 1, f"{name}: {sheets}"
        waiting = [
            script["src"]
            for script in head.select("script[src]")
            if not script.has_attr("defer") and not script.has_attr("async")
        ]
        assert [one.partition("?")[0].rpartition("/")[2] for one in waiting] in (
            [],
            ["documentation_options.js"],
        ), name


def test_the_colors_are_known_before_the_first_words(parsed) -> None:
    """A reader who has chosen none gets the system's; without any a page has not even borders."""
    for name in PAGES:
        inline = [script.get_text() for script in parsed(name).head.select("script:not([src])")]
        chosen = [place for place, it in enumerate(inline) if "dataset.theme = local" in it]
        known = [place for place, it in enumerate(inline) if "prefers-color-scheme" in it]
        assert chosen < known, name


def test_a_script_is_loaded_only_where_it_is_used(html: Path, parsed) -> None:
    for name in PAGES:
        text, soup = (html / name).read_text("utf-8"), parsed(name)
        sources = [script["src"].partition("?")[0] for script in soup.select("script[src]")]
        figures = [one for one in sources if "_static/frugal/" in one]
        assert bool(figures) <= (name in WITH_FIGURES), name
        assert not [one for one in sources if "mathjax" in one or "fontawesome" in one], name
        assert bool(soup.select("#frugal-vega")) == ('data-module="chart-' in text), name
        assert len(sources) == len(set(sources)), name


def test_the_sheet_has_the_icons_that_pages_show_and_no_other_font(html: Path, parsed) -> None:
    sheet = (html / "_static" / "site.css").read_text("utf-8")
    shown = {
        one
        for name in PAGES
        for icon in parsed(name).select("i[class]")
        for one in icon["class"]
        if one.startswith("fa-") and one not in {"fa-solid", "fa-lg"}
    }
    assert len(shown) > 5
    assert not [name for name in shown if f".{name}:before" not in sheet]
    assert ".fa-hippo" not in sheet
    assert "fa-brands-400" not in sheet
    assert "@import" not in sheet  # which a browser passes over in the middle of a sheet
    assert "a.headerlink" in sheet  # of a sheet that another imports
    colors = (html / "_static" / "pygments.css").read_text("utf-8")
    assert colors.strip() in sheet  # as the theme leaves it at the end of a build
    local = [place for place in re.findall(r"url\(([^)\"']+)\)", sheet) if "data:" not in place]
    assert local
    assert not [place for place in local if not (html / "_static" / place).is_file()]


def test_weighing_names_what_is_not_there(tmp_path: Path, html: Path) -> None:
    with pytest.raises(ValueError, match="no built site"):
        next(report(tmp_path))
    with pytest.raises(ValueError, match=r"page is 'x\.html'; the site has index\.html"):
        next(report(html, ["x.html"]))
    assert pages_of(html)[0] == "index.html"
