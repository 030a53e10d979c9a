"""Push the numbers of a claim, one at a time, and see whether its check notices.

A number that can be pushed to 0, to its negative, to ten times and to a tenth of itself, and be put
in the place of any other number of the sentence, all without the check turning false, is
decoration: nothing on the page depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

Check = Callable[..., Any]


def is_number(value: Any) -> bool:
    """Whether a told value is a number, and so is pushed."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """A number of NumPy, pandas or torch as Python's own; anything else as it is."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1):
        return value.item()
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value.item()
    return value


def judge(check: Check, values: dict[str, Any]) -> bool:
    """What `check` says of the values. Raises ValueError when it does not answer with one bool."""
    said = plain(check(**values))
    if not isinstance(said, bool):
        kind = type(said).__name__
        raise ValueError(f"check gives {kind}; it must give one bool: compare something.")
    return said


def pushes(name: str, values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every push of one number: what was done to it, and the values afterwards."""
    number = values[name]
    pushed = {
        "to 0": 0,
        "to its negative": -number,
        "times 10": 10 * number,
        "over 10": number / 10,
    }
    if number == 0:
        pushed = {"up by 1": 1, "down by 1": -1}
    others = {other: value for other, value in values.items() if is_number(value)}
    pushed |= {f"to {other}": value for other, value in others.items()}
    for done, value in pushed.items():
        if value != number:
            yield done, values | {name: value}


def notices(check: Check, pushed: dict[str, Any]) -> bool:
    """Whether the check turns false, or cannot be computed, on pushed values."""
    try:
        return not judge(check, pushed)
    except (ArithmeticError, ValueError):
        return True


def swaps(check: Check, name: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The values with one number and another exchanged, where the other one's push alone would
    go unnoticed: else it would be the other that breaks the check."""
    for other, value in values.items():
        if other == name or not is_number(value):
            continue
        if not notices(check, values | {other: values[name]}):
            yield values | {name: value, other: values[name]}


def broken_by(check: Check, values: dict[str, Any]) -> dict[str, list[str]]:
    """For each told number, the pushes that turn the check false. Raises ValueError for nan."""
    found: dict[str, list[str]] = {}
    for name, value in values.items():
        if not is_number(value):
            continue
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}; it must be a finite number.")
        found[name] = [done for done, pushed in pushes(name, values) if notices(check, pushed)]
        if any(notices(check, pushed) for pushed in swaps(check, name, values)):
            found[name].append("swapped")
    return found


def unmoved(check: Check, values: dict[str, Any]) -> list[str]:
    """The told numbers that no push breaks the check with: nothing depends on them."""
    return [name for name, how in broken_by(check, values).items() if not how]
