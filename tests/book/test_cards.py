"""The cards of the first page: one for each chapter, each with a number of that chapter's own."""

import ast
import json
import re
import string
from typing import get_args

import jupytext
import pytest

from booktools.card_pictures import picture, shared
from booktools.cards import minutes, read_cards, told
from booktools.collected import claims_of
from frugal.claims.sentences import MIME
from frugal.figures.first_page.scenes import Scene
from tests.book.pages import LISTED, ROOT, source

CARDS = read_cards(re.search(r"(?ms)^```\{chapter-cards\}\n(.*?)^```", source("index"))[1])
CHAPTERS = [file for file in LISTED if "/appendix/" not in file]


def sentences(file):
    """The sentence of every claim of a chapter, and the names that it is filled in from."""
    for cell in jupytext.read(ROOT / f"{file}.md").cells:
        if cell.cell_type == "code" and "claim(" in cell.source:
            for call in ast.walk(ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", cell.source))):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "claim":
                    words = [it for it in ast.walk(call.args[0]) if isinstance(it, ast.Constant)]
                    yield "".join(str(it.value) for it in words), {n.arg for n in call.keywords}


def test_every_chapter_has_a_card():
    assert list(CARDS) == CHAPTERS


@pytest.mark.parametrize("file", CHAPTERS)
def test_a_card_shows_a_number_of_one_claim(file):
    card = CARDS[file]
    made = [names for sentence, names in sentences(file) if card["claim"] in sentence]
    assert len(made) == 1, f"{len(made)} claims with {card['claim']!r}"
    asked = {name for _, name, _, _ in string.Formatter().parse(card["number"]) if name}
    assert asked
    assert None in made[0] or asked <= made[0]
    assert card["number"].count("**") == 2
    assert len(card["says"]) < 80
    assert card["says"].endswith((".", "?"))


@pytest.mark.parametrize("scene", get_args(Scene))
def test_a_picture_is_small_and_its_own(scene):
    drawn = picture(scene)
    assert len(drawn) < 6_000
    assert drawn.count("<svg") == drawn.count("</svg>") == 1
    others = [picture(other) for other in get_args(Scene) if other != scene]
    assert drawn not in others


def test_pictures_share_the_lines_of_the_whole_model():
    assert 'id="frugal-card-all"' in shared()
    assert picture("whole").count("#frugal-card-all") == 2
    assert picture("kernels").count("#frugal-card-all") == 1


def test_a_number_is_filled_in_from_the_claim(tmp_path):
    claim = {"sentence": "It takes 0.33 of the time.", "values": {"share": 0.327}}
    cell = {"cell_type": "code", "outputs": [{"data": {MIME: claim}}, {"text": "else"}]}
    page = tmp_path / "page.ipynb"
    page.write_text(json.dumps({"cells": [cell, {"cell_type": "markdown"}]}))
    card = {"number": "**{share:.2f}** of the time", "claim": "of the time"}
    assert told(card, claims_of(page)) == ("**0.33** of the time", claim["sentence"])
    assert told({**card, "claim": "memory"}, claims_of(page)) is None


def test_minutes_are_those_of_the_words():
    words = "word " * 2000
    assert minutes(f"---\nlong: front\n---\n{words}") == 10
    assert minutes(f"{words}\n```python\n{words}\n```\n") == 10
    assert minutes(f"{words}\n## Exercises\n{words}") == 10
    assert minutes("A line.") == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one: {says: It.}", "card of one is"),
        ("one: words", "card of one is 'words'; it must have"),
        ("one: {says: a, scene: none, number: b, claim: c}", "scene of one is 'none'"),
    ],
)
def test_a_card_that_is_not_whole_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        read_cards(text)
