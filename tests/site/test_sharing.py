"""Shared links, wrong addresses, and the list for search engines."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from bs4 import Tag
from docutils import nodes
from PIL import Image

from booktools.project import book_address
from booktools.sharing import LONGEST, SIZE, description, share_picture, write_answers
from tests.site.conftest import SOURCES

BOOK = "The Annotated Efficient Transformer"


@pytest.fixture(scope="module")
def heads(parsed) -> dict[str, Tag]:
    return {name: parsed(f"{name}.html").head for name in SOURCES}


def test_every_page_says_what_it_is(heads) -> None:
    about = {}
    for name, head in heads.items():
        title = head.title.get_text()
        assert title.count(BOOK) == 1, name
        about[name] = head.select_one('meta[name="description"]')["content"]
        assert 40 < len(about[name]) <= LONGEST, name
        assert "$" not in about[name], name
        assert "\\" not in about[name], name
        assert head.select_one('meta[property="og:description"]')["content"] == about[name]
    assert len(set(about.values())) == len(about)


def test_every_page_says_of_which_book_it_is(parsed) -> None:
    for name in SOURCES:
        page = parsed(f"{name}.html")
        assert page.select_one(".frugal-home").get_text(strip=True) == BOOK, name
        assert "name not set" not in page.get_text(), name


def test_every_page_has_a_picture_of_its_own(html, heads) -> None:
    seen = set()
    for name, head in heads.items():
        place = head.select_one('meta[property="og:image"]')["content"]
        picture = ((html / f"{name}.html").parent / place).resolve()
        assert Image.open(picture).size == SIZE, name
        assert picture.stat().st_size < 300_000, name
        seen.add(picture.read_bytes())
    assert len(seen) == len(heads)


def _red(picture: Image.Image) -> int:
    colors = picture.convert("RGB").getcolors(SIZE[0] * SIZE[1])
    return sum(number for number, (red, green, _) in colors if red > 200 and green < 60)


def test_a_picture_shows_title_and_figure() -> None:
    red = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(red, "png")
    with_figure = Image.open(io.BytesIO(share_picture("Hashing", BOOK, red.getvalue())))
    without = Image.open(io.BytesIO(share_picture("Hashing", BOOK, None)))
    assert _red(with_figure) > 100_000
    assert _red(without) == 0
    assert share_picture("Hashing", BOOK, None) != share_picture("Sorting", BOOK, None)


def test_a_description_is_the_first_text_without_formulas() -> None:
    def paragraph(*parts: nodes.Node | str) -> nodes.paragraph:
        made = nodes.paragraph()
        made += [nodes.Text(part) if isinstance(part, str) else part for part in parts]
        return made

    document = SimpleNamespace()
    section = nodes.section()
    section += paragraph("Short.")
    section += paragraph("A long sentence about the matrix ", nodes.math("", "A"), " and its rank.")
    section += paragraph(
        "What a reader finds here, in words\nthat go over two lines. " + "More. " * 60
    )
    document.findall = section.findall
    text = description(document)
    assert text.startswith("What a reader finds here, in words that go over two lines. More.")
    assert text.endswith(" …")
    assert len(text) <= LONGEST


def test_a_wrong_address_is_answered(html, parsed) -> None:
    page = parsed("404.html")
    links = [link["href"] for link in page.select("a")]
    assert len(links) == len(SOURCES)
    assert all(link.startswith("/") and (html / link[1:]).is_file() for link in links)
    assert not page.select("script, link")


def test_the_address_of_the_book_stands_in_one_place(tmp_path: Path) -> None:
    assert book_address(tmp_path) == ""
    urls = '[project]\nname = "x"\n[project.urls]\nDocumentation = "https://book.example/a"\n'
    (tmp_path / "pyproject.toml").write_text(urls, encoding="utf-8")
    assert book_address(tmp_path) == "https://book.example/a/"
    titles = {name: nodes.title("", f"{name} & co") for name in ("index", "chapters/one")}
    app = SimpleNamespace(
        builder=SimpleNamespace(format="html"),
        outdir=str(tmp_path),
        srcdir=str(tmp_path),
        env=SimpleNamespace(titles=titles, found_docs=set(titles)),
        config=SimpleNamespace(html_title=BOOK),
    )
    write_answers(app, None)
    sitemap = ElementTree.parse(tmp_path / "sitemap.xml").getroot()
    found = [
        place.text for place in sitemap.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
    ]
    assert found == [
        "https://book.example/a/chapters/one.html",
        "https://book.example/a/index.html",
    ]
    assert "https://book.example/a/chapters/one.html" in (tmp_path / "404.html").read_text("utf-8")
