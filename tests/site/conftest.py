"""The built book in a real browser: served on loopback, with every other host out of reach.

The book is built first when its sources are newer than the last build. `FRUGAL_BOOK` names another
folder with a book, `FRUGAL_CHROMIUM` another browser.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, sync_playwright

from booktools.build import up_to_date
from booktools.serve import make_server
from frugal.show.interactive import Interactive

ROOT = Path(os.environ.get("FRUGAL_BOOK", Path(__file__).parents[2]))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs this folder: its tests share a browser, a server and a built book."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("site"))


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


def find_chromium() -> str | None:
    """The browser's path; None lets Playwright take its own."""
    named = os.environ.get("FRUGAL_CHROMIUM")
    places = [named, "/usr/bin/chromium", "/usr/bin/google-chrome", shutil.which("chromium")]
    return next((place for place in places if place and Path(place).is_file()), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        except Error as error:
            pytest.fail(
                "No Chromium was found; install one (apt-get install chromium, or "
                "python -m playwright install chromium) or name it in FRUGAL_CHROMIUM. "
                f"[{error.message.splitlines()[0]}]"
            )
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page in the browser and what was noticed while it was open."""

    page: Page
    context: BrowserContext
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        """Load a page and wait until its figures and equations stand."""
        self.page.goto(url)
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        self.page.wait_for_function(
            """() => [...document.querySelectorAll(".frugal-figure")].every(
              (figure) => figure.dataset.mounted || figure.querySelector(".frugal-still"),
            )"""
        )
        return self.page


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A fresh context. Parametrize indirectly with options of `browser.new_context`."""
    options: dict[str, Any] = {
        "viewport": {"width": 1280, "height": 900},
        "reduced_motion": "reduce",
        **getattr(request, "param", {}),
    }
    context = browser.new_context(**options)
    page = context.new_page()
    visit = Visit(page=page, context=context)

    def route(route: Any) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in {"data", "blob", "file"} or parts.hostname == "127.0.0.1":
            route.continue_()
        else:
            visit.foreign.append(route.request.url)
            route.abort()

    context.route("**/*", route)
    page.on(
        "console",
        lambda message: visit.errors.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on(
        "response",
        lambda response: (
            visit.errors.append(f"{response.status} {response.url}")
            if response.status >= 400
            else None
        ),
    )
    yield visit
    context.close()


@pytest.fixture
def show(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Interactive], Locator]]:
    """Opens a figure alone on a page and gives its element; nothing may go wrong meanwhile."""
    monkeypatch.setattr(Interactive, "to_png", lambda self: b"")  # drawn and tested elsewhere

    def opened(figure: Interactive) -> Locator:
        file = tmp_path / "figure.html"
        head = "<!doctype html><html lang=en><meta charset=utf-8><title>A figure</title>"
        head += '<meta name="viewport" content="width=device-width">'
        file.write_text(f"{head}<main>{figure.to_html()}</main></html>", encoding="utf-8")
        visit.open(file.as_uri())
        return visit.page.locator(".frugal-figure[data-mounted]")

    yield opened
    assert visit.errors + visit.foreign == []
