"""Words that Markdown would read as markup: a list in mid-sentence, a tag that is lost."""

from __future__ import annotations

import re

import pytest

from tests.book.pages import LISTED, ROOT, prose

PAGES = ["index", *LISTED]
SOURCES = [
    *(f"{file}.md" for file in PAGES),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("solutions/src/*.md"))),
]
MARKER = re.compile(r" {0,3}(?:1[.)]|[-+*]|>|#{1,6}) ")  # what may interrupt a paragraph
FENCE = re.compile(r"\s*(?:`{3,}|~{3,}|:{3,}|\$\$)")
NO_PARAGRAPH = re.compile(r"\s*(?:$|[|>#]|---|\(\S+\)=|[-+*] |\d{1,9}[.)] )|\s{2,}")
CODE = re.compile(r"(?s)(`+)(?!`).+?(?<!`)\1(?!`)|\$[^$\n]+\$|<https?:[^>\s]+>")
FENCED = re.compile(r"(?ms)^ *(`{3,}|~{3,})(?!\{(?:dropdown|admonition)\}).*?^ *\1[ \t]*$")
FENCE_ALONE = re.compile(r"(?m)^ *(?:`{3,}|~{3,}|:{3,}).*$")
TAG = re.compile(r"</?[A-Za-z][^>]*>|<!--")


def lists_in_mid_sentence(text: str) -> list[str]:
    """Lines that begin a list, a quotation or a heading right after a line of a paragraph."""
    found, fenced, before = [], False, ""
    for line in text.splitlines():
        if FENCE.match(line):
            fenced, before = not fenced, ""
            continue
        if not fenced and MARKER.match(line) and not NO_PARAGRAPH.match(before):
            found.append(f"{before} / {line}")
        before = line
    return found


def tags(text: str) -> list[str]:
    """What looks like HTML and is not in code: a browser drops it, or obeys it."""
    words = FENCE_ALONE.sub("", FENCED.sub("", text))
    return TAG.findall(CODE.sub("", words))


@pytest.mark.parametrize("name", SOURCES)
def test_no_line_of_a_paragraph_begins_a_list(name):
    assert lists_in_mid_sentence((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", PAGES)
def test_no_word_is_swallowed_as_a_tag(file):
    assert tags(prose(file)) == []


def test_what_is_found_and_what_is_not():
    broken = "The teacher is the model of part\n1. `It` translates."
    assert lists_in_mid_sentence("The exponential is never\n0. With 2 it is.") == []
    whole = "Two things:\n\n1. one,\n   in two lines,\n2. two.\n\n- a\n- b\n\n```\nx\n1. y\n```\n"
    assert lists_in_mid_sentence(broken) == [
        "The teacher is the model of part / 1. `It` translates."
    ]
    assert lists_in_mid_sentence(whole) == []
    assert tags('the end token as "</s>"') == ["</s>"]
    assert tags("```{dropdown} Solution\nwrites <pad> here\n```\n") == ["<pad>"]
    code = "`</s>`, ``a ` <b>``, $i<j$, <https://a.example/>, 1 < 2 > 0\n```html\n<p>\n```\n"
    assert tags(code) == []
