"""The page of a whole class: what to look at, how each question went, who handed in what."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import fmean

from labtools.grades import MISSING, Grade
from labtools.pages import fill

Pair = tuple[str, str, list[str]]


@dataclass(frozen=True)
class Overview:
    """What the page tells beside the grades themselves."""

    grades: Sequence[Grade]
    same_code: Sequence[Pair] = ()
    unknown: Sequence[str] = field(default=())  # files of nobody on the roster


def overview_page(overview: Overview) -> str:
    """The page as HTML that needs nothing but the pages it links to."""
    grades = overview.grades
    counts = Counter(grade.status for grade in grades)
    labs = sorted({grade.lab for grade in grades if grade.ran})
    flagged = [grade for grade in grades if grade.flags]
    sections = [
        _section("To look at", _rows("Submission", "What was seen", rows=map(_flagged, flagged))),
        *(_section(f"{lab}, question by question", _questions(grades, lab)) for lab in labs),
        _section(
            "The same code", _rows("One", "Other", "Questions", rows=map(_pair, overview.same_code))
        ),
        _section(
            "Not on the roster", _rows("File", rows=([escape(name)] for name in overview.unknown))
        ),
        _section(
            "All",
            _rows(
                "Student",
                "Submission",
                "Lab",
                "Status",
                "Points",
                "Days late",
                rows=map(_grade, grades),
            ),
        ),
    ]
    return fill(
        "overview.html",
        summary=escape(", ".join(f"{number} {status}" for status, number in counts.items())),
        sections="".join(sections),
    )


def _questions(grades: Sequence[Grade], lab: str) -> str:
    ran = [grade for grade in grades if grade.lab == lab and grade.ran]
    return _rows(
        "Question",
        "Mean",
        "All points",
        "Not written",
        "Public only",
        "Failed most often",
        rows=(_statistics(ran, question, worth) for question, worth in ran[0].questions.items()),
    )


def _statistics(grades: Sequence[Grade], question: str, worth: float) -> list[str]:
    """How a question went: a test that nearly everybody fails may be the test's fault."""
    cases = [grade.results.get(question, []) for grade in grades]
    full = sum(bool(results) and all(case.passed for case in results) for results in cases)
    unwritten = sum(all(case.unwritten for case in results) for results in cases)
    public_only = sum(
        any(case.hidden and not case.passed for case in results)
        and all(case.passed for case in results if not case.hidden)
        for results in cases
    )
    failed = Counter(
        case.property
        for results in cases
        for case in results
        if not case.passed and not case.unwritten
    )
    most = "; ".join(f"{name} ({number})" for name, number in failed.most_common(1))
    mean = fmean(grade.points_of(question) for grade in grades)
    return [
        escape(question),
        f"{mean:.2f} of {worth:g}",
        f"{full} of {len(grades)}",
        str(unwritten),
        str(public_only),
        escape(most),
    ]


def _flagged(grade: Grade) -> list[str]:
    seen = escape("; ".join(grade.flags)) + (" (accepted)" if grade.accepted else "")
    return [_link(grade), seen]


def _pair(pair: Pair) -> list[str]:
    one, other, questions = pair
    return [escape(one), escape(other), escape(", ".join(questions))]


def _grade(grade: Grade) -> list[str]:
    points = f"{grade.points:g} of {grade.possible:g}" if grade.ran else ""
    late = "" if not grade.days_late else str(grade.days_late)
    name = escape(grade.student_name or grade.student_id)
    return [name, _link(grade), escape(grade.lab), escape(grade.status), points, late]


def _link(grade: Grade) -> str:
    if grade.status == MISSING:
        return ""
    return f'<a href="{escape(grade.page)}">{escape(grade.submission)}</a>'


def _rows(*header: str, rows: Iterable[list[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""
