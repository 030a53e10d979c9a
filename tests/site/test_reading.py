"""Can everyone read it: axe in light and dark, and pages that fit a phone and a wide screen."""

from __future__ import annotations

import pytest

from tests.browsing import seen_by_axe
from tests.site.conftest import PAGES


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 375)])
@pytest.mark.parametrize("name", PAGES)
def test_everyone_can_read_it(visit, address, name, theme, width) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.context.add_init_script(
        f"localStorage.setItem('mode', '{theme}');localStorage.setItem('theme', '{theme}');"
    )
    page = visit.open(f"{address}/{name}")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    excess = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert excess <= 0, f"{excess} px wider than {width} px"
    assert seen_by_axe(page) == []
