"""What pyproject.toml says of the project, read in one place: where the repository and book stand.

::

    [project.urls]
    Repository = "https://github.com/OWNER/NAME"
    Documentation = "https://OWNER.github.io/NAME"

Until it says so, pages and notebooks say nothing of either.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w-][\w.-]*?)(?:\.git)?/?")


def project(root: Path) -> dict[str, Any]:
    """The `project` table of pyproject.toml; {} where there is none."""
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    return tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})


def address(root: Path, kind: str) -> str:
    """One of `project.urls`, empty where it names none."""
    return project(root).get("urls", {}).get(kind, "")


def repository(root: Path) -> str:
    """The address of the repository, empty while nothing says so."""
    return address(root, "Repository")


def on_github(root: Path) -> str:
    """OWNER/NAME of a repository on GitHub; "" for one that is elsewhere or unsaid."""
    found = _GITHUB.fullmatch(repository(root))
    return found[1] if found else ""


def book_address(root: Path) -> str:
    """Where the book will stand, with a slash at the end; "" while nothing says so."""
    place = address(root, "Documentation")
    return place.rstrip("/") + "/" if place else ""


@cache
def commit(root: Path) -> str:
    """The commit that is checked out in `root`, or "main" where git does not know."""
    command = ["git", "-C", os.fspath(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "main"
    return done.stdout.strip()
