"""Grade a folder of notebooks: the control first, then each in a process of its own."""

import csv
import io
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from labtools.build import Lab
from labtools.files import write_whole
from labtools.pages import feedback_page
from labtools.process import Outcome, run_notebook
from labtools.running import CALL_SECONDS, CaseResult
from labtools.submissions import Submission, find_submissions, read_submission

TIMEOUT_SECONDS = 300.0

GRADED = "graded"
STOPPED = "stopped"  # the notebook ended its own process
TIMED_OUT = "time limit"
TAMPERED = "tampered"
NO_NOTEBOOK = "not a notebook"
UNKNOWN_LAB = "unknown lab"


class ControlFailed(Exception):
    """The solved notebook did not get full marks here, so no grade could be trusted."""


@dataclass
class Grade:
    """One row of the table, one page of feedback."""

    submission: str
    lab: str
    status: str
    possible: float
    results: dict[str, list[CaseResult]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cell_errors: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0

    def points_of(self, question: str) -> float:
        """The points of a question; none for a notebook that tampered with its grading."""
        if self.status == TAMPERED:
            return 0
        return sum(case.points for case in self.results.get(question, []) if case.passed)

    @property
    def points(self) -> float:
        return sum(self.points_of(question) for question in self.results)


def grade_folder(
    folder: Path,
    labs: Mapping[str, Lab],
    *,
    to: Path | None = None,
    only: str | None = None,
    jobs: int = 1,
    seconds: float = TIMEOUT_SECONDS,
    call_seconds: float = CALL_SECONDS,
    say: Callable[[str], None] = print,
) -> list[Grade]:
    """Grade every notebook below `folder`; write `grades.csv` and one page each into `to`.

    Args:
        labs: the built labs by name.
        to: where the results go, `folder/grades` if not given.
        only: grade everything as this lab; otherwise the lab is the one the notebook names.
        jobs: notebooks graded at the same time.
        seconds: the time one notebook may take.
        call_seconds: the time one call of a student's function may take.

    Raises:
        ValueError: if there is nothing to grade or no such lab.
        ControlFailed: if a lab's own solution does not get full marks. Nothing is written then.
    """
    if not folder.is_dir():
        raise ValueError(f"submissions must be a folder, got {folder}.")
    if only is not None and only not in labs:
        raise ValueError(f"lab must be one of {', '.join(labs)}, got {only!r}.")
    to = to or folder / "grades"
    paths = find_submissions(folder, skip=to)
    if not paths:
        raise ValueError(f"submissions must hold .ipynb or .zip files, found none in {folder}.")
    submissions = [read_submission(path, folder) for path in paths]
    limits = {"seconds": seconds, "call_seconds": call_seconds}
    for name in sorted({only or submission.lab for submission in submissions} & set(labs)):
        run_control(labs[name], say=say, **limits)

    def grade(submission: Submission) -> Grade:
        result = grade_submission(submission, labs.get(only or submission.lab), **limits)
        say(
            f"{result.submission}: {result.points:g} of {result.possible:g}, {result.status}, "
            f"{result.seconds:.1f} s"
        )
        return result

    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        grades = list(pool.map(grade, submissions))
    took = time.monotonic() - started
    for result in grades:
        page = to / f"{result.submission.replace('/', '__')}.html"
        write_whole(page, feedback_page(result))
    write_whole(to / "grades.csv", grades_table(grades))
    say(f"{len(grades)} graded in {took:.0f} s, {took / len(grades):.1f} s each. See {to}")
    return grades


def run_control(
    lab: Lab,
    *,
    seconds: float = TIMEOUT_SECONDS,
    call_seconds: float = CALL_SECONDS,
    say: Callable[[str], None] = print,
) -> None:
    """Grade the solved notebook. It must get everything.

    Without this a machine that lacks a package gives every student 0 and calls it graded.
    """
    cells = tuple(cell.source for cell in lab.solved.cells if cell.cell_type == "code")
    control = Submission(f"{lab.name} solved", lab.name, cells, lab.public_tests)
    grade = grade_submission(control, lab, seconds=seconds, call_seconds=call_seconds)
    if grade.status != GRADED or grade.points != grade.possible:
        lost = [
            f"{question}: {case.property}. {case.said}"
            for question, cases in grade.results.items()
            for case in cases
            if not case.passed
        ]
        why = "\n".join([*lost, *grade.notes, *(words for _, words in grade.cell_errors)])
        raise ControlFailed(
            f"Nothing was graded: the solution of {lab.name} itself gets {grade.points:g} of "
            f"{grade.possible:g} on this machine ({grade.status}).\n{why}"
        )
    say(f"control {lab.name}: {grade.points:g} of {grade.possible:g}, {grade.seconds:.1f} s")


def grade_submission(
    submission: Submission,
    lab: Lab | None,
    *,
    seconds: float = TIMEOUT_SECONDS,
    call_seconds: float = CALL_SECONDS,
) -> Grade:
    """Grade one notebook. Whatever its code does, this returns a grade."""
    possible = sum(question.points for question in lab.source.questions) if lab else 0
    name = lab.name if lab else submission.lab
    if submission.problem:
        return Grade(submission.name, name, NO_NOTEBOOK, possible, notes=[submission.problem])
    if lab is None:
        said = f"it names {submission.lab!r}" if submission.lab else "it names none"
        return Grade(
            submission.name,
            name,
            UNKNOWN_LAB,
            possible,
            notes=[f"The notebook does not say which lab it is ({said}); grade it with LAB=..."],
        )
    outcome = run_notebook(
        list(submission.cells), lab.tests, seconds=seconds, call_seconds=call_seconds
    )
    return Grade(
        submission=submission.name,
        lab=lab.name,
        status=_status(outcome),
        possible=possible,
        results={name: outcome.results.get(name, []) for name in lab.tests},
        notes=_notes(outcome, submission, lab, seconds),
        cell_errors=outcome.cell_errors,
        seconds=outcome.seconds,
    )


def _status(outcome: Outcome) -> str:
    if outcome.tampered:
        return TAMPERED
    if outcome.timed_out:
        return TIMED_OUT
    return GRADED if outcome.finished else STOPPED


def _notes(outcome: Outcome, submission: Submission, lab: Lab, seconds: float) -> list[str]:
    notes = []
    if outcome.tampered:
        notes.append(f"No points until someone has looked: {outcome.tampered}.")
    if outcome.timed_out and outcome.ready is None:
        notes.append("The process did not start in time: this machine is too busy.")
    elif outcome.timed_out:
        notes.append(f"The notebook did not end within {seconds:g} s.")
    elif not outcome.finished and not outcome.tampered:
        notes.append("The notebook ended its own process.")
    missing = [name for name in lab.tests if name not in outcome.results]
    if missing and (outcome.timed_out or not outcome.finished):
        notes.append(f"Not reached: {', '.join(missing)}.")
    edited = [
        name
        for name, tests in (submission.public_tests or {}).items()
        if tests != lab.public_tests.get(name)
    ]
    if edited:
        notes.append(
            f"The public tests of {', '.join(edited)} in the notebook are not the lab's; "
            "they were not used."
        )
    return notes


def grades_table(grades: list[Grade]) -> str:
    """The grades as CSV: a row a submission, a column a question."""
    questions = list(dict.fromkeys(name for grade in grades for name in grade.results))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["submission", "lab", "status", "points", "possible", "seconds", *questions, "notes"]
    )
    for grade in grades:
        of_questions = [f"{grade.points_of(name):g}" if grade.results else "" for name in questions]
        table.writerow(
            [
                grade.submission,
                grade.lab,
                grade.status,
                f"{grade.points:g}",
                f"{grade.possible:g}",
                f"{grade.seconds:.1f}",
                *of_questions,
                " ".join(grade.notes),
            ]
        )
    return text.getvalue()
