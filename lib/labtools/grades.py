"""What came of a submission, and the table of all."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labtools.running import CaseResult

GRADED = "graded"
STOPPED = "stopped"  # the notebook ended its own process, or was killed
TIMED_OUT = "time limit"
NO_NOTEBOOK = "not a notebook"
UNKNOWN_LAB = "unknown lab"
EARLIER = "earlier attempt"  # a later one of the same student was graded
MISSING = "not handed in"  # a student of the roster without a submission

#: Excel and the learning platforms take a table for UTF-8 only if it begins with this mark.
BYTE_ORDER_MARK = "\ufeff"


@dataclass
class Grade:
    """One row of the table, one page of feedback.

    `flags` are what was seen of a notebook that changed what grades it, a sentence each. They take
    no point away: a teacher looks, and accepts.
    """

    submission: str
    lab: str
    status: str
    possible: float
    results: dict[str, list[CaseResult]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cell_errors: list[tuple[str, str]] = field(default_factory=list)  # which cell, and the words
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    flags: list[str] = field(default_factory=list)
    accepted: bool = False
    questions: dict[str, float] = field(default_factory=dict)  # what each is worth
    open_points: dict[str, float] = field(default_factory=dict)  # questions that a person grades
    open_answers: dict[str, str] = field(default_factory=dict)
    rubrics: dict[str, str] = field(default_factory=dict)
    page: str = ""
    platform: str = ""  # the learning platform, and the id of the student there
    platform_id: str = ""
    student_id: str = ""
    student_name: str = ""
    when: float | None = None  # seconds since 1970
    days_late: int | None = None

    def points_of(self, question: str) -> float:
        """The points of a question."""
        return sum(case.points for case in self.results.get(question, []) if case.passed)

    @property
    def points(self) -> float:
        return sum(self.points_of(question) for question in self.results)

    @property
    def ran(self) -> bool:
        """Whether there are points to speak of, 0 among them."""
        return self.status in (GRADED, STOPPED, TIMED_OUT)

    @property
    def flag(self) -> str:
        """What a teacher should look at; nothing once it was accepted."""
        if not self.flags:
            return ""
        return "accepted" if self.accepted else "; ".join(self.flags)


def grades_table(grades: Sequence[Grade]) -> str:
    """The grades as CSV: a row a submission, a column a question with what it is worth.

    A lab without that question leaves the column empty, as does a file that could not be graded.
    """
    questions = list(dict.fromkeys(name for grade in grades for name in grade.questions))
    by_hand = list(dict.fromkeys(name for grade in grades for name in grade.open_points))
    header = ["submission", "id", "name", "lab", "status", "flag", "points", "possible"]
    header += [f"{name} ({_worth(grades, name)})" for name in questions]
    header += [f"{name} by hand" for name in by_hand]
    header += ["handed in", "days late", "seconds", "page", "notes"]
    rows = [
        [
            grade.submission,
            grade.student_id,
            grade.student_name,
            grade.lab,
            grade.status,
            grade.flag,
            f"{grade.points:g}" if grade.ran else "",
            f"{grade.possible:g}" if grade.possible else "",
            *(
                f"{grade.points_of(name):g}" if grade.ran and name in grade.questions else ""
                for name in questions
            ),
            *("" for _ in by_hand),
            in_words(grade.when),
            "" if grade.days_late is None else grade.days_late,
            f"{grade.seconds:.1f}" if grade.ran else "",
            grade.page,
            " ".join(grade.notes),
        ]
        for grade in grades
    ]
    return table([header, *([_harmless(value) for value in row] for row in rows)])


def in_words(when: float | None) -> str:
    """A time as a teacher and a spreadsheet read it; nothing for one that no calendar has."""
    try:
        return "" if when is None else f"{datetime.fromtimestamp(when):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return ""


def table(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """No formula for a spreadsheet, whatever a file is called."""
    is_formula = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if is_formula else value


def _worth(grades: Sequence[Grade], question: str) -> str:
    """What a question is worth, in each lab where they differ."""
    points = {grade.questions[question] for grade in grades if question in grade.questions}
    return " or ".join(f"{value:g}" for value in sorted(points))
