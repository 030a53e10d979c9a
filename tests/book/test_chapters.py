"""Every chapter is listed, cites what exists, and keeps to the form."""

import ast
import re
from itertools import pairwise

import jupytext
import pytest
from pybtex.database import parse_file

from tests.book.pages import CHAPTERS, LISTED, ROOT, section, source

KEYS = set(parse_file(str(ROOT / "references.bib")).entries)

BEATS = [
    "See",
    "The bill",
    "The idea",
    "Build",
    "Speed",
    "Learn",
    "What the paper found, what we saw",
]
CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


def unrecorded(file: str) -> set[str]:
    """The results that a chapter reads and that are not recorded yet."""
    read = re.findall(r"results\.load\(\"(\w+)\"", source(file))
    return {name for name in read if not (ROOT / f"experiments/results/{name}.json").exists()}


def test_every_page_is_listed_once():
    """A chapter joins the book when its experiments are recorded, and then it must."""
    there = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in (ROOT / "chapters").rglob("*.md")
    }
    assert {file for file in there if not unrecorded(file)} == set(LISTED)
    assert len(LISTED) == len(set(LISTED))


@pytest.mark.parametrize("file", CHAPTERS)
def test_a_chapter_has_the_seven_beats_in_order(file):
    """Each heading says its beat, and most say their subject after a colon."""
    headings = re.findall(r"^## (.+)$", source(file), flags=re.MULTILINE)
    beats = [heading.partition(":")[0] for heading in headings]
    assert [beat for beat in beats if beat in BEATS] == BEATS
    told = [h for h in headings if h.partition(":")[0] in BEATS and h.partition(": ")[2]]
    assert len(told) >= 5, headings


@pytest.mark.parametrize("file", [*LISTED, "index"])
def test_every_claim_has_a_check_that_can_be_pushed(file):
    """What the pushes say is known once a page has run: `python -m booktools claims`."""
    for cell in jupytext.read(ROOT / f"{file}.md").cells:
        if cell.cell_type != "code" or cell.source.startswith("%%"):  # jupytext's word for a shell
            continue
        for call in filter(
            lambda node: isinstance(node, ast.Call), ast.walk(ast.parse(cell.source))
        ):
            if isinstance(call.func, ast.Name) and call.func.id == "claim":
                assert isinstance(call.args[1], ast.Lambda), ast.unparse(call)


@pytest.mark.parametrize("file", CHAPTERS)
def test_a_chapter_judges_its_papers(file):
    text = source(file)
    assert len(re.findall(r"^verdicts\(|= verdicts\(", text, flags=re.MULTILINE)) == 1
    assert len(re.findall(r"\bverdict\(|\buntested\(", text)) >= 4


@pytest.mark.parametrize("file", CHAPTERS)
def test_what_practice_uses_today_is_cited(file):
    groups = CITED.findall(section(file, "What practice uses today"))
    assert len({key.strip() for group in groups for key in group.split(",")}) >= 3


@pytest.mark.parametrize("file", CHAPTERS)
def test_a_chapter_ends_with_three_sentences_to_remember(file):
    lines = section(file, "To remember").strip().splitlines()
    items = [line for line in lines if re.match(r"(\d\.|[-*]) ", line)]
    assert len(items) == 3, lines


@pytest.mark.parametrize("file", CHAPTERS)
def test_a_chapter_claims_and_has_exercises_with_solutions(file):
    text = source(file)
    assert text.count("claim(") >= 3
    assert "## Exercises" in text
    assert text.count("```{dropdown} Solution") >= 3


@pytest.mark.parametrize("file", CHAPTERS)
def test_shown_cells_are_short(file):
    """At most 16 lines of code; 3 to 15 is the aim, and an import or two may come on top."""
    for cell in jupytext.read(ROOT / f"{file}.md").cells:
        hidden = {"hide-input", "remove-input"} & set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and not hidden:
            assert len(list(filter(str.strip, cell.source.splitlines()))) <= 16, cell.source


@pytest.mark.parametrize("file", CHAPTERS)
def test_every_section_opens_with_words(file):
    cells = jupytext.read(ROOT / f"{file}.md").cells
    for before, cell in pairwise(cells):
        ends_in_heading = before.source.rstrip().splitlines()[-1:] and re.match(
            r"#+ ", before.source.rstrip().splitlines()[-1]
        )
        assert not (cell.cell_type == "code" and ends_in_heading), before.source


@pytest.mark.parametrize("file", [*LISTED, "index"])
def test_citations_exist(file):
    keys = {key.strip() for group in CITED.findall(source(file)) for key in group.split(",")}
    assert keys <= KEYS


def test_docstrings_cite_keys_that_exist():
    """A word like vaswani2017attention in the library names an entry of references.bib."""
    pattern = re.compile(r"\b[a-z]+(?:19|20)\d\d[a-z]+\b")
    for path in (ROOT / "lib/frugal").rglob("*.py"):
        unknown = set(pattern.findall(path.read_text())) - KEYS
        assert not unknown, f"{path.relative_to(ROOT)} cites {unknown}"


@pytest.mark.parametrize("file", CHAPTERS)
def test_recorded_results_are_there_and_whole(file):
    from frugal import results

    for name in re.findall(r"results\.load\(\"(\w+)\"", source(file)):
        recorded = results.load(name)
        assert recorded.provenance


def test_a_page_that_shows_a_gpu_is_made_again_with_its_numbers():
    """The build looks for the names of recorded results in a page's text."""
    from booktools.dependencies import dependencies

    for file in LISTED:
        shown = {"gpu_speed"} if "GpuSpeed(" in source(file) else set()
        if "GpuAnswers(" in source(file):
            shown |= {"gpu_correctness", "gpu_speed", "gpu_compile", "gpu_training"}
        found = {path.stem for path in dependencies(ROOT / f"{file}.md", ROOT)}
        assert shown <= found, file
