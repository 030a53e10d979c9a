"""Executes the chapters and builds the site into `_build/html`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path


def build_site(root: Path, *, fresh: bool = False) -> int:
    """Build the book in `root`; 0 when every cell ran and nothing was warned about.

    Chapters whose cells, library modules and recorded results are unchanged come from the cache;
    `fresh` forgets it. Raises ValueError when `root` holds no book.
    """
    for name in ("_config.yml", "_toc.yml"):
        if not (root / name).is_file():
            raise ValueError(f"{root} has no {name}; run this where the book is, or give --root.")
    from jupyter_book.sphinx import build_sphinx

    output = root / "_build"
    if fresh:
        shutil.rmtree(output, ignore_errors=True)
    started = time.monotonic()
    result = build_sphinx(
        root,
        output / "html",
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
    print(f"\nThe book is built ({seconds:.0f} s): {output / 'html' / 'index.html'}")
    print("Open that file in a browser, or serve it on this machine:  make serve")
    return 0
