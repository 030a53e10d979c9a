"""Can everyone read it: axe in light and dark, and pages that fit a phone and a wide screen."""

from __future__ import annotations

import pytest

from tests.browsing import seen_by_axe
from tests.site.conftest import PAGES, show_in


@pytest.mark.parametrize(("theme", "width"), [("dark", 375), ("light", 1440)])
@pytest.mark.parametrize("name", PAGES)
def test_everyone_can_read_it(opened, name, theme, width) -> None:
    page = opened.page
    show_in(page, theme, width)
    excess = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert excess <= 0, f"{excess} px wider than {width} px"
    assert seen_by_axe(page) == []
