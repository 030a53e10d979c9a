"""Which modifications do the language models of today have? A count in their source text.

The package `transformers` (wolf2020transformers) holds the code of well over a hundred families of
language models. Nothing of it is imported: the text is read, and searched with regular expressions.
So a count may be off by a few. Chapter: the-modification-zoo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from frugal.checks import DISTRIBUTION

PACKAGE = "transformers"
LANGUAGE_MODEL = re.compile(r"^class \w+ForCausalLM\b", re.MULTILINE)
YEAR = re.compile(r"Copyright\D{0,10}(20\d\d)")


class Family(NamedTuple):
    """A family of language models: its name, the year in its copyright line, and its code."""

    name: str
    year: int
    code: str


def families(folder: Path | str | None = None) -> list[Family]:
    """The families that write text from left to right, by name.

    folder: one folder per family with files modeling_*.py and configuration_*.py; by default that
    of the installed package. A family without a year in its files is left out.

    Raises ImportError when the package is not installed.
    """
    found = []
    for one in sorted((Path(folder) if folder else _installed()).iterdir()):
        texts = [
            path.read_text(encoding="utf-8")
            for kind in ("modeling", "configuration")
            for path in sorted(one.glob(f"{kind}_*.py"))
        ]
        years = [int(year) for text in texts for year in YEAR.findall(text[:1500])]
        code = "\n".join(texts)
        if years and LANGUAGE_MODEL.search(code):
            found.append(Family(one.name, max(years), code))
    return found


def count(found: Iterable[Family], features: Mapping[str, str]) -> dict[str, int]:
    """How many of the families have each feature: name -> regular expression, found in the code."""
    found = list(found)
    return {
        name: sum(bool(re.search(pattern, family.code)) for family in found)
        for name, pattern in features.items()
    }


def source() -> str:
    """The package and its version, as a page tells what it counted."""
    return f"{PACKAGE} {version(PACKAGE)}"


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ImportError(
            f"{PACKAGE} is not installed; this needs it: pip install '{DISTRIBUTION}[{PACKAGE}]'."
        )
    return Path(spec.origin).parent / "models"
