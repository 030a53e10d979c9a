"""Executes the chapters and builds the site into `_build/html`.

Without solutions, for a class, it goes into `_build/html-without-solutions`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from booktools.solutions import with_solutions

_SOURCES = ("index.md", "references.bib", "_config.yml", "_toc.yml", "constraints.txt")
_SOURCE_FOLDERS = ("chapters", "lib/frugal", "lib/booktools", "experiments/results")
_STAMP = "_build/complete"


def build_site(root: Path, *, fresh: bool = False) -> int:
    """Build the book in `root`; 0 when every cell ran and nothing was warned about.

    Chapters whose cells, library modules and recorded results are unchanged come from the cache;
    `fresh` forgets it. `booktools.solutions` says how to leave out the solutions; such a site is a
    second one, and the book is then to be built again before it is tested. Raises ValueError when
    `root` holds no book.
    """
    for name in ("_config.yml", "_toc.yml"):
        if not (root / name).is_file():
            raise ValueError(f"{root} has no {name}; run this where the book is, or give --root.")
    whole = with_solutions()
    from jupyter_book.sphinx import build_sphinx

    output = root / "_build"
    stamp = root / _STAMP
    stamp.unlink(missing_ok=True)
    if fresh:
        shutil.rmtree(output, ignore_errors=True)
    html = output / ("html" if whole else "html-without-solutions")
    started = time.monotonic()
    result = build_sphinx(
        root,
        html,
        path_config=root / "_config.yml",
        confoverrides={
            "external_toc_path": str(root / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
        },
        noconfig=True,
        warningiserror=True,
        keep_going=True,
    )
    seconds = time.monotonic() - started
    if result:
        # Sphinx remembers pages and not their warnings: without this the next build would say
        # nothing about what is still wrong. Executed chapters stay in their own cache.
        (output / ".doctrees" / "environment.pickle").unlink(missing_ok=True)
        print(f"\nThe book was not built ({seconds:.0f} s): see the warnings above.")
        return 1
    left_out = "" if whole else " without the solutions of its exercises"
    print(f"\nThe book is built{left_out} ({seconds:.0f} s): {html / 'index.html'}")
    if whole:
        stamp.touch()
        print("Open that file in a browser, or serve it on this machine:  make serve")
    return 0


def up_to_date(root: Path) -> bool:
    """Whether the last build succeeded and none of the book's sources is newer."""
    stamp = root / _STAMP
    if not stamp.is_file():
        return False
    built = stamp.stat().st_mtime
    return all(path.stat().st_mtime <= built for path in _sources(root))


def _sources(root: Path) -> Iterator[Path]:
    yield from (root / name for name in _SOURCES if (root / name).is_file())
    for folder in _SOURCE_FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
