"""Every page: nothing asked of other hosts, no errors, links that lead somewhere, light enough."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup

from tests.site.conftest import CODE, PAGES, REFERENCE, WITH_FIGURES

MOST_BYTES = 1_500_000
# Loaded once for the whole site: the theme, fonts of formulas, Vega.
SHARED = ("_static/",)
OWN = ("_static/frugal/",)
SHARED_BY_FIGURES = ("vega.js", "figure.css")


@pytest.fixture(scope="module")
def soups(parsed) -> dict[str, BeautifulSoup]:
    return {name: parsed(name) for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_no_other_host_reports_no_error_and_sets_its_equations(opened, name) -> None:
    page = opened.page
    assert opened.foreign + opened.errors == []
    wanted = page.locator(".math").count()
    assert page.locator(".math:has(> .katex, > .katex-display)").count() == wanted
    assert page.locator(".katex-error").count() == 0
    empty = "(marks) => marks.filter((mark) => !mark.children.length).length"
    assert page.locator(".frugal-chart .role-mark.mark-symbol").evaluate_all(empty) == 0


def test_the_pages_are_those_of_the_table_of_contents(html, soups) -> None:
    found = {path.relative_to(html).as_posix() for path in html.rglob("*.html")}
    assert {one for one in found if not one.startswith(("_static/", "_sources/", "reports/"))} == {
        *PAGES,
        *CODE,
        *REFERENCE,
        "404.html",
    }
    assert any(soup.select(".math") for soup in soups.values()), "no page has an equation"
    with_figures = {name for name, soup in soups.items() if soup.select(".frugal-figure")}
    assert with_figures == {*WITH_FIGURES}


def test_search_finds_a_chapter(visit, address) -> None:
    page = visit.open(f"{address}/search.html?q=attention")
    page.wait_for_selector("#search-results li a")
    assert not visit.foreign
    assert not visit.errors


def _targets(soup: BeautifulSoup) -> list[tuple[str, str]]:
    pairs = (("a", "href"), ("link", "href"), ("script", "src"), ("img", "src"))
    return [
        (element.name, element[attribute])
        for tag, attribute in pairs
        for element in soup.find_all(tag)
        if element.get(attribute)
    ]


def test_internal_links_and_files_resolve(html: Path, soups) -> None:
    ids = {
        name: {element["id"] for element in soup.find_all(id=True)} for name, soup in soups.items()
    }
    problems = []
    for name, soup in soups.items():
        for tag, target in _targets(soup):
            parts = urlsplit(urljoin(f"http://book/{name}", target))
            if parts.hostname != "book" or parts.scheme not in {"http", "https"}:
                continue
            path = unquote(parts.path).lstrip("/") or "index.html"
            if not (html / path).is_file():
                problems.append(f"{name}: <{tag}> leads to {target}, which is no file")
            elif parts.fragment and path in ids and unquote(parts.fragment) not in ids[path]:
                problems.append(f"{name}: <{tag}> leads to {target}, an anchor that is not there")
    assert not problems, "\n".join(problems)


def test_pages_of_code_lead_to_files_that_are_there(html: Path) -> None:
    problems = set()
    for name in CODE:
        text = (html / name).read_text(encoding="utf-8")
        for target in re.findall(r'(?:href|src)="([^"#]+)', text):
            parts = urlsplit(urljoin(f"http://book/{name}", target))
            path = unquote(parts.path).lstrip("/") or "index.html"
            if parts.hostname == "book" and not (html / path).is_file():
                problems.add(f"{name} leads to {target}, which is no file")
    assert problems == set()


def test_pages_name_other_hosts_in_links_only(soups) -> None:
    problems = [
        f"{name}: <{tag}> loads {target}"
        for name, soup in soups.items()
        for tag, target in _targets(soup)
        if tag != "a" and urlsplit(target).scheme in {"http", "https"}
    ]
    assert not problems, "\n".join(problems)


def test_no_output_needs_a_kernel(html: Path) -> None:
    found = [name for name in PAGES if "widget-view+json" in (html / name).read_text("utf-8")]
    assert not found, f"bare widgets, blank without a kernel, in {found}"


def test_no_output_is_an_error(soups) -> None:
    """A traceback on a page is meant only where its cell is tagged raises-exception."""
    problems = [
        f"{name}: {element.get_text()[:200]}"
        for name, soup in soups.items()
        for element in soup.select(".cell:not(.tag_raises-exception) .output.traceback")
    ]
    assert not problems, "\n".join(problems)


def test_pictures_have_words(soups) -> None:
    problems = []
    for name, soup in soups.items():
        for image in soup.select(".bd-article img"):
            if len(image.get("alt", "").split()) < 2:
                problems.append(f"{name}: <img src={image.get('src', '')[:80]}> has no alt text")
        for picture in soup.select(".frugal-figure, .frugal-picture"):
            if len(picture.get("aria-label", "").split()) < 2:
                problems.append(f"{name}: a figure has no words that say what it shows")
    assert not problems, "\n".join(problems)


# Markup of Markdown, LaTeX or BibTeX that nothing has set: `name`, N^1.88, \\$, $x$, **bold**.
MARKUP = re.compile(
    r"`|\*\*|\\[$a-z]|\w\^[\d{]|\$[^$\s\d][^$\n]*\$|\]\(|\{(?:ref|eq|numref|doc|term|cite)"
)
NOT_PROSE = "script, style, pre, code, kbd, textarea, .math, .frugal-figure svg"
SAID = ("alt", "aria-label", "content", "title")


def test_no_markup_is_shown_as_it_was_written(soups) -> None:
    problems = []
    for name, soup in soups.items():
        said = [one[it] for it in SAID for one in soup.find_all(attrs={it: True})]
        apart = {id(element) for element in soup.select(NOT_PROSE)}
        shown = [
            text
            for text in soup.find_all(string=MARKUP)
            if not any(id(above) in apart for above in text.parents)
        ]
        problems += [
            f"{name}: {text.strip()[:120]}" for text in [*said, *shown] if MARKUP.search(text)
        ]
    assert not problems, "\n".join(problems)


def test_pages_are_light(html: Path, soups) -> None:
    problems = []
    for name, soup in soups.items():
        own = {html / name}
        for tag, target in _targets(soup):
            path = urlsplit(urljoin(f"http://book/{name}", target)).path.lstrip("/")
            shared = path.startswith(SHARED) and not path.startswith(OWN)
            other_page = tag == "a" or path.endswith(".html")
            if other_page or shared or path.endswith(SHARED_BY_FIGURES):
                continue
            if (html / path).is_file():
                own.add(html / path)
        size = sum(path.stat().st_size for path in own)
        print(f"{name}: {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            problems.append(f"{name} weighs {size / 1e6:.2f} MB beside shared files")
    assert not problems, "\n".join(problems)


def test_chapters_offer_their_executed_notebook(html: Path, soups) -> None:
    chapters = [name for name, soup in soups.items() if soup.select(".cell_input")]
    assert chapters, "no page has a code cell"
    for name in chapters:
        links = [a["href"] for a in soups[name].select("a[href*='_sources'][href$='.ipynb']")]
        offered = [(html / name).parent / link for link in links if "/labs/" not in link]
        assert offered, f"{name} offers no notebook"
        cells = json.loads(offered[0].resolve().read_text(encoding="utf-8"))["cells"]
        assert any(cell.get("outputs") for cell in cells), f"{name} offers what did not run"
