"""Grade a made-up class, to see on your own machine how long a real one takes."""

import copy
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from labtools.build import Lab
from labtools.grade import grade_folder
from labtools.marking import Desk

RIGHT, WRONG = 0.6, 0.25  # of the answers; the rest is not written


@dataclass(frozen=True)
class Rehearsal:
    """What it took to grade `students` notebooks with `jobs` at a time."""

    lab: str
    students: int
    jobs: int
    seconds: float  # on the clock
    cpu_seconds: float  # of all processes
    statuses: tuple[str, ...]

    def __str__(self) -> str:
        each = f"{self.seconds / self.students:.1f} s and {self.cpu_seconds / self.students:.1f}"
        return (
            f"{self.students} notebooks of {self.lab} with {self.jobs} jobs: {self.seconds:.0f} s "
            f"on the clock, {self.cpu_seconds:.0f} s of computing ({each} each). With "
            f"{self.jobs} cores to itself it takes at least {self.cpu_seconds / self.jobs:.0f} s."
        )


def rehearse(
    lab: Lab, *, students: int = 60, jobs: int = 2, say: Callable[[str], None] = print
) -> Rehearsal:
    """Grade `students` notebooks of which no two are alike; the controls count as well."""
    with tempfile.TemporaryDirectory(prefix="labtools-class-") as folder:
        for number in range(students):
            notebook = made_up(lab, number)
            path = Path(folder, f"student{number:02d}_{1000 + number}_{number}_{lab.name}.ipynb")
            path.write_text(json.dumps(notebook), encoding="utf-8")
        started, computed = time.monotonic(), _computed()
        grades = grade_folder(Path(folder), {lab.name: lab}, desk=Desk(jobs=jobs), say=say)
        seconds, cpu_seconds = time.monotonic() - started, _computed() - computed
    statuses = tuple(grade.status for grade in grades)
    return Rehearsal(lab.name, students, jobs, seconds, cpu_seconds, statuses)


def made_up(lab: Lab, number: int) -> NotebookNode:
    """A notebook whose answers are right, wrong in a known way, or not written."""
    draw = random.Random(number)
    notebook = copy.deepcopy(lab.student)
    solutions = _answers(lab.solved)
    for name, cell, solution in zip(lab.tests, _answers(notebook), solutions, strict=True):
        wrong = [mutant.code for mutant in lab.source.mutants if mutant.question == name]
        kind = draw.random()
        if kind < RIGHT:
            cell.source = solution.source
        elif kind < RIGHT + WRONG:
            cell.source = draw.choice(wrong)
    return notebook


def _answers(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if "answer" in cell.metadata.get("tags", [])]


def _computed() -> float:
    """Seconds of computing of this process and of all that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
