"""Right answers in many styles get every point.

`answers/labNN-right.py` holds right answers, written from the text of the questions alone: a
section `# --- q3 einsum` is one answer to question 3, and what stands before the first section
belongs to every answer of the file.
"""

import linecache
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from otter.test_files.exception_test import ExceptionTestFile

from labtools.nothing import NOTHING, try_nothing
from labtools.running import CaseResult, run_cases
from labtools.source import find_sources
from labtools.verify import answered_names
from tests.labs.conftest import ROOT, built

FOLDER = Path(__file__).parent / "answers"
NAMES = [path.stem for path in find_sources(ROOT / "solutions" / "src")]
STYLES = 3  # right answers to each question, at least
_SECTION = re.compile(r"^# --- (q\d+) +(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """An answer to one question of a lab."""

    lab: str
    question: str
    name: str
    code: str

    @property
    def id(self) -> str:
        return f"{self.lab}-{self.question}-{self.name}"


def answers_in(path: Path) -> list[Answer]:
    """The answers of a file, a section each."""
    shared, *parts = _SECTION.split(path.read_text(encoding="utf-8"))
    lab = path.stem.partition("-")[0]
    sections = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return [Answer(lab, question, name, shared + code) for question, name, code in sections]


@cache
def imports(lab: str) -> tuple[str, ...]:
    """The cells that import, which a student's notebook runs before any answer."""
    return tuple(
        cell.source
        for cell in built(lab).student.cells
        if cell.cell_type == "code"
        and cell.source.startswith(("import", "from"))
        and "labtools." not in cell.source  # the build, at the end, wants the answers
    )


def run_answer(answer: Answer) -> list[CaseResult]:
    """The public and the hidden tests of the question, run on the answer."""
    environment = prepared(answer.lab)
    run_cell(answer.code, environment, f"<{answer.id} {hash(answer.code)}>")
    return run_tests(answer.lab, answer.question, environment)


def prepared(lab: str) -> dict[str, Any]:
    """The namespace of a notebook whose imports have run."""
    environment: dict[str, Any] = {"__name__": "__main__"}
    for cell in imports(lab):
        run_cell(cell, environment, f"<{lab} {hash(cell)}>")
    return environment


def run_cell(cell: str, environment: dict[str, Any], name: str) -> None:
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    exec(compile(cell, name, "exec"), environment)


def run_tests(lab: str, question: str, environment: dict[str, Any]) -> list[CaseResult]:
    text = built(lab).tests[question]
    return run_cases(ExceptionTestFile.from_string(text, path=question).test_cases, environment)


RIGHT = [answer for path in sorted(FOLDER.glob("*-right.py")) for answer in answers_in(path)]


@pytest.mark.parametrize("answer", RIGHT, ids=lambda answer: answer.id)
def test_a_right_answer_gets_every_point(answer: Answer) -> None:
    missed = [case for case in run_answer(answer) if not case.passed]
    assert [f"{case.property}: {case.said}" for case in missed] == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*-right.py")), ids=lambda path: path.stem)
def test_every_question_has_right_answers_in_some_styles(path: Path) -> None:
    answers = answers_in(path)
    names = [answer.id for answer in answers]
    assert len(set(names)) == len(names)
    for question in built(answers[0].lab).tests:
        styles = sum(answer.question == question for answer in answers)
        assert styles >= STYLES, f"{path.name} has {styles} answers to {question}"


@pytest.mark.parametrize("name", NAMES)
def test_every_question_has_a_function_that_could_do_nothing(name: str) -> None:
    """That it earns nothing then is tried beside the solution and its mutants, in `test_build`."""
    functions = answered_names(built(name))
    assert functions.keys() == built(name).tests.keys()
    assert [question for question, named in functions.items() if not named] == []


def test_every_kind_of_nothing_is_tried_on_every_function() -> None:
    tried = dict(try_nothing(["f", "g"], lambda env: [env["f"](1, x=2), env["g"]()], {}))
    assert list(tried) == list(NOTHING)
    assert len(NOTHING) >= 14
    assert tried["True"] == [True, True]
    one, other = tried["an empty list"]
    assert one == other == []
    assert one is not other, "made anew, or an answer that fills it would give it to the next"
