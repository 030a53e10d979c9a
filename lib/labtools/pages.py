"""The page of feedback that a student gets back."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from labtools.report import points_in_words
from labtools.running import CaseResult

if TYPE_CHECKING:
    from labtools.grade import Grade


def feedback_page(grade: Grade) -> str:
    """A page of HTML that needs nothing else: no script, no other file."""
    template = Template(files("labtools").joinpath("feedback.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"{grade.lab or 'Lab'} · {grade.submission}"),
        points=escape(f"{grade.points:g} of {points_in_words(grade.possible)}"),
        status=escape(grade.status),
        notes="".join(f"<p>{escape(note)}</p>" for note in grade.notes),
        questions="".join(
            _question(name, grade.points_of(name), results)
            for name, results in grade.results.items()
        ),
        cells=_cells(grade.cell_errors),
    )


def _question(name: str, points: float, results: list[CaseResult]) -> str:
    possible = sum(result.points for result in results)
    worth = f"{points:g} of {points_in_words(possible)}" if results else "not reached"
    rows = "".join(_case(result) for result in results)
    return f"<section><h2>{escape(name)} <small>{worth}</small></h2><ul>{rows}</ul></section>"


def _case(result: CaseResult) -> str:
    kind = "passed" if result.passed else "failed"
    label = f"{kind}, hidden test" if result.hidden else kind
    words = f"<pre>{escape(result.said)}</pre>" if result.said else ""
    return (
        f'<li class="{kind}"><strong>{label}</strong> {escape(result.property)} '
        f"<small>{points_in_words(result.points)}</small>{words}</li>"
    )


def _cells(errors: list[tuple[int, str]]) -> str:
    if not errors:
        return ""
    rows = "".join(
        f"<li>code cell {index + 1}<pre>{escape(words)}</pre></li>" for index, words in errors
    )
    return f"<section><h2>Cells that raised an error</h2><ul>{rows}</ul></section>"
