"""Sentences with numbers: those that are checked, and those that only count.

    claim("The band costs {ratio:.2f} of full attention.", lambda ratio: ratio < 0.5, ratio=ratio)

shows its sentence, marked as checked, or stops the build when it is false. The check is a function
of the numbers that the sentence tells and of nothing else, so that it can be tried with others:
every number is pushed when the claim is made, and one that nothing depends on is an error.
"""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any

from frugal.claims.pushing import Check, broken_by, is_number, judge, plain

MIME = "application/vnd.frugal.claim+json"

# A field to fill in; one that follows ^ and has no value is an exponent, and stays.
FIELD = re.compile(r"(?P<exponent>\^)?\{(?P<name>\w+)(?P<format>(?:![rsa])?(?::[^{}]*)?)\}")
EXPONENT = re.compile(r"\^\{([^{}]*)\}")
_CODE = re.compile(r"`([^`]+)`")

_held: list[Claim] = []


class ClaimError(AssertionError):
    """A claim is false; the message is its sentence with its numbers."""


@dataclasses.dataclass(frozen=True)
class _Sentence:
    """A sentence and the numbers it was told with."""

    sentence: str
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    mark = ""
    style = ""

    def __str__(self) -> str:
        return f"{self.mark} {self.sentence}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        # the mark is the style sheet's, which says it aloud as well
        return f'<p class="{self.style}">{as_html(self.sentence)}</p>'

    def _repr_markdown_(self) -> str:
        return str(self)


@dataclasses.dataclass(frozen=True, repr=False)
class Claim(_Sentence):
    """A sentence that was found true. broken_by: for each number, the pushes that make it false."""

    broken_by: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    mark, style = "✓", "frugal-claim"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        told = {name: v if is_number(v) else str(v) for name, v in self.values.items()}
        made = {"sentence": self.sentence, "values": told, "broken_by": self.broken_by}
        return {"text/html": self._repr_html_(), "text/plain": str(self), MIME: made}


class Counted(_Sentence):
    """A sentence whose numbers follow from constants: arithmetic, nothing that a run could show."""

    mark, style = "=", "frugal-counted"


def claim(sentence: str, check: Check, **values: Any) -> Claim:
    """State `sentence` and check it.

    sentence: a full sentence; `{name:.2f}` is filled in from `values`, and `N^{2}` or
    `N^{{name:.2f}}` shows as a power. check: called with the values by name; True if the sentence
    holds. It should be as two-sided as the sentence is: "four times" is not `ratio > 1`. values:
    the numbers (and words) that the sentence tells, at least one number.

    Raises ClaimError when the check says no; ValueError when the sentence and the values do not
    match, the check does not answer with one bool, or a number can be pushed anywhere (see
    `frugal.claims.pushing`) without the check noticing.
    """
    values = {name: plain(value) for name, value in values.items()}
    text = filled(sentence, values)
    if not callable(check):
        raise ValueError(
            f"check is {type(check).__name__}; it must be a function of the numbers that the "
            "sentence tells."
        )
    if not any(map(is_number, values.values())):
        raise ValueError(f"sentence tells no number; a claim must tell one: {sentence}")
    if not judge(check, values):
        raise ClaimError(f"this run does not show it: {text}{_list_of(values)}")
    broken = broken_by(check, values)
    if idle := [name for name, how in broken.items() if not how]:
        raise ValueError(
            f"{', '.join(idle)} can be pushed anywhere and the check holds; it must depend on "
            f"every number that the sentence tells: {text}{_list_of(values)}"
        )
    made = Claim(text, values, broken)
    _held.append(made)
    return made


def counted(sentence: str, **values: Any) -> Counted:
    """State what follows from constants. The sentence is filled in as that of a `claim`."""
    values = {name: plain(value) for name, value in values.items()}
    return Counted(filled(sentence, values), values)


def claims() -> tuple[Claim, ...]:
    """Every claim that held so far in this process, in order."""
    return tuple(_held)


def as_html(text: str) -> str:
    """A sentence for a page: escaped, its powers raised, its names of code (`generate`) as code."""
    raised = EXPONENT.sub(r"<sup>\1</sup>", html.escape(text))
    return _CODE.sub(r"<code>\1</code>", raised)


def as_words(text: str) -> str:
    """A sentence where no markup can be: a power is written with ^, and a name of code as it is."""
    return EXPONENT.sub(r"^\1", text).replace("`", "")


def filled(sentence: str, values: dict[str, Any]) -> str:
    """`sentence` with its numbers. Raises ValueError when it and `values` do not match."""
    if not sentence.strip():
        raise ValueError("sentence is empty; it must have words.")
    told: set[str] = set()

    def fill(field: re.Match[str]) -> str:
        name = field["name"]
        if field["exponent"] and name not in values:
            return field[0]
        told.add(name)
        if name not in values:
            return ""
        text = f"{{{name}{field['format']}}}".format(**values)
        return f"^{{{text}}}" if field["exponent"] else text

    try:
        text = FIELD.sub(fill, sentence)
    except (ValueError, TypeError) as error:
        raise ValueError(f"sentence cannot be filled in ({error}): {sentence}") from error
    if told != set(values):
        raise ValueError(
            f"sentence tells {sorted(told)} and values has {sorted(values)}; they must match."
        )
    return " ".join(text.split())


def _list_of(values: dict[str, Any]) -> str:
    told = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f" ({told})" if told else ""
