"""Every chapter draws its architecture, and the drawing leads to the sections that build it."""

import ast
import re
from functools import cache
from pathlib import PurePosixPath

import jupytext
import pytest
from docutils.nodes import make_id

from frugal.show.plans import Plan, anchor, plan
from tests.book.pages import CHAPTERS, LISTED, ROOT, prose, source

OWN_PARTS, OWN_PAGES = 2, {"chapters/1-foundations/the-vanilla-transformer": 8}


@cache
def plans_of(file: str) -> list[Plan]:
    """The plans that a chapter draws, made from its own cells."""
    found = []
    for cell in jupytext.read(ROOT / f"{file}.md").cells:
        if cell.cell_type != "code" or "plan(\n" not in cell.source:
            continue
        names = {"plan": plan}
        for statement in ast.parse(cell.source).body:
            drawn = isinstance(statement, ast.Expr) and ast.unparse(statement).startswith("plan(")
            if drawn:
                found.append(eval(ast.unparse(statement), names))
            elif isinstance(statement, ast.Assign) and not isinstance(statement.value, ast.Call):
                exec(ast.unparse(statement), names)
    return found


@cache
def headings(file: str) -> list[str]:
    return re.findall(r"(?m)^#{1,4} (.+)$", prose(file))


def target(file: str, page: str) -> str:
    """The source of the page that a part of `file` leads to."""
    parts: list[str] = []
    for part in (PurePosixPath(file).parent / page).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts) if page else file


@pytest.mark.parametrize("file", CHAPTERS)
def test_a_chapter_draws_one_architecture_that_leads_to_what_builds_it(file):
    drawn = plans_of(file)
    assert len(drawn) == 1
    parts = [part for part in drawn[0].parts() if part.section]
    own = [part for part in parts if not part.page]
    assert len(own) >= OWN_PAGES.get(file, 1 if file.endswith("where-the-cost-is") else OWN_PARTS)
    for part in parts:
        page = target(file, part.page)
        assert page in LISTED, part
        assert headings(page).count(part.section) == 1, f"{page} has not one {part.section!r}"
        same = [one for one in headings(page) if anchor(one) == anchor(part.section)]
        assert same == [part.section]


@pytest.mark.parametrize("file", CHAPTERS)
def test_what_is_new_leads_somewhere(file):
    """Of the parts that a method changes, most say which section builds them."""
    new = [part for one in plans_of(file) for part in one.parts() if part.new]
    assert 2 * sum(bool(part.section) for part in new) >= len(new)


@pytest.mark.parametrize("file", LISTED)
def test_addresses_are_those_that_the_build_gives(file):
    for heading in headings(file):
        if not re.search(r"[`{$*\[]", heading):
            assert anchor(heading) == make_id(heading.replace("'", "’"))


def test_no_page_speaks_of_a_place_without_a_section():
    """A place is "page#Heading": an @ alone would be lost without a word."""
    for file in LISTED:
        if "plan(\n" in source(file):
            for one in plans_of(file):
                assert not [part for part in one.parts() if "@" in part.words + part.shape]
