"""Cards of terms and citations: by mouse, by key, by finger; and the glossary behind them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from booktools.terms import PAGE, glossary
from tests.browsing import seen_by_axe, visiting
from tests.site.conftest import ROOT, SOURCES

CHAPTER = "chapters/2-interactions/hashing.html"
# Published where no address is listed.
ON_PAPER = ("Roofline:", "The Annotated Transformer", "Extensions of Lipschitz")


@pytest.fixture
def desk(browser: Browser, address: str) -> Iterator[Page]:
    with visiting(browser) as visit:
        yield visit.open(f"{address}/{CHAPTER}")
        assert visit.errors + visit.foreign == []


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    screen = {"width": 390, "height": 844}
    with visiting(browser, viewport=screen, has_touch=True, color_scheme="dark") as visit:
        yield visit.open(f"{address}/{CHAPTER}")
        assert visit.errors + visit.foreign == []


def citation(page: Page):
    return page.locator(".bd-article p a[data-preview]:not(.frugal-term)").first


def term(page: Page):
    return page.locator(".bd-article a.frugal-term").first


def card(page: Page):
    return page.get_by_role("dialog").and_(page.locator(".frugal-preview"))


def test_the_mouse_shows_a_paper_and_may_go_into_its_card(desk: Page) -> None:
    link = citation(desk)
    link.hover()
    expect(card(desk)).to_contain_text("Reformer: The Efficient Transformer")
    expect(card(desk)).to_contain_text("Nikita Kitaev, Łukasz Kaiser and Anselm Levskaya, 2020")
    paper = card(desk).get_by_role("link").first
    assert paper.get_attribute("href") == "https://arxiv.org/abs/2001.04451"
    paper.hover()
    desk.wait_for_timeout(500)
    expect(card(desk)).to_be_visible()
    desk.mouse.move(5, 5)
    expect(card(desk)).to_have_count(0)
    assert not link.get_attribute("title")


def test_keys_open_enter_and_close_it(desk: Page) -> None:
    link = term(desk)
    desk.evaluate(
        """() => {
          const links = [...document.querySelectorAll("a, button, input, summary")];
          const first = document.querySelector(".bd-article a.frugal-term");
          const before = links.filter((one) => one.tabIndex >= 0 && one.checkVisibility() &&
            one.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING);
          before.at(-1).focus();
        }"""
    )
    desk.keyboard.press("Tab")
    expect(link).to_be_focused()
    expect(card(desk)).to_be_visible()
    assert link.get_attribute("aria-expanded") == "true"
    assert link.get_attribute("aria-haspopup") == "dialog"
    desk.keyboard.press("Tab")
    assert card(desk).evaluate("(it) => it.contains(document.activeElement)")
    desk.keyboard.press("Escape")
    expect(card(desk)).to_have_count(0)
    expect(link).to_be_focused()
    assert link.get_attribute("aria-expanded") == "false"
    desk.keyboard.press("Enter")
    expect(card(desk)).to_be_visible()
    assert desk.url.endswith(CHAPTER), "nothing leaves the page"


def test_a_click_keeps_the_card_and_one_beside_it_closes_it(desk: Page) -> None:
    link = term(desk)
    link.click()
    desk.mouse.move(5, 5)
    desk.wait_for_timeout(500)
    expect(card(desk)).to_be_visible()
    assert desk.url.endswith(CHAPTER)
    desk.mouse.click(640, 890)
    expect(card(desk)).to_have_count(0)


def test_a_finger_opens_a_card_that_fits_the_screen(phone: Page) -> None:
    for link in (citation(phone), term(phone)):
        link.scroll_into_view_if_needed()
        link.tap()
        expect(card(phone)).to_be_visible()
        box = card(phone).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 844
        heights = (
            card(phone)
            .get_by_role("link")
            .evaluate_all("(links) => links.map((it) => it.getBoundingClientRect().height)")
        )
        assert min(heights) >= 24
        assert [fault for fault in seen_by_axe(phone) if "preview" in fault] == []
        phone.touchscreen.tap(195, 10)
        expect(card(phone)).to_have_count(0)
    assert phone.url.endswith(CHAPTER)


def test_every_card_is_there_and_every_marked_link_has_one(parsed) -> None:
    terms = {term.id: term for term in glossary(ROOT).values()}
    for name in SOURCES:
        soup = parsed(f"{name}.html")
        links = [link["data-preview"] for link in soup.select("a[data-preview]")]
        cards = [one["data-preview"] for one in soup.select("template[data-preview]")]
        assert set(links) == set(cards), name
        assert len(cards) == len(set(cards)), name
        assert bool(cards) == bool(soup.select('script[src*="preview.js"]')), name
        marked = [link["data-preview"] for link in soup.select("a.frugal-term")]
        assert len(marked) == len(set(marked)), name
        assert set(marked) <= set(terms), name
        for one in soup.select("template[data-preview^=id]"):
            words = one.get_text(" ")
            assert len(words.split()) > 5, name
            assert "{" not in words, name
            title = one.p.decode_contents()
            assert one.select_one('a[href^="http"]') or title.startswith(ON_PAPER), name


def test_the_glossary_explains_all_terms_and_leads_to_their_chapters(parsed) -> None:
    page = parsed(f"{PAGE}.html")
    entries = page.select("dl.frugal-glossary > dt")
    terms = glossary(ROOT)
    assert [entry.get_text().strip().lower() for entry in entries] == sorted(map(str.lower, terms))
    for entry in entries:
        term = next(one for one in terms.values() if one.id == entry["id"])
        said = entry.find_next_sibling("dd")
        assert term.says in said.get_text().replace("’", "'")
        assert said.a["href"].endswith(f"{term.built.removeprefix('chapters/')}.html")
