"""What the tests of figures share; the browser itself is in `tests/browsing.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frugal.show.modules import bundle

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browsing import Visit

FIGURES = Path(__file__).parents[2] / "lib" / "frugal" / "figures"


@pytest.fixture
def formulas(visit: Visit, request: pytest.FixtureRequest) -> Callable[[str, str], Page]:
    """A script of the test's chapter in an empty page, where its exports have the name given.

    `page = formulas("lsh_formulas.js", "lsh")`, then `page.evaluate("lsh.unit(90)")`. Another of
    the same test joins it there.
    """
    visit.page.goto("about:blank")

    def opened(script: str, name: str) -> Page:
        expression = bundle(FIGURES / request.path.parent.name / script)
        visit.page.evaluate(f"window.{name} = {expression}; null")
        return visit.page

    return opened
