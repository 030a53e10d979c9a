"""A sentence of the book that is checked when the book is built.

`claim("Windows take {ratio:.2f} of the time.", ratio < 0.5, ratio=ratio)` renders the sentence with
its numbers and a check mark; when the condition is false, the cell fails and with it the build. A
claim about time is a ratio with a margin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any


class ClaimError(AssertionError):
    """A claim that this run does not bear out; the message is the sentence with its numbers."""


@dataclass(frozen=True)
class Claim:
    """A checked sentence; notebooks show it as a marked paragraph."""

    sentence: str

    def __str__(self) -> str:
        return f"✓ {self.sentence}"

    def _repr_html_(self) -> str:
        text = re.sub(r"\^\{([^{}]*)\}", r"<sup>\1</sup>", escape(self.sentence))
        return f'<p class="frugal-claim">{text}</p>'


def claim(sentence: str, condition: Any, **numbers: Any) -> Claim:
    """Check `condition` and return the sentence to show.

    Args:
        sentence: may hold fields such as ``{ratio:.2f}``; ``^{x}`` renders as an exponent.
        condition: True or False, or a numpy or torch scalar of that kind.
        **numbers: the values of the fields.

    Raises:
        ClaimError: the condition is false.
        ValueError: the condition is no truth value, or a field of the sentence has no number.
    """
    if not isinstance(sentence, str) or not sentence.strip():
        raise ValueError(f"sentence is {sentence!r}; a claim needs a sentence.")
    value = condition.item() if hasattr(condition, "item") else condition
    if not isinstance(value, bool):
        raise ValueError(f"condition is {condition!r}; a claim needs True or False.")
    # an exponent's braces stay: only fields that were given a number are filled in
    field = re.compile(r"\{(\w+)((?:![rsa])?(?::[^{}]*)?)\}")
    missing = [name for name, _ in field.findall(sentence) if name not in numbers]
    if missing:
        raise ValueError(f"numbers lacks {missing[0]!r}, which the sentence names.")
    filled = field.sub(lambda match: match.group(0).format(**numbers), sentence)
    if not value:
        raise ClaimError(f"This run does not show it: {filled}")
    return Claim(" ".join(filled.split()))
