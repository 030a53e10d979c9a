"""Writes the versions that are installed together to `constraints.txt`."""

from __future__ import annotations

import os
from importlib.metadata import distributions
from pathlib import Path

_HEADER = """\
# Every version that was installed together and tested, exactly. pip reads it with -c.
# Refill: make constraints
"""
_NOT_PINNED = frozenset({"frugal", "frugal-attention", "pip", "setuptools", "wheel"})


def write_constraints(path: Path) -> int:
    """Pin every installed distribution but the book's own and the installer's."""
    pins = {
        found.name: found.version
        for found in distributions()
        if found.name.lower() not in _NOT_PINNED
    }
    # A local label as in `2.13.0+cpu` names a build of the same version: any build will do.
    lines = [f"{name}=={pins[name].partition('+')[0]}" for name in sorted(pins, key=str.lower)]
    temporary = path.with_suffix(".tmp")
    temporary.write_text(_HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    print(f"{len(lines)} versions in {path}")
    return 0
