"""Built labs and notebooks to hand in, made once and shared."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from labtools.build import Lab, build_lab, notebook_text
from labtools.process import Warm

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
        only: tuple[str, ...] = (),
    ) -> NotebookNode:
        """A notebook with `answers`, code by question, in place of its stubs or of the solutions.

        `pictures` keeps the cells that draw, which take a second or two. `before` is a cell right
        after the imports, `after` holds a cell by the question after whose check it comes, and
        `only` keeps the answers to some questions.
        """
        base = self.lab.solved if solved else self.lab.student
        notebook = nbformat.reads(notebook_text(base), as_version=4)
        names = iter(self.lab.tests)
        cells = []
        for cell in notebook.cells:
            if "answer" in cell.metadata.get("tags", []):
                name = next(names)
                cell.source = (answers or {}).get(name, cell.source)
                if only and name not in only:
                    continue
            if pictures or "labtools.look(" not in cell.source:
                cells.append(cell)
            if before and cell.cell_type == "code" and "\nimport torch\n" in cell.source:
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


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """One process that has imported what labs need, to be copied for each notebook."""
    with Warm() as process:
        yield process
