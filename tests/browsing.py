"""A real browser for tests: every other host is out of reach, and what goes wrong is noticed.

`FRUGAL_CHROMIUM` names another browser than the one that is found.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    CDPSession,
    Error,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from booktools.chromium import FLAGS, find_chromium
from frugal.show.interactive import Interactive

LONG_MS = 120_000
"""What a busy machine may take until something stands; then a test ends. Nothing is measured."""
expect.set_options(timeout=LONG_MS / 4)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a browser come last: while it is open, no other event loop runs in a process."""
    using = {item.path for item in items if "browser" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in using)


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


# Most of axe's time goes into the contrast of thousands of words that look alike. What has the
# colors, sizes and backgrounds of something that passed, passes. Figures lay things upon each
# other: there each is looked at, and so is what stands in a place of its own.
SAME_LOOK_PASSES_ONCE = """
() => {
  const contrast = axe._audit.checks["color-contrast"];
  const evaluate = contrast.evaluate;
  const grounds = new Map(), passed = new Set();
  const ground = (element) => {
    if (!element) return "";
    if (!grounds.has(element)) {
      const style = getComputedStyle(element);
      const own = [style.backgroundColor, style.backgroundImage, style.opacity, style.filter];
      const placed = style.position !== "static" || style.float !== "none";
      if (placed || style.transform !== "none") own.push(grounds.size);
      grounds.set(element, `${own} ${ground(element.parentElement)}`);
    }
    return grounds.get(element);
  };
  contrast.evaluate = function (element, ...rest) {
    if (element.closest(".frugal-figure, .frugal-picture")) {
      return evaluate.call(this, element, ...rest);
    }
    const style = getComputedStyle(element);
    const text = [style.color, style.fontSize, style.fontWeight, style.textShadow];
    const look = `${text} ${ground(element)}`;
    if (passed.has(look)) return true;
    const result = evaluate.call(this, element, ...rest);
    if (result === true) passed.add(look);
    return result;
  };
}
"""


def seen_by_axe(page: Page) -> list[str]:
    """What axe calls moderate, serious or critical on the page as it stands, a sentence each."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).parent / "axe.min.js"
    page.evaluate(script.read_text(encoding="utf-8"))
    page.evaluate(SAME_LOOK_PASSES_ONCE)
    return page.evaluate(
        """async () => {
          const asked = ["moderate", "serious", "critical"];
          const rest = axe._audit.rules.filter(({ impact }) => impact && !asked.includes(impact));
          const rules = Object.fromEntries(rest.map(({ id }) => [id, { enabled: false }]));
          const options = { resultTypes: ["violations"], preload: false, rules };
          const { violations } = await axe.run(document, options);
          return violations
            .filter(({ impact }) => asked.includes(impact))
            .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => {
              const why = failureSummary.split("\\n").slice(1, 2).join("").trim();
              return `${id} at ${target.join(" ")}: ${why}`;
            }));
        }"""
    )


INTO_VIEW = """
(it) => {
  const inside = () => {
    const { left, top, right, bottom } = it.getBoundingClientRect();
    return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  };
  if (!inside()) it.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
  const { left, top, right, bottom } = it.getBoundingClientRect();
  const [x, y] = [Math.floor(left), Math.floor(top)];
  const size = { width: Math.ceil(right) - x, height: Math.ceil(bottom) - y, scale: 1 };
  return [{ x: x + scrollX, y: y + scrollY, ...size }, !inside()];
}
"""
_sessions: WeakKeyDictionary[Page, CDPSession] = WeakKeyDictionary()


def look_of(element: Locator) -> bytes:
    """The element's pixels, losslessly, in less than half the time of `Locator.screenshot`.

    Nothing is waited for or stopped: what moves by itself must be told to stand, by a style.
    """
    page = element.page
    if page not in _sessions:
        _sessions[page] = page.context.new_cdp_session(page)
    clip, beyond = element.evaluate(INTO_VIEW)
    options = {"clip": clip, "captureBeyondViewport": beyond, "optimizeForSpeed": True}
    return base64.b64decode(_sessions[page].send("Page.captureScreenshot", options)["data"])


@dataclass
class Visit:
    """A page in the browser and what was noticed while it was open."""

    page: Page
    context: BrowserContext
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        """Load a page and wait until its figures and equations stand, and nothing else comes."""
        self.page.goto(url)
        self.page.evaluate("() => window.frugal?.finish()")
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function(
            """() => [...document.querySelectorAll(".frugal-figure")].every(
              (figure) => figure.dataset.mounted || figure.querySelector(".frugal-still"),
            )"""
        )
        return self.page


@contextmanager
def visiting(browser: Browser, **named: Any) -> Iterator[Visit]:
    """A fresh context, with options of `browser.new_context`."""
    options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **named}
    context = browser.new_context(**options)
    context.set_default_timeout(LONG_MS)
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
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A context of the test's own. Parametrize indirectly with options of `visiting`."""
    with visiting(browser, **getattr(request, "param", {})) as visit:
        yield visit


