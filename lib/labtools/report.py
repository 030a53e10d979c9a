"""What a student reads after a check: the same words as text and as HTML."""

from dataclasses import dataclass
from html import escape

from labtools.running import CaseResult

_STYLE = {
    "✓": "color: var(--jp-success-color1, #2e7d32)",
    "✗": "color: var(--jp-error-color1, #c62828)",
    "○": "",
}


def _mark(passed: bool, unwritten: bool = False) -> str:
    return "✓" if passed else "○" if unwritten else "✗"


def points_in_words(points: float, kind: str = "") -> str:
    """`1 point`, `2 points`, `2 public points`."""
    return f"{points:g} {kind} point".replace("  ", " ") + ("" if points == 1 else "s")


@dataclass(frozen=True)
class Report:
    """The results of one question. A notebook shows it as HTML, a terminal as text."""

    question: str
    results: tuple[CaseResult, ...]

    @property
    def earned(self) -> float:
        return sum(result.points for result in self.results if result.passed)

    @property
    def possible(self) -> float:
        return sum(result.points for result in self.results)

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    @property
    def mark(self) -> str:
        """✓ passed, ○ not written yet, ✗ wrong."""
        return _mark(self.passed, self.unwritten)

    @property
    def heading(self) -> str:
        """One line: the question, what came of it, the points."""
        points = f"{self.earned:g} of {points_in_words(self.possible, 'public')}"
        if self.passed:
            return f"{self.question}: public tests passed, {points}"
        if self.unwritten:
            return f"{self.question}: not written yet, {points}"
        return f"{self.question}: {points}"

    @property
    def unwritten(self) -> bool:
        """Whether the code is not there yet."""
        return all(result.unwritten for result in self.results)

    @property
    def undefined(self) -> bool:
        """Whether a name of the question is missing: its cell has not run."""
        return any(result.error == "NotDefined" for result in self.results)

    @property
    def _lines(self) -> list[tuple[CaseResult, str]]:
        if self.unwritten:
            return [(self.results[0], "")]
        return [(result, result.property) for result in self.results]

    def __repr__(self) -> str:
        lines = [self.heading]
        for result, title in self._lines:
            if title:
                worth = points_in_words(result.points)
                lines.append(f"  {_mark(result.passed)} {title} ({worth})")
            lines.extend(f"      {line}" for line in result.said.splitlines())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            f'<div style="font-weight: 600"><span style="{_STYLE[self.mark]}">'
            f"{self.mark}</span> {escape(self.heading)}</div>"
        ]
        for result, title in self._lines:
            if title:
                worth, mark = points_in_words(result.points), _mark(result.passed)
                rows.append(
                    f'<div style="margin-left: 1em"><span style="{_STYLE[mark]}">'
                    f"{mark}</span> {escape(title)} ({worth})</div>"
                )
            if result.said:
                rows.append(
                    '<pre style="margin: 0.1em 0 0.5em 2.4em; white-space: pre-wrap; '
                    f'background: none">{escape(result.said)}</pre>'
                )
        return f'<div role="status">{"".join(rows)}</div>'
