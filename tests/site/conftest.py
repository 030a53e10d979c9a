"""The built book in a real browser: served on loopback, with every other host out of reach.

The book is built first when its sources are newer than the last build. `FRUGAL_BOOK` names another
folder with a book. The browser itself is in `tests/browsing.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from booktools.build import up_to_date
from booktools.serve import make_server

ROOT = Path(os.environ.get("FRUGAL_BOOK", Path(__file__).parents[2]))


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
def pages(html: Path) -> list[str]:
    """Every page of the site, by its path."""
    found = sorted(path.relative_to(html).as_posix() for path in html.rglob("*.html"))
    pages = [name for name in found if not name.startswith(("_static/", "_sources/", "reports/"))]
    assert "index.html" in pages
    return pages


@pytest.fixture(scope="session")
def address(html: Path) -> Iterator[str]:
    """Where the site is served."""
    with make_server(html, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
