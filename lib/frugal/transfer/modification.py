"""What a row of the table is: options of the one encoder-decoder, in one form or in two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frugal.transfer.config import Config

Change = Callable[[Config], dict[str, Any]]
"""From a size to the options that a row changes."""


@dataclass(frozen=True)
class Row:
    """published: the options as the paper ran them. intended: as its method's authors meant them,
    where something else came in between; `confounded` says what. ops_note, parameters_note: why a
    count differs from the paper's, where it does."""

    published: Change
    intended: Change | None = None
    confounded: str = ""
    parameters_note: str = ""
    ops_note: str = ""

    def options(self, size: Config, *, repaired: bool) -> dict[str, Any]:
        """What is changed at this size. A row with one form has it in both."""
        form = self.intended if repaired and self.intended is not None else self.published
        return form(size)


def vanilla(size: Config) -> dict[str, Any]:
    """Nothing is changed."""
    return {}
