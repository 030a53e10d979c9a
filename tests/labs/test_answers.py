"""Right answers in many styles get every point, and answers that do nothing get none.

`answers/labNN-right.py` holds right answers, written from the text of the questions alone: a
section `# --- q3 einsum` is one answer to question 3, and what stands before the first section
belongs to every answer of the file.
"""

import ast
import linecache
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from otter.test_files.exception_test import ExceptionTestFile

from labtools.running import CaseResult, run_cases
from labtools.source import find_sources
from tests.labs.conftest import ROOT, built

FOLDER = Path(__file__).parent / "answers"
NAMES = [path.stem for path in find_sources(ROOT / "solutions" / "src")]
STYLES = 3  # right answers to each question, at least
_SECTION = re.compile(r"^# --- (q\d+) +(\S+)$", re.MULTILINE)

#: What a function may return that has done nothing.
NOTHING = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1.0,
    "an-empty-tensor": torch.empty(0),
    "a-single-zero": torch.zeros(()),
    "an-empty-tuple": (),
    "an-empty-list": [],
    "an-empty-dict": {},
    "two-nones": (None, None),
    "two-empty-tensors": (torch.empty(0), torch.empty(0)),
    "three-zeros": (0.0, 0.0, 0.0),
    "a-string": "",
}


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
    environment: dict[str, Any] = {"__name__": "__main__"}
    for cell in (*imports(answer.lab), answer.code):
        name = f"<{answer.id} {hash(cell)}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), environment)
    text = built(answer.lab).tests[answer.question]
    cases = ExceptionTestFile.from_string(text, path=answer.question).test_cases
    return run_cases(cases, environment)


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


@pytest.mark.parametrize("what", NOTHING)
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_does_nothing_gets_nothing(name: str, what: str) -> None:
    earned = []
    for question in (q for q in built(name).source.questions if not q.manual):
        functions = [
            node.name
            for node in ast.parse(question.solution).body
            if isinstance(node, ast.FunctionDef)
        ]
        code = [f"from {__name__} import NOTHING"]
        code += [f"def {function}(*_, **__): return NOTHING[{what!r}]" for function in functions]
        results = run_answer(Answer(name, question.name, what, "\n".join(code)))
        earned += [f"{question.name}: {case.property}" for case in results if case.passed]
    assert earned == []
