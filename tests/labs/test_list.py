"""The book's list of the labs says what the labs themselves say."""

import re
from pathlib import Path

import pytest

from labtools.colab import colab_link
from labtools.source import find_sources
from tests.labs.conftest import ROOT

PAGE = ROOT / "chapters" / "appendix" / "labs.md"
SOURCES = find_sources(ROOT / "solutions" / "src")


def chapters_of(name: str) -> list[Path]:
    """The chapters that link to the lab, in the order of the book."""
    chapters = sorted((ROOT / "chapters").glob("[0-9]*/*.md"))
    order = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    linking = [c for c in chapters if f"labs/{name}.ipynb" in c.read_text(encoding="utf-8")]
    return sorted(linking, key=lambda c: order.find(f"chapters/{c.parent.name}/{c.stem}"))


def row(source: Path) -> str:
    """The lab's row, made of its title, its first paragraphs and the chapters that link to it."""
    text = source.read_text(encoding="utf-8")
    title = re.search(r"^# (Lab \d+ · .+)$", text, re.MULTILINE)[1]
    takeaway = re.search(r"\*\*You walk away with\*\* (.+?)\n\n", text, re.DOTALL)
    assert takeaway, f"{source.name} must say what you walk away with."
    size = re.search(r"(\w+) questions, (\d+) points, about (\d+) minutes", text)
    links = []
    for chapter in chapters_of(source.stem):
        heading = re.search(r"^# (.+)$", chapter.read_text(encoding="utf-8"), re.MULTILINE)[1]
        links.append(f"[{heading}](../{chapter.parent.name}/{chapter.name})")
    notebook = f"{{download}}`{title} <../../labs/{source.stem}.ipynb>`"
    cells = [
        ", ".join(filter(None, (notebook, colab_link(ROOT, source.stem)))),
        " ".join(takeaway[1].split()),
        f"{size[3]} minutes, {size[2]} points",
        ", ".join(links),
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_page_has_the_row_of_every_lab(source: Path) -> None:
    wanted, page = row(source), PAGE.read_text(encoding="utf-8")
    assert wanted in page.splitlines(), f"put this into {PAGE.name}:\n{wanted}"


def test_the_page_lists_nothing_else() -> None:
    rows = re.findall(r"^\| \{download\}", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(SOURCES)
