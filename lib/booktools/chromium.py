"""Where the browser is, and how it is started: for the site's tests and for `booktools phone`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """The browser's path, that in `FRUGAL_CHROMIUM` first; None lets Playwright take its own."""
    named = os.environ.get("FRUGAL_CHROMIUM")
    places = [named, "/usr/bin/chromium", "/usr/bin/google-chrome", shutil.which("chromium")]
    return next((place for place in places if place and Path(place).is_file()), None)
