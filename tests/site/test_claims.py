"""What the built book claims: every claim can fail, and every chapter judges its papers."""

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
