"""The table at a chapter's end: what the paper claims, and what was seen here.

A verdict is computed: "seen" where a check on this book's numbers holds, "not seen" where it does
not. Both are results, and neither stops the build. What the book did not try is "not tested here",
with the reason.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from frugal.claims.pushing import Check, is_number, judge, plain, unmoved
from frugal.claims.sentences import as_html, filled

MIME = "application/vnd.frugal.verdicts+json"
SEEN, NOT_SEEN, NOT_TESTED = "seen", "not seen", "not tested here"


@dataclass(frozen=True)
class Verdict:
    """One row. claim: in the paper's sense. number: what the paper reports. source: a key of
    `references.bib` and the place in it. here: what was seen. verdict: one of the three words."""

    claim: str
    number: str
    source: str
    here: str
    verdict: str
    values: dict[str, Any] = field(default_factory=dict)


def verdict(
    claim: str, *, number: str, source: str, here: str, check: Check, **values: Any
) -> Verdict:
    """Judge a paper's claim by numbers of ours.

    here: a sentence that tells the values, as `claim` fills it in. check: called with the values;
    True where they show what the paper claims. Raises ValueError as `claim` does; a check that no
    pushed number turns round is no check.
    """
    values = {name: plain(value) for name, value in values.items()}
    text = filled(here, values)
    if not any(map(is_number, values.values())):
        raise ValueError(f"here tells no number; a verdict must rest on one: {here}")
    holds = judge(check, values)
    if idle := unmoved(check if holds else _opposite(check), values):
        raise ValueError(
            f"{', '.join(idle)} can be pushed anywhere and the verdict stays; it must depend on "
            f"every number that is told: {text}"
        )
    return Verdict(claim, number, source, text, SEEN if holds else NOT_SEEN, values)


def untested(claim: str, *, number: str, source: str, why: str) -> Verdict:
    """A claim of the paper that the book does not try, and the reason."""
    return Verdict(claim, number, source, why, NOT_TESTED)


def _opposite(check: Check) -> Check:
    return lambda **values: not judge(check, values)


class Verdicts:
    """The table, as a page, a notebook and the collection of all verdicts read it."""

    def __init__(self, rows: Sequence[Verdict]) -> None:
        if not rows:
            raise ValueError("rows is empty; it must have a claim of the paper or more.")
        self.rows = tuple(rows)

    def __repr__(self) -> str:
        return "\n".join(f"{row.verdict}: {row.claim} {row.here}" for row in self.rows)

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{as_html(row.claim)}</td>"
            f"<td>{as_html(row.number)}<br><small>{html.escape(row.source)}</small></td>"
            f"<td>{as_html(row.here)}</td>"
            f'<td class="frugal-verdict" data-verdict="{row.verdict}">{row.verdict}</td></tr>'
            for row in self.rows
        )
        heads = ("What the paper claims", "Its number", "Seen here", "Verdict")
        head = "".join(f'<th scope="col">{name}</th>' for name in heads)
        return (
            f'<table class="frugal-table frugal-verdicts"><thead><tr>{head}</tr></thead>'
            f"<tbody>{cells}</tbody></table>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/html": self._repr_html_(),
            "text/plain": repr(self),
            MIME: [asdict(row) for row in self.rows],
        }


def verdicts(*rows: Verdict) -> Verdicts:
    """The chapter's table, its rows in the order of the paper."""
    return Verdicts(rows)
