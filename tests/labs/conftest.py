"""Built labs and notebooks to hand in, made once and shared."""

from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from labtools.build import Lab, build_lab, notebook_text

ROOT = Path(__file__).resolve().parents[2]


@cache
def built(name: str) -> Lab:
    """The lab of that name, built once."""
    return build_lab(ROOT / "solutions" / "src" / f"{name}.md")


@pytest.fixture(scope="session")
def lab() -> Lab:
    return built("lab01")


class Student:
    """Makes notebooks that a student might hand in."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def notebook(
        self,
        answers: dict[str, str] | None = None,
        *,
        solved: bool = False,
        pictures: bool = False,
        before: str = "",
        after: dict[str, str] | None = None,
    ) -> NotebookNode:
        """A notebook with `answers` in place of its stubs, or of the solutions.

        Args:
            answers: code by question.
            pictures: keep the cells that draw, which take a second or two.
            before: a cell right after the first one.
            after: a cell by the question after whose check it comes.
        """
        base = self.lab.solved if solved else self.lab.student
        notebook = nbformat.reads(notebook_text(base), as_version=4)
        names = iter(self.lab.tests)
        cells = []
        for cell in notebook.cells:
            if "answer" in cell.metadata.get("tags", []):
                name = next(names)
                cell.source = (answers or {}).get(name, cell.source)
            if pictures or "labtools.look(" not in cell.source:
                cells.append(cell)
            if before and "labtools.Grader(" in cell.source:
                cells.append(new_code_cell(before))
            for question, code in (after or {}).items():
                if cell.source == f'grader.check("{question}")':
                    cells.append(new_code_cell(code))
        notebook.cells = cells
        return notebook

    def solution(self, question: str) -> str:
        """The code of the solution of `question`."""
        answers = [
            cell.source
            for cell in self.lab.solved.cells
            if "answer" in cell.metadata.get("tags", [])
        ]
        return dict(zip(self.lab.tests, answers, strict=True))[question]


@pytest.fixture(scope="session")
def student(lab: Lab) -> Student:
    return Student(lab)
