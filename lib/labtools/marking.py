"""Grade one notebook."""

import math
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from labtools.build import Lab
from labtools.grades import GRADED, NO_NOTEBOOK, STOPPED, TIMED_OUT, UNKNOWN_LAB, Grade
from labtools.limits import GIGABYTE, Limits
from labtools.people import Roster
from labtools.process import Outcome, Warm, run_notebook
from labtools.running import CALL_SECONDS
from labtools.submissions import Submission
from labtools.values import course_salt

TIMEOUT_SECONDS = 300.0
_DRAWS = re.compile(r"^with labtools\.look\(", re.MULTILINE)


class ControlFailed(Exception):
    """The solved notebook did not get full marks here, so no grade can be trusted."""


@dataclass(frozen=True)
class Desk:
    """How a batch is graded.

    `seconds` is the time of one notebook on the clock, `call_seconds` what one tested call may
    compute. `accepted` names submissions whose flags a teacher has looked at. `deadline` is in
    seconds since 1970; `hide_hidden` leaves hidden tests out of the pages of feedback.

    Raises ValueError for no jobs, or no time.
    """

    jobs: int = 1
    seconds: float = TIMEOUT_SECONDS
    call_seconds: float = CALL_SECONDS
    limits: Limits = field(default_factory=Limits)
    salt: str = field(default_factory=course_salt)
    roster: Roster | None = None
    deadline: float | None = None
    accepted: tuple[str, ...] = ()
    hide_hidden: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}; it must be 1 or more.")
        for name in ("seconds", "call_seconds"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                raise ValueError(f"{name} is {value:g}; it must be above 0, and a number.")


def run_control(
    lab: Lab,
    desk: Desk | None = None,
    *,
    say: Callable[[str], None] = print,
    warm: Warm | None = None,
    again: bool = False,
) -> None:
    """Grade the solved notebook. It must get everything, before the batch and after it.

    Without this a machine that lacks a package gives every student 0 and calls it graded.
    """
    cells = tuple(cell.source for cell in lab.solved.cells if cell.cell_type == "code")
    control = Submission(f"{lab.name} solved", lab.name, cells, lab.public_tests)
    grade = grade_submission(control, lab, desk, warm=warm)
    if grade.status != GRADED or grade.points != grade.possible:
        lost = [
            f"{question}: {case.property}. {case.said}"
            for question, cases in grade.results.items()
            for case in cases
            if not case.passed
        ]
        why = "\n".join([*lost, *grade.notes, *(words for _, words in grade.cell_errors)])
        gets = f"gets {grade.points:g} of {grade.possible:g} on this machine ({grade.status})"
        raise ControlFailed(
            f"The grades are not to be trusted: after the batch the solution of {lab.name} {gets}, "
            f"so a submission has changed this machine. Install again and grade again.\n{why}"
            if again
            else f"Nothing was graded: the solution of {lab.name} itself {gets}.\n{why}"
        )
    what = "control, once more," if again else "control"
    say(f"{what} {lab.name}: {grade.points:g} of {grade.possible:g}, {grade.seconds:.1f} s")


def grade_submission(
    submission: Submission,
    lab: Lab | None,
    desk: Desk | None = None,
    *,
    warm: Warm | None = None,
) -> Grade:
    """Grade one notebook. Whatever its code does, this returns a grade."""
    desk = desk or Desk()
    grade = empty_grade(submission, lab)
    if grade.status != GRADED:
        return grade
    cells = [source for source in submission.cells if not only_draws(source, lab)]
    outcome = run_notebook(
        cells,
        lab.tests,
        seconds=desk.seconds,
        call_seconds=desk.call_seconds,
        limits=desk.limits,
        salt=desk.salt,
        warm=warm,
    )
    grade.status = _status(outcome)
    grade.results = {name: outcome.results.get(name, []) for name in lab.tests}
    grade.flags = list(outcome.tampered)
    grade.notes = _notes(outcome, submission, lab, desk)
    grade.cell_errors = [(_which(cells, index), words) for index, words in outcome.cell_errors]
    grade.seconds, grade.cpu_seconds = outcome.seconds, outcome.cpu_seconds
    return grade


def empty_grade(submission: Submission, lab: Lab | None) -> Grade:
    """A row before anything ran: GRADED if it can be."""
    grade = Grade(submission.name, lab.name if lab else submission.lab, GRADED, 0)
    grade.page, grade.when = submission.page, submission.when or None
    if lab is not None:
        questions = lab.source.questions
        grade.questions = {one.name: one.points for one in questions if not one.manual}
        grade.open_points = {one.name: one.points for one in questions if one.manual}
        grade.rubrics = {one.name: rubric_of(one.text) for one in questions if one.manual}
        grade.open_answers = submission.open_answers
        grade.possible = sum(grade.questions.values())
    if submission.problem:
        grade.status, grade.notes = NO_NOTEBOOK, [submission.problem]
    elif lab is None:
        said = f"it names {submission.lab!r}" if submission.lab else "it names none"
        grade.status = UNKNOWN_LAB
        grade.notes = [f"The notebook does not say which lab it is ({said}); grade it with LAB=..."]
    return grade


def rubric_of(text: str) -> str:
    """The lines of an open question's rubric."""
    return "\n".join(re.findall(r"^- \d+(?:\.\d+)? points?: .*(?:\n  .*)*", text, re.MULTILINE))


def only_draws(source: str, lab: Lab) -> bool:
    """Whether a cell draws what an answer computes, as it was handed out: nothing to grade."""
    return bool(_DRAWS.search(source)) and any(source == cell.source for cell in lab.student.cells)


def _which(cells: Sequence[str], index: int) -> str:
    """How a student finds a cell: by the check below it, or by its first line."""
    below = cells[index + 1] if index + 1 < len(cells) else ""
    if check := re.match(r"\w+\.check\([\"'](\w+)[\"']\)", below):
        return f"the cell above the check of {check[1]}"
    first = next((line.strip() for line in cells[index].splitlines() if line.strip()), "")
    return f"the cell that begins with `{first[:80]}`"


def _status(outcome: Outcome) -> str:
    if outcome.timed_out:
        return TIMED_OUT
    return GRADED if outcome.finished else STOPPED


def _notes(outcome: Outcome, submission: Submission, lab: Lab, desk: Desk) -> list[str]:
    notes = []
    if outcome.timed_out and outcome.ready is None:
        notes.append("The process did not start in time: this machine is too busy.")
    elif outcome.timed_out:
        notes.append(f"The notebook did not end within {desk.seconds:g} s.")
    elif not outcome.finished:
        notes.append(how_it_ended(outcome, desk.limits))
    missing = [name for name in lab.tests if name not in outcome.results]
    if missing and (outcome.timed_out or not outcome.finished):
        during = f" It was at {outcome.began}." if outcome.began in missing else ""
        notes.append(f"Not reached: {', '.join(missing)}.{during}")
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
    if outcome.replaced:
        notes.append(f"Tests used {_listed(outcome.replaced)} as installed.")
    return notes


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def how_it_ended(outcome: Outcome, limits: Limits) -> str:
    """Why a process ended before its time, as far as one can know."""
    if outcome.crash:
        return f"The grader itself failed here ({outcome.crash}): please report it."
    if outcome.exit_code is None:
        return "The notebook ended the process that runs it."
    if outcome.exit_code >= 0:
        return "The notebook ended its own process."
    name = "an unknown signal"
    with suppress(ValueError):
        name = signal.Signals(-outcome.exit_code).name
    memory = f"{limits.memory / GIGABYTE:g} GB"
    perhaps = {
        "SIGKILL": f", perhaps because it ran out of memory (it may use {memory})",
        "SIGSEGV": ": compiled code read memory that is not its own",
        "SIGABRT": ": compiled code gave up",
        "SIGXFSZ": ": it wrote too large a file",
    }
    return f"The notebook's process was ended by {name}{perhaps.get(name, '')}."
