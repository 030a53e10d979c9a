"""The first page: its figure above the fold, a card for each chapter, few stops for the tab key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from booktools.cards import spoken
from booktools.collected import claims_of
from tests.browsing import visiting
from tests.site.conftest import ROOT, SOURCES

CHAPTERS = [name for name in SOURCES if name.startswith("chapters/") and "/appendix/" not in name]
MOST_STOPS = 60
STOPS = """() => [
  ...document.querySelectorAll("a[href], button, input, summary, [tabindex]"),
].filter(
  (it) => it.tabIndex >= 0 && !it.disabled && it.checkVisibility({ visibilityProperty: true }),
).length"""


@pytest.fixture(scope="module", params=[(1280, 900), (390, 844)], ids=["desk", "phone"])
def first(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    width, height = request.param
    with visiting(browser, viewport={"width": width, "height": height}) as visit:
        yield visit.open(f"{address}/index.html")


def test_the_figure_stands_above_the_fold(first: Page) -> None:
    figure = first.locator(".frugal-figure").first
    seen = figure.locator(".map-ways").bounding_box()
    assert seen["y"] + seen["height"] <= first.viewport_size["height"]
    assert figure.bounding_box()["width"] > 0.75 * min(first.viewport_size["width"], 1000)


def test_the_tab_key_stops_seldom(first: Page) -> None:
    assert 30 < first.evaluate(STOPS) <= MOST_STOPS


def test_nothing_is_wider_than_the_screen(first: Page) -> None:
    assert first.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_card_goes_to_its_chapter_wherever_it_is_pressed(first: Page) -> None:
    number = first.locator(".frugal-card-number").first
    number.scroll_into_view_if_needed()
    pressed = number.evaluate(
        """(it) => {
          const { x, y, width, height } = it.getBoundingClientRect();
          return document.elementFromPoint(x + width / 2, y + height / 2).getAttribute("href");
        }"""
    )
    assert pressed == f"{CHAPTERS[0]}.html"


def test_every_chapter_has_a_card_with_a_number_that_it_claims(parsed) -> None:
    page = parsed("index.html")
    cards = page.select(".frugal-card")
    assert [card.a["href"] for card in cards] == [f"{name}.html" for name in CHAPTERS]
    for name, card in zip(CHAPTERS, cards, strict=True):
        number = card.select_one(".frugal-card-number")
        claims = claims_of(ROOT / "_build" / "jupyter_execute" / f"{name}.ipynb")
        said = {spoken(claim["sentence"]) for claim in claims}
        assert number["title"].removeprefix("✓ ") in said, name
        assert number.b.get_text(), name
        assert card.select_one("svg path"), name
        assert "min" in card.select_one(".frugal-card-minutes").get_text(), name
