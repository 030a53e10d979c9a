"""What the command lines of the repository ask of a value, for `type=` of an argument."""

from __future__ import annotations

import argparse
import math


def above_zero(text: str) -> float:
    """A number above 0, a time or an amount; endless is none, and neither is NaN."""
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 < amount < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount; it must be a number above 0")
    return amount
