"""The page of feedback that a student gets back."""

from html import escape
from importlib.resources import files
from string import Template

from labtools.grades import Grade
from labtools.report import points_in_words
from labtools.running import CaseResult


def feedback_page(grade: Grade, *, with_hidden: bool = True) -> str:
    """A page of HTML that needs nothing else: no script, no other file.

    Without the hidden tests it says of them only how many points they gave.
    """
    return fill(
        "feedback.html",
        title=escape(f"{grade.lab or 'Lab'} · {grade.student_name or grade.submission}"),
        points=escape(_points(grade)),
        status=escape(grade.status),
        notes="".join(f"<p>{escape(note)}</p>" for note in grade.notes),
        questions="".join(
            _question(name, grade.points_of(name), results, with_hidden)
            for name, results in grade.results.items()
        )
        + "".join(_open(grade, name) for name in grade.open_points),
        cells=_cells(grade.cell_errors),
    )


def fill(template: str, **parts: str) -> str:
    """A page from a template of this package."""
    text = files("labtools").joinpath(template).read_text(encoding="utf-8")
    return Template(text).substitute(parts)


def _points(grade: Grade) -> str:
    if not grade.ran:
        return "no points yet"
    points = f"{grade.points:g} of {points_in_words(grade.possible)}"
    by_hand = sum(grade.open_points.values())
    return f"{points}, {points_in_words(by_hand)} more from a person" if by_hand else points


def _question(name: str, points: float, results: list[CaseResult], with_hidden: bool) -> str:
    possible = sum(result.points for result in results)
    worth = f"{points:g} of {points_in_words(possible)}" if results else "not reached"
    shown = [result for result in results if with_hidden or not result.hidden]
    rows = "".join(_case(result) for result in shown)
    if hidden := [result for result in results if result not in shown]:
        earned = sum(result.points for result in hidden if result.passed)
        total = points_in_words(sum(result.points for result in hidden))
        rows += f"<li><strong>hidden tests</strong> {earned:g} of {total}</li>"
    return f"<section><h2>{escape(name)} <small>{worth}</small></h2><ul>{rows}</ul></section>"


def _case(result: CaseResult) -> str:
    kind = "passed" if result.passed else "failed"
    label = f"{kind}, hidden test" if result.hidden else kind
    words = f"<pre>{escape(result.said)}</pre>" if result.said else ""
    return (
        f'<li class="{kind}"><strong>{label}</strong> {escape(result.property)} '
        f"<small>{points_in_words(result.points)}</small>{words}</li>"
    )


def _open(grade: Grade, name: str) -> str:
    worth = points_in_words(grade.open_points[name])
    answer = grade.open_answers.get(name, "")
    words = f"<pre>{escape(answer)}</pre>" if answer else "<p>Nothing was written.</p>"
    rubric = escape(grade.rubrics.get(name, ""))
    return (
        f"<section><h2>{escape(name)} <small>a person grades it, {worth}</small></h2>"
        f"{words}<details><summary>Rubric</summary><pre>{rubric}</pre></details></section>"
    )


def _cells(errors: list[tuple[str, str]]) -> str:
    if not errors:
        return ""
    rows = "".join(f"<li>{escape(where)}<pre>{escape(words)}</pre></li>" for where, words in errors)
    return f"<section><h2>Cells that raised an error</h2><ul>{rows}</ul></section>"
