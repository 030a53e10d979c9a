"""What the built book claims: every claim can fail, and every chapter judges its papers."""

import re

from booktools.collected import collect, report
from tests.book.pages import CHAPTERS
from tests.site.conftest import ROOT


def test_every_claim_can_fail(html):
    text, whole = report(ROOT)
    assert whole, text


def test_every_chapter_judges_its_papers(html):
    """A word for each claim of the paper, with its source, computed where the page ran."""
    found = collect(ROOT)
    for chapter in CHAPTERS:
        rows = found[chapter]["verdicts"]
        assert len(rows) >= 4, chapter
        for row in rows:
            assert row["source"], (chapter, row["claim"])
            assert row["number"], (chapter, row["claim"])
    words = {row["verdict"] for chapter in CHAPTERS for row in found[chapter]["verdicts"]}
    assert words == {"seen", "not seen", "not tested here"}


def test_verdicts_name_their_papers_as_the_text_does(html):
    """Authors and year, and a link to the reference; no key of the bibliography is left."""
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text("utf-8"), re.M))
    for chapter in CHAPTERS:
        page = (html / f"{chapter}.html").read_text("utf-8")
        sources = re.findall(r"<br><small>(.*?)</small></td>", page)
        assert len(sources) >= 4, chapter
        assert not keys & set(re.findall(r"\w+", " ".join(sources))), chapter
        linked = [
            re.match(r'<a\s+href="[./\w-]+references\.html#\w[^>]*>.*?, \d{4}</a>', source)
            for source in sources
        ]
        assert sum(map(bool, linked)) >= len(sources) - 1, (chapter, sources)
