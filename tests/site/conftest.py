"""The built book in a real browser: served on loopback, with every other host out of reach.

The book is built first when its sources are newer than the last build. `FRUGAL_BOOK` names another
folder with a book. The browser itself is in `tests/browsing.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from filelock import FileLock

from booktools.address import address as address_of
from booktools.address import files_of, page_of
from booktools.build import up_to_date
from booktools.serve import make_server

ROOT = Path(os.environ.get("FRUGAL_BOOK", Path(__file__).parents[2]))
SOURCES = ["index", *re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))]
# Pages by their paths, known before the book is built, so that each is a test of its own. Files of
# code are shown on pages that are all made alike: one in each language stands for them.
CODE = sorted(
    {
        f"{page_of(path)}.html"
        for name in SOURCES
        for kind, entries in address_of(ROOT / f"{name}.md").items()
        for path in chain.from_iterable(files_of(kind, entry, ROOT) for entry in entries)
        if path.suffix != ".ipynb"
    }
)
PAGES = [
    *(f"{name}.html" for name in SOURCES),
    *("genindex.html", "search.html"),
    *{Path(page).with_suffix("").suffix: page for page in CODE}.values(),
]
WITH_FIGURES = [
    f"{name}.html"
    for name in SOURCES
    if re.search(r"^from frugal\.(figures|show)", (ROOT / f"{name}.md").read_text("utf-8"), re.M)
]


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built site; where several test processes need it, one builds it."""
    with FileLock(ROOT / "_build.lock"):
        if not up_to_date(ROOT):
            command = [sys.executable, "-m", "booktools", "--root", str(ROOT), "build"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
                pytest.fail(f"The book does not build:\n{said}")
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def address(html: Path) -> Iterator[str]:
    """Where the site is served."""
    with make_server(html, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
