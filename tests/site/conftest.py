"""The built book in a real browser: served on loopback, with every other host out of reach.

The book is built first when its sources are newer than the last build. `FRUGAL_BOOK` names another
folder with a book. The browser itself is in `tests/browsing.py`.

A page takes seconds to load, so tests share what is loaded: `opened` is the page that a test's
`name` says, and the tests of one page follow each other.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from filelock import FileLock
from playwright.sync_api import Browser, Page

from booktools.address import address as address_of
from booktools.address import files_of, page_of
from booktools.build import up_to_date
from booktools.reference import pages as pages_of_modules
from booktools.serve import serving
from tests.browsing import Visit, visiting

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
# The library's modules, one page each, likewise: a long one stands for them.
REFERENCE = [f"{name}.html" for name in pages_of_modules(ROOT)]
PAGES = [
    *(f"{name}.html" for name in SOURCES),
    *("genindex.html", "search.html"),
    *{Path(page).with_suffix("").suffix: page for page in CODE}.values(),
    "reference/frugal.attention.patterns.attention.html",
]
WITH_FIGURES = [
    f"{name}.html"
    for name in SOURCES
    if re.search(r"^from frugal\.(figures|show)", (ROOT / f"{name}.md").read_text("utf-8"), re.M)
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of one loaded page follow each other.

    Files are taken from the last: a page is read as it was loaded, and its figures move at the end.
    """
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    sharing = [item for item in here if "opened" in getattr(item, "fixturenames", ())]
    sharing.sort(key=lambda item: item.path, reverse=True)
    sharing.sort(key=lambda item: PAGES.index(item.callspec.params["name"]))
    shared = set(sharing)
    alone = [item for item in items if item not in shared]
    items[:] = [*alone, *sharing]


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
def parsed(html: Path) -> Callable[[str], BeautifulSoup]:
    """Gives a page of the site as it lies on the disk, parsed once for all tests that read it."""

    @cache
    def parsed(name: str) -> BeautifulSoup:
        return BeautifulSoup((html / name).read_text(encoding="utf-8"), "html.parser")

    return parsed


@pytest.fixture(scope="session")
def address(html: Path) -> Iterator[str]:
    """Where the site is served."""
    with serving(html) as address:
        yield address


@pytest.fixture(scope="session")
def opening(browser: Browser, address: str) -> Iterator[Callable[[str], Visit]]:
    """Gives a page of the site on a phone in the dark: the last one again, or another is loaded."""
    with ExitStack() as stack:
        last: dict[str, Visit] = {}

        def opening(name: str) -> Visit:
            if name not in last:
                last.clear()
                stack.close()
                visit = stack.enter_context(
                    visiting(browser, viewport={"width": 375, "height": 900})
                )
                visit.context.add_init_script(
                    "localStorage.setItem('mode', 'dark');localStorage.setItem('theme', 'dark');"
                )
                visit.open(f"{address}/{name}")
                assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
                last[name] = visit
            return last[name]

        yield opening


@pytest.fixture
def opened(opening: Callable[[str], Visit], name: str) -> Visit:
    """The page of the test's `name`, which other tests may have looked at before."""
    return opening(name)


def show_in(page: Page, theme: str, width: int, height: int = 900) -> None:
    """Give the page another size, and the theme by the button that a reader presses.

    The bar at the side glides away or comes, and the page with it: this waits until it stands.
    """
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(
        """async (theme) => {
          for (let presses = 0; presses < 3; presses += 1) {  // the button goes round three modes
            if (document.documentElement.dataset.theme === theme) break;
            document.querySelector(".theme-switch-button").click();
          }
          const place = () => {
            const { left, width } = document.querySelector("main")?.getBoundingClientRect() ?? {};
            return `${left} ${width}`;
          };
          const stop = performance.now() + 3000;
          for (let still = 0, last = ""; still < 6 && performance.now() < stop; ) {
            await new Promise(requestAnimationFrame);
            still = place() === last ? still + 1 : 0;
            last = place();
          }
        }""",
        theme,
    )
    assert page.evaluate("document.documentElement.dataset.theme") == theme
