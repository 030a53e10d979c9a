"""What a reader has read and done: kept in this browser, shown quietly, forgotten by a button."""

from __future__ import annotations

import json

from playwright.sync_api import Browser, expect

from tests.browsing import Visit, visiting

CHAPTER = "chapters/2-interactions/hashing"
REFUSE = "Storage.prototype.setItem = () => { throw new Error('refused'); };"


def test_what_is_read_and_done_is_shown_and_forgotten(visit: Visit, address: str) -> None:
    page = visit.open(f"{address}/index.html")
    line = page.locator("[data-kept]")
    expect(line).to_be_hidden()

    visit.open(f"{address}/{CHAPTER}.html")
    read = page.get_by_label("I have read this chapter")
    expect(read).not_to_be_checked()
    read.check()
    visit.open(f"{address}/chapters/appendix/labs.html")
    boxes = page.get_by_label("done")
    assert boxes.count() == page.locator("table a.download").count() > 5
    boxes.nth(2).check()
    expect(page.locator(".bd-docs-nav a.frugal-read")).to_have_text("6. Hashing")

    visit.open(f"{address}/index.html")
    expect(line).to_contain_text("1 chapter read, 1 lab done, 0 minutes spent.")
    card = page.locator(".frugal-card", has_text="Hashing").first
    expect(card.locator(".frugal-card-minutes")).to_contain_text("min · ✓ read")
    before = page.locator(".frugal-card").first.locator(".frugal-card-minutes").inner_text()
    assert "read" not in before

    line.get_by_role("button", name="Forget it").click()
    expect(line).to_be_hidden()
    expect(card.locator(".frugal-card-minutes")).not_to_contain_text("read")
    assert page.evaluate("localStorage.getItem('frugal-progress')") is None
    assert visit.errors + visit.foreign == []


def test_minutes_count_while_the_page_is_looked_at(browser: Browser, address: str) -> None:
    with visiting(browser) as visit:
        visit.page.clock.install()
        page = visit.page
        page.goto(f"{address}/{CHAPTER}.html")
        page.evaluate("document.body.dispatchEvent(new Event('keydown', { bubbles: true }))")
        page.clock.run_for(60_000)
        kept = json.loads(page.evaluate("localStorage.getItem('frugal-progress')"))
        assert kept["minutes"] == {CHAPTER: 1}
        expect(page.locator("[data-minutes]")).to_have_text("1 minute so far.")
        page.clock.run_for(600_000)  # nobody is there
        kept = json.loads(page.evaluate("localStorage.getItem('frugal-progress')"))
        assert kept["minutes"][CHAPTER] < 2


def test_without_storage_nothing_of_it_is_seen_and_nothing_fails(
    browser: Browser, address: str
) -> None:
    with visiting(browser) as visit:
        visit.context.add_init_script(REFUSE)
        for name, what in ((CHAPTER, "[data-chapter]"), ("index", "[data-kept]")):
            visit.page.goto(f"{address}/{name}.html")
            expect(visit.page.locator(what)).to_be_hidden()
        assert [error for error in visit.errors if "frugal" in error or "progress" in error] == []
