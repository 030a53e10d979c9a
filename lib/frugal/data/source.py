"""Where each data set comes from, under which licence, and what to do when it is missing.

Chapters: every one that trains.
"""

from __future__ import annotations

import dataclasses
import importlib
from types import ModuleType


class MissingSource(RuntimeError):
    """A data set's source is not on this machine; the message says what to do about it."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The card of one data set.

    name: what the book calls it. loader: the function that gives it, as a dotted name. content:
    what it holds, in one line. licence: the licence of the *data*. origin: the package it is read
    from, or how it is made. split: how train, valid and test are told apart. if_missing: what to do
    when the loader does not find it. module: the module that must be importable; empty for
    generated data.
    """

    name: str
    loader: str
    content: str
    licence: str
    origin: str
    split: str
    if_missing: str = "it is generated, so it is never missing"
    module: str = ""

    def load(self) -> ModuleType:
        """Import the module behind this source.

        Raises MissingSource: it cannot be imported; one sentence says what to do.
        """
        try:
            return importlib.import_module(self.module)
        except ImportError as error:
            raise MissingSource(
                f"the data set '{self.name}' needs {self.module}, "
                f"which is not installed here: {self.if_missing}"
            ) from error


GENERATED = {"licence": "BSD-3-Clause (this project)", "origin": "generated on the fly"}
"""What the cards of all generated data sets have in common."""


def check_split(split: str) -> None:
    """Raise ValueError unless `split` is train, valid or test."""
    if split not in ("train", "valid", "test"):
        raise ValueError(f"split is {split!r}; it must be 'train', 'valid' or 'test'.")
