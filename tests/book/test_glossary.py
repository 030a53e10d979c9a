"""Every term that a chapter marks has an entry, and every entry a chapter that builds it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from docutils import nodes

from booktools.terms import (
    MARK,
    PAGE,
    by_form,
    finder,
    glossary,
    mark_terms,
    read_terms,
    state,
)
from tests.book.pages import CHAPTERS, LISTED, ROOT, source

TERMS = glossary(ROOT)


def words_of(file: str) -> str:
    """A chapter's running text: no front matter, no code, no formula, no heading."""
    text = re.sub(r"(?s)\A---\n.*?\n---\n", "", source(file))
    text = re.sub(r"(?ms)^(`{3,}|:{3,}).*?^\1\s*$", "", text)
    text = re.sub(r"(?m)^#+ .*$", "", text)
    return re.sub(r"`[^`]*`|\$[^$]*\$", "", text)


def forms_of(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w-])({'|'.join(map(re.escape, (name, *TERMS[name].also)))})(?![\w-])", re.I
    )


def test_the_glossary_is_a_page_of_the_book():
    assert PAGE in LISTED
    assert len(TERMS) > 50


@pytest.mark.parametrize("name", TERMS)
def test_an_entry_is_one_sentence_and_its_chapter_builds_it(name):
    term = TERMS[name]
    assert term.says.endswith(".")
    assert term.says[:-1].count(". ") == 0
    assert "." not in term.says[:-1]
    assert 6 <= len(term.says.split()) <= 36
    assert term.built in CHAPTERS
    assert forms_of(name).search(source(term.built)), f"{term.built} does not say {name}"


def test_every_marked_term_is_said_by_a_chapter():
    texts = [words_of(file) for file in CHAPTERS]
    words, known = finder(TERMS), by_form(TERMS)
    said = {
        term.name
        for text in texts
        for found in words.finditer(text)
        if (term := known[" ".join(found.group().lower().split())])
    }
    assert {name for name, term in TERMS.items() if term.mark} == said


def marked(*paragraphs: str, docname: str = "chapters/2-interactions/hashing") -> list[str]:
    """The links that some paragraphs get, on a page of the book."""
    document = nodes.document(None, None)
    document += nodes.title("", "Keys and heads")
    for text in paragraphs:
        paragraph = nodes.paragraph("", text)
        paragraph += nodes.literal("", "mask")
        document += paragraph
    builder = SimpleNamespace(get_relative_uri=lambda _, page: f"../../{page}.html")
    before = document.astext()
    mark_terms(SimpleNamespace(srcdir=ROOT, builder=builder), document, docname)
    assert document.astext() == before, "the words stay"
    links = list(document.findall(nodes.reference))
    assert all(link["classes"] == [MARK] for link in links)
    return [f"{link.astext()} {link['refuri'].partition('#')[2]}" for link in links]


def test_the_first_use_is_marked_and_no_other():
    assert marked("Heads have keys.", "A head has a key.") == ["Heads term-head", "keys term-key"]


def test_other_meanings_and_other_pages_are_left_alone():
    assert marked("Use the arrow keys, and then\nlook at a key.") == ["key term-key"]
    assert marked("A pre-head of half-keys.") == []
    assert marked("Every head.", docname="chapters/appendix/labs") == []


def test_a_term_of_two_words_may_go_over_two_lines():
    assert marked("It has random\nfeatures.") == ["random\nfeatures term-random-features"]


def test_wrong_entries_are_told():
    with pytest.raises(ValueError, match="must have says and built"):
        read_terms("head: {says: One.}")
    with pytest.raises(ValueError, match="'heads'"):
        read_terms(
            "head: {says: A., built: b, also: [heads]}\nheads: {says: A., built: b}",
        )


def test_a_book_without_a_glossary_has_no_terms(tmp_path):
    assert glossary(tmp_path) == {}
    assert state(tmp_path) == ""
