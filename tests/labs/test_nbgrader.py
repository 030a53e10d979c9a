"""nbgrader grades the exported lab: the solution gets all, the handed-out notebook nothing."""

import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from labtools.build import Lab
from labtools.nbgrader import export_nbgrader, nbgrader_notebook


@pytest.fixture(scope="module")
def _alembic_on_the_path() -> Iterator[None]:
    """nbgrader calls `alembic` by name, also when its environment is not activated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.fixture(scope="module")
def course(lab: Lab, tmp_path_factory, _alembic_on_the_path: None) -> Path:
    """A course in which one of two students handed in the solution, the other nothing new."""
    root = tmp_path_factory.mktemp("course")
    export_nbgrader(lab.source, root / "source")
    source = root / "source" / "lab01" / "lab01.ipynb"
    shorter = source.read_text().replace("text.topics(), 1200, 60", "text.topics(), 60, 3")
    assert shorter != source.read_text()
    source.write_text(shorter)  # nothing that is graded depends on what was learned
    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db"
    config.ExecutePreprocessor.timeout = 240
    config.NbGrader.logfile = ""
    api = NbGraderAPI(config=config)
    made = api.generate_assignment("lab01", force=True)
    assert made["success"], made["log"]
    released = root / "release" / "lab01" / "lab01.ipynb"
    for student, notebook in (
        ("blank", released.read_text()),
        ("solved", source.read_text()),
    ):
        path = root / "submitted" / student / "lab01" / "lab01.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(notebook)
        graded = api.autograde("lab01", student, force=True)
        assert graded["success"], graded["log"]
    return root


def test_scores(course: Path, lab: Lab) -> None:
    possible = sum(question.points for question in lab.source.questions)
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        scores = {
            submission.student.id: (submission.score, submission.max_score)
            for submission in gradebook.assignment_submissions("lab01")
        }
    tested = sum(question.points for question in lab.source.questions if not question.manual)
    assert scores == {
        "solved": (tested, possible),
        "blank": (0, possible),
    }  # a person adds the rest


def test_release_holds_no_solution_and_no_hidden_test(course: Path, lab: Lab) -> None:
    released = nbformat.read(course / "release/lab01/lab01.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in released.cells)
    assert "HIDDEN" not in text
    assert "BEGIN SOLUTION" not in text
    assert "MUTANT" not in text
    assert text.count("# YOUR CODE HERE") >= len(lab.tests)
    for question in lab.source.questions:
        if question.manual:  # an answer in words
            continue
        assert re.search(r"^def .*$", question.solution, re.MULTILINE)[0] in text
        for case in question.cases:
            name = re.search(r"def (\w+)", case.code)[1]
            assert (name in text) is not case.hidden


def test_every_point_has_a_cell(lab: Lab) -> None:
    cells = [
        cell.metadata.nbgrader
        for cell in nbgrader_notebook(lab.source).cells
        if "nbgrader" in cell.metadata
    ]
    ids = [cell.grade_id for cell in cells]
    assert len(set(ids)) == len(ids)
    for question in lab.source.questions:
        points = [
            cell.points
            for cell in cells
            if cell.grade and cell.grade_id.startswith(f"{question.name}-")
        ]
        assert sum(points) == question.points
        assert len(points) == (len(question.cases) or 1)
