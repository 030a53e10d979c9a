"""A chapter says where its method lives, and all of it is there."""

import re

import pytest

from booktools.address import KINDS, address, files_of
from tests.book.pages import CHAPTERS, INTERLUDES, ROOT

ADDRESSED = [*CHAPTERS, *sorted(INTERLUDES)]


@pytest.mark.parametrize("file", ADDRESSED)
def test_everything_that_a_card_names_exists(file):
    said = address(ROOT / f"{file}.md")
    own = {"library"} if file in CHAPTERS else set()  # an interlude has no method of its own
    assert {"experiment", "tests"} | own <= set(said)
    for kind, entries in said.items():
        for entry in entries:
            assert files_of(kind, entry, ROOT), f"{kind}: nothing lives at {entry}"


@pytest.mark.parametrize("file", ADDRESSED)
def test_a_card_names_what_the_chapter_uses(file):
    """The figure that a chapter imports, the results that it loads, the lab that it links to."""
    text = (ROOT / f"{file}.md").read_text()
    said = address(ROOT / f"{file}.md")
    figures = set(re.findall(r"frugal\.figures\.\w+", text.partition("\n---\n")[2]))
    assert figures <= set(said.get("figure", []))
    loaded = set(re.findall(r"results\.load\(\"(\w+)\"", text))
    named = {*said["experiment"], *(f"bench_{name}" for name in said.get("bench", []))}
    assert loaded <= named
    assert set(re.findall(r"\blab\d\d\b", text.partition("\n---\n")[2])) <= set(said.get("lab", []))


@pytest.mark.parametrize("file", CHAPTERS)
def test_the_methods_module_names_its_chapter(file):
    """A reader who starts at the code finds the page."""
    slug = file.rpartition("/")[2]
    entry = address(ROOT / f"{file}.md")["library"][0]
    texts = [(ROOT / path).read_text() for path in files_of("library", entry, ROOT)]
    assert any(re.search(rf"Chapters?:[^.]*\b{slug}\b", text) for text in texts)


def test_an_unknown_kind_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("---\nlives:\n  libary: frugal.model\n---\n\n# A page\n")
    with pytest.raises(ValueError, match="lives has 'libary'; it must be one of library"):
        address(page)
    assert "library" in KINDS


def test_a_page_without_an_address_has_none(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n---\n\nlives: elsewhere\n")
    assert address(page) == {}
