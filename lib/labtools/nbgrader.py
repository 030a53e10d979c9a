"""The same lab as the source notebook of nbgrader."""

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labtools.build import PROMPT, notebook_text
from labtools.files import write_whole
from labtools.report import points_in_words
from labtools.source import Case, LabSource, Part, parse_case
from labtools.values import course_salt

_BEGIN = re.compile(r"^([ \t]*)# BEGIN SOLUTION(?: NO PROMPT)?$", re.MULTILINE)
_HOW_TO_CHECK = "- The cells below an answer check it, in words, when you run them."
_END = re.compile(r"^([ \t]*)# END SOLUTION$", re.MULTILINE)


def export_nbgrader(source: LabSource, folder: Path) -> Path:
    """Write `folder/labNN/labNN.ipynb`, ready for `nbgrader generate_assignment labNN`."""
    path = folder / source.name / f"{source.name}.ipynb"
    write_whole(path, notebook_text(nbgrader_notebook(source)))
    return path


def nbgrader_notebook(source: LabSource) -> NotebookNode:
    """Solutions and hidden tests between nbgrader's marks, one graded cell a test case."""
    start = new_code_cell("import labtools\nfrom labtools.nbgrader_cells import run_test")
    cells = []
    numbers: dict[str, int] = {}
    for place in source.cells:
        if place.part is Part.MUTANT:
            continue
        if place.part is Part.SOLUTION and place.cell.cell_type == "code":
            cell = new_code_cell(_solution(place.cell.source))
            _mark(cell, _next(numbers, place.question, "answer"), solution=True)
        elif place.part is Part.SOLUTION:  # the model answer to an open question
            cell = new_markdown_cell(place.cell.source)
            points = {one.name: one.points for one in source.questions}[place.question]
            _mark(cell, f"{place.question}-open", solution=True, points=points)
        elif place.part is Part.TEST:
            case = parse_case(place)
            cell = new_code_cell(_test(place.question, case))
            _mark(cell, _next(numbers, place.question, "test"), points=case.points)
        else:
            cell = copy.deepcopy(place.cell)
            if cell.cell_type == "markdown":
                cell = new_markdown_cell(_without_check(cell.source))
        cells.append(cell)
    notebook = new_notebook(
        cells=[cells[0], start, *cells[1:]],
        metadata={
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
    )
    for index, cell in enumerate(notebook.cells):
        cell.id = f"{source.name}-{index:03d}"
    nbformat.validate(notebook)
    return notebook


def _next(numbers: dict[str, int], question: str, kind: str) -> str:
    key = f"{question}-{kind}"
    numbers[key] = numbers.get(key, 0) + 1
    return f"{key}-{numbers[key]}"


def _mark(
    cell: NotebookNode, grade_id: str, *, solution: bool = False, points: float | None = None
) -> None:
    metadata: dict[str, Any] = {
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": points is not None and not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        metadata["points"] = points
    cell.metadata["nbgrader"] = nbformat.from_dict(metadata)


def _solution(source: str) -> str:
    source = PROMPT.sub("", source)
    source = _BEGIN.sub(r"\1### BEGIN SOLUTION", source)
    return _END.sub(r"\1### END SOLUTION", source).rstrip()


def _without_check(text: str) -> str:
    """The text without the items that teach the grader's own calls: here a cell checks itself."""
    kept, told = [], False
    for item in re.split(r"(?m)^(?=- )", text):
        if not re.search(r"grader\.(?:check|show)\(|labtools\.score", item):
            kept.append(item)
        elif not told:
            told = True
            kept.append(f"{_HOW_TO_CHECK}{_rest(item)}")
    return "".join(kept)


def _rest(item: str) -> str:
    """What follows the item itself: an empty line and further text, or the next item."""
    _, gap, rest = item.partition("\n\n")
    return f"{gap}{rest}" if gap else "\n"


def _test(question: str, case: Case) -> str:
    code = case.code.strip()
    name = re.search(r"def (\w+)", code)[1]
    worth = points_in_words(case.points)
    if not case.hidden:
        call = f"run_test({name}, globals(), {case.failure_message!r})"
        return f"# a check of {question}, {worth}\n{code}\n\n\n{call}"
    salt = f", salt={course_salt()!r}" if course_salt() else ""
    call = f"run_test({name}, globals(), {case.failure_message!r}, hidden=True{salt})"
    return (
        f"# a hidden check of {question}, {worth}: it runs when your work is graded\n"
        f"### BEGIN HIDDEN TESTS\n{code}\n\n\n{call}\n### END HIDDEN TESTS"
    )
