"""A chapter stops the tab key at most 80 times; what is touched and read is large enough."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import visiting
from tests.site.conftest import PAGES, show_in
from tests.site.test_first_page import STOPS

MOST_STOPS = 80
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_tab_key_stops_seldom(opened, name) -> None:
    for theme, width in (("dark", 375), ("light", 1280)):
        show_in(opened.page, theme, width)
        opened.page.wait_for_timeout(200)
        assert 5 < opened.page.evaluate(STOPS) <= MOST_STOPS, width


def test_arrow_keys_go_through_a_group(browser: Browser, address: str) -> None:
    with visiting(browser) as visit:
        page = visit.open(f"{address}/chapters/2-interactions/hashing.html")
        current = page.locator(".bd-docs-nav .current > a")
        assert current.evaluate("(it) => it.tabIndex") == 0
        current.focus()
        page.keyboard.press("ArrowDown")
        expect(page.locator(".bd-docs-nav a", has_text="7. Sorting")).to_be_focused()
        page.keyboard.press("Home")
        expect(page.locator(".bd-docs-nav a").first).to_be_focused()
        stops = page.locator(".bd-docs-nav a").evaluate_all(
            "(links) => links.filter((it) => it.tabIndex === 0).length"
        )
        assert stops == 1
        folded = page.locator(".cell.tag_hide-input summary")
        folded.first.focus()
        page.keyboard.press("ArrowDown")
        expect(folded.nth(1)).to_be_focused()
        page.keyboard.press("Enter")
        assert folded.nth(1).evaluate("(it) => it.parentElement.open")
