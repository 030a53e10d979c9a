"""Sentences of the book that are checked when the book is built.

``claim("The band costs {ratio:.2f} of full attention.", ratio < 0.5, ratio=ratio)`` shows its
sentence, marked as checked, or stops the build when it is false. What it judges is the caller's:
a claim knows nothing about timing or tolerance.
"""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any

import numpy as np
import torch

# A field to fill in; one that follows ^ and has no value is an exponent, and stays.
FIELD = re.compile(r"(?P<exponent>\^)?\{(?P<name>\w+)(?P<format>(?:![rsa])?(?::[^{}]*)?)\}")
EXPONENT = re.compile(r"\^\{([^{}]*)\}")

_held: list[Claim] = []


class ClaimError(AssertionError):
    """A claim is false; the message is its sentence with its numbers."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence that was found true, and the numbers it was told with."""

    sentence: str
    values: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"✓ {self.sentence}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        # the mark is the style sheet's, which says it aloud as well
        text = EXPONENT.sub(r"<sup>\1</sup>", html.escape(self.sentence))
        return f'<p class="frugal-claim">{text}</p>'

    def _repr_markdown_(self) -> str:
        return str(self)


def claim(sentence: str, condition: Any, **values: Any) -> Claim:
    """State ``sentence`` and check it.

    Args:
        sentence: a full sentence; ``{name:.2f}`` is filled in from ``values``, and ``N^{2}`` or
            ``N^{{name:.2f}}`` shows as a power.
        condition: a bool of Python, NumPy or torch: True if the sentence holds.
        values: the numbers that the sentence tells.

    Returns:
        the claim, which a notebook shows as a checked sentence.

    Raises:
        ClaimError: the condition is False.
        ValueError: the condition is no single bool, the sentence is empty, or its numbers and
            ``values`` do not match.
    """
    text = _fill(sentence, values)
    if not _as_bool(condition):
        raise ClaimError(f"this run does not show it: {text}" + _list_of(values))
    made = Claim(text, values)
    _held.append(made)
    return made


def claims() -> tuple[Claim, ...]:
    """Every claim that held so far in this process, in order."""
    return tuple(_held)


def _as_bool(condition: Any) -> bool:
    if isinstance(condition, torch.Tensor):
        if condition.dtype == torch.bool and condition.numel() == 1:
            return bool(condition)
        got = f"a tensor of {condition.dtype} and shape {tuple(condition.shape)}"
    elif isinstance(condition, bool | np.bool_):
        return bool(condition)
    elif isinstance(condition, np.ndarray):
        if condition.dtype == np.bool_ and condition.size == 1:
            return bool(condition.item())
        got = f"an array of {condition.dtype} and shape {condition.shape}"
    else:
        got = type(condition).__name__
    raise ValueError(f"condition is {got}, but it must be one bool: compare something")


def _fill(sentence: str, values: dict[str, Any]) -> str:
    if not sentence.strip():
        raise ValueError("sentence is empty, but a claim needs words")
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
        filled = FIELD.sub(fill, sentence)
    except (ValueError, TypeError) as error:
        raise ValueError(f"sentence cannot be filled in ({error}): {sentence}") from error
    if told != set(values):
        raise ValueError(
            f"sentence tells {sorted(told)}, but values has {sorted(values)}: they must match"
        )
    return " ".join(filled.split())


def _list_of(values: dict[str, Any]) -> str:
    told = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f" ({told})" if told else ""
