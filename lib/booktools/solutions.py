"""A site without the solutions of its exercises, for a class that is to write them.

`FRUGAL_SOLUTIONS=no` in the environment of a build leaves out every drop-down called Solution: on
the page, in the search, in the page's source and in the notebook that the page offers.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

VARIABLE = "FRUGAL_SOLUTIONS"
_SOLUTION = re.compile(
    r"^(?P<fence>[ ]*(?:`{3,}|:{3,}))\{dropdown\}[ ]*Solution\b.*?^(?P=fence)[ \t]*(?:\n|\Z)\n?",
    re.MULTILINE | re.DOTALL,
)


def with_solutions() -> bool:
    """Whether the site is to have the solutions.

    Raises ValueError when the variable says neither yes nor no.
    """
    said = os.environ.get(VARIABLE, "") or "yes"
    if said not in ("yes", "no"):
        raise ValueError(f"{VARIABLE} is {said}; it must be yes or no.")
    return said == "yes"


def without_solutions(text: str) -> str:
    """A chapter's source with no solution in it."""
    return _SOLUTION.sub("", text)


def leave_out(app: Sphinx, docname: str, source: list[str]) -> None:
    """Read a chapter without its solutions."""
    if not app.config.booktools_solutions:
        source[0] = without_solutions(source[0])


def leave_out_of_sources(app: Sphinx, error: Exception | None) -> None:
    """The chapter that the site offers for download is a copy of the file: leave them out of it."""
    if not app.config.booktools_solutions:
        for path in Path(app.outdir, "_sources").rglob("*.md"):
            text = path.read_text(encoding="utf-8")
            path.write_text(without_solutions(text), encoding="utf-8")