@pytest.fixture
def show(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Interactive], Locator]]:
    """Opens a figure alone on a page and gives its element; nothing may go wrong meanwhile."""
    from booktools.assets import vega_script
    from frugal.show.charts import Chart

    for kind in (Interactive, Chart):
        monkeypatch.setattr(kind, "to_png", lambda self: b"")  # drawn and tested elsewhere

    def opened(figure: Interactive) -> Locator:
        file = tmp_path / "figure.html"
        head = "<!doctype html><html lang=en><meta charset=utf-8><title>A figure</title>"
        head += '<meta name="viewport" content="width=device-width">'
        head += "<style>body { background: var(--frugal-paper) }"
        head += "h1 { position: absolute; margin: 0; color: var(--frugal-ink)"
        head += "; font-size: 1px }</style>"
        if isinstance(figure, Chart):
            head += f"<script>{vega_script()}</script>"
        file.write_text(
            f"{head}<main><h1>A figure</h1>{figure.to_html()}</main></html>", encoding="utf-8"
        )
        visit.page.goto(file.as_uri())
        shown = visit.page.locator(".frugal-figure[data-mounted]")
        shown.wait_for()
        return shown

    yield opened
    assert visit.errors + visit.foreign == []


def hard_to_use(figure: Locator, also: str = "") -> list[str]:
    """Controls of less than 24 pixels, and letters in drawings of less than 11, a sentence each.

    also: a selector of what else is there to be touched.
    """
    return figure.evaluate(
        """(it, also) => {
          const said = (node) => node.getAttribute("aria-label") ?? node.textContent.trim();
          const named = (node) => (said(node) || node.type).slice(0, 30);
          const size = (node) => {
            const { a, b } = node.getScreenCTM(); // some words are turned
            return parseFloat(getComputedStyle(node).fontSize) * Math.hypot(a, b);
          };
          const held = "[role=slider], label:has(> [type=radio], > [type=checkbox])";
          const controls = `button, select, textarea, [type=range], [type=text], ${held}`;
          const seen = (node) => node.checkVisibility({ visibilityProperty: true });
          const small = [...it.querySelectorAll(also ? `${controls}, ${also}` : controls)]
            .filter(seen)
            .map((node) => [node, node.getBoundingClientRect()])
            .filter(([, { width, height }]) => Math.min(width, height) < 23.9)
            .map(([node, { width, height }]) =>
              `${named(node)} is ${width.toFixed(1)} by ${height.toFixed(1)} px`);
          const letters = [...it.querySelectorAll("svg text")]
            .filter((node) => node.textContent.trim() && seen(node))
            .map((node) => [node, size(node)])
            .filter(([, high]) => high < 10.9)
            .map(([node, high]) => `the letters of ${named(node)} have ${high.toFixed(1)} px`);
          return [...small, ...letters];
        }""",
        also,
    )


def heights_of(figure: Locator, states: list[dict[str, Any]]) -> list[float]:
    """How high a figure is in each of these states, one set after the other."""
    return figure.evaluate(
        """(it, states) => states.map((state) => {
          it.model.set(state);
          return it.getBoundingClientRect().height;
        })""",
        states,
    )


# A figure is used as a hand would: each control goes to its first, middle and last place, then
# chance mixes them. A disclosure (`details`) is there to make a figure longer: it stays as it is.
USED = """
async (it, turns) => {
  const controls = () =>
    [...it.querySelectorAll("input, select, textarea, button, [tabindex='0']")].filter(
      (one) =>
        !one.disabled && !one.closest("details:not([open])") &&
        one.checkVisibility({ visibilityProperty: true }),
    );
  const set = (one, value) => {
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(one), "value").set.call(one, value);
    for (const name of ["input", "change"]) one.dispatchEvent(new Event(name, { bubbles: true }));
  };
  const line = "A line of text, as long as anyone will type: 123 + 456 = 579. ";
  const texts = ["", "a", line.repeat(4)];
  const keys = ["ArrowRight", "ArrowDown", "End", "Home", "Enter", " "];
  const ways = (one) => {
    if (one.matches("select")) {
      return [...one.options].map(({ text, value }) => [text, () => set(one, value)]);
    }
    if (one.matches("input[type=range], input[type=number]")) {
      const [low, high] = [Number(one.min || 0), Number(one.max || 100)];
      return [low, high, (low + high) / 2].map((value) => [value, () => set(one, String(value))]);
    }
    if (one.matches("input[type=text], input:not([type]), textarea")) {
      return texts.map((value) => [`"${value.slice(0, 9)}"`, () => set(one, value)]);
    }
    if (one.matches("input, button")) return [["pressed", () => one.click()]];
    return keys.map((key) => [key, () =>
      one.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }))]);
  };
  const label = (one) => {
    const words = one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent;
    return (words || one.tagName).trim().slice(0, 40);
  };
  const high = () => it.getBoundingClientRect().height;
  const before = high();
  const found = [];
  let count = 0;
  const use = async (one, [words, act]) => {
    const name = label(one);
    act();
    await new Promise(requestAnimationFrame); // what draws with the next frame has drawn
    count += 1;
    const grown = high() - before;
    if (Math.abs(grown) > 1) found.push(`${grown.toFixed(1)} px at '${name}', ${words}`);
  };
  for (let place = 0; place < Math.min(controls().length, 40); place += 1) {
    for (let way = 0; way < (controls()[place] ? ways(controls()[place]).length : 0); way += 1) {
      const one = controls()[place];
      if (one && ways(one)[way]) await use(one, ways(one)[way]);
    }
  }
  let chance = 1;
  const draw = (n) => {
    chance = (chance * 48271) % 2147483647;
    return chance % n;
  };
  for (let turn = 0; turn < turns && count; turn += 1) {
    const all = controls();
    const one = all[draw(all.length)];
    const some = ways(one);
    await use(one, some[draw(some.length)]);
  }
  return [count, [...new Set(found)]];
}
"""


def changes_of_height(figure: Locator, turns: int = 60) -> tuple[int, list[str]]:
    """How often the figure was used, and what makes it higher or lower than it was, in words."""
    count, found = figure.evaluate(USED, turns)
    return count, found
