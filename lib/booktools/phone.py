"""How heavy pages are, and how long a slow phone takes to show them.

`python -m booktools phone` prints the table; tests/site/test_weight.py holds the budget. Bytes are
those of a server that compresses, as every host of static sites does. Times are of this machine's
Chromium with its processor slowed down and a slow network, so they need a quiet machine; bytes,
requests and shifts do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

KILOBITS_PER_SECOND = 1600
LATENCY_MS = 150
SLOWER = 4
"""By how much the processor is slowed down."""

# Read while the page loads: long tasks block the reader for what they take beyond 50 ms.
_OBSERVE = """
window.__seen = { blocked: 0, shift: 0, paint: null };
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) window.__seen.blocked += duration - 50;
}).observe({ type: "longtask", buffered: true });
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) {
    if (!hadRecentInput) window.__seen.shift += value;
  }
}).observe({ type: "layout-shift", buffered: true });
new PerformanceObserver((list) => {
  for (const { name, startTime } of list.getEntries()) {
    if (name === "first-contentful-paint") window.__seen.paint = startTime;
  }
}).observe({ type: "paint", buffered: true });
"""


# What a reader sees first depends on how fast the machine reads the page, and so does what moves
# then. Here a page is read as far as it can be, then painted, and all it asks for comes after that:
# it shifts as much on any machine.
_HIDE = """
const hidden = new CSSStyleSheet();
hidden.replaceSync("body { display: none !important }");
document.adoptedStyleSheets = [hidden];
window.__show = () => { document.adoptedStyleSheets = []; };
"""
_IS_READ = """
() => {
  const all = document.getElementsByTagName("*");
  const waits = all[all.length - 1]?.matches("body script[src]:not([defer], [async])");
  return document.readyState !== "loading" || Boolean(waits);
}
"""
_NEEDED_TO_READ = "documentation_options.js"
_TWO_FRAMES = """
async () => {
  for (let frames = 0; frames < 2; frames += 1) await new Promise(requestAnimationFrame);
}
"""


@dataclass(frozen=True)
class Weight:
    """What one page costs: requests, kilobytes sent, milliseconds, and how far it shifted."""

    page: str
    requests: int
    kilobytes: float
    paint_ms: float
    load_ms: float
    blocked_ms: float
    shift: float


def weigh(browser: Browser, address: str, page: str, *, slow: bool = True) -> Weight:
    """Load one page of the site at `address` on a phone's screen, and see what it took.

    slow: with the slow network and processor. Without, times mean nothing, bytes are the same, and
    the shift is that of a page which has been read and painted before anything else comes: a fast
    machine and a busy one see the same.
    """
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    tab = context.new_page()
    devtools = context.new_cdp_session(tab)
    sent = {"requests": 0, "bytes": 0}

    def finished(event: dict[str, Any]) -> None:
        sent["requests"] += 1
        sent["bytes"] += event["encodedDataLength"]

    devtools.on("Network.loadingFinished", finished)
    devtools.send("Network.enable")
    devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    if slow:
        limit = KILOBITS_PER_SECOND * 1000 / 8
        network = {"latency": LATENCY_MS, "downloadThroughput": limit, "uploadThroughput": limit}
        devtools.send("Network.emulateNetworkConditions", {"offline": False, **network})
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    tab.add_init_script(_OBSERVE)
    if slow:
        tab.goto(f"{address}/{page}", wait_until="load", timeout=120_000)
    else:
        _words_first(tab, f"{address}/{page}")
    tab.wait_for_load_state("networkidle", timeout=120_000)
    tab.wait_for_timeout(1500 if slow else 300)
    seen = tab.evaluate("window.__seen")
    load = tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    context.close()
    return Weight(
        page,
        sent["requests"],
        sent["bytes"] / 1000,
        seen["paint"] or float("nan"),
        load,
        seen["blocked"],
        seen["shift"],
    )


def _words_first(tab: Page, url: str) -> None:
    """Load a page, and let what it asks for come when its words stand."""
    held: list[Route] = []
    stands = False

    def hold(route: Route) -> None:
        asked = route.request
        needed = asked.resource_type in ("document", "stylesheet") or _NEEDED_TO_READ in asked.url
        if stands or needed:
            route.continue_()
        else:
            held.append(route)

    tab.add_init_script(_HIDE)
    tab.route("**/*", hold)
    tab.goto(url, wait_until="commit", timeout=120_000)
    tab.wait_for_function(_IS_READ, polling=50, timeout=120_000)
    tab.evaluate("window.__show()")
    tab.wait_for_function("window.__seen.paint !== null", polling=50, timeout=120_000)
    tab.evaluate(_TWO_FRAMES)
    stands = True
    for route in held:
        route.continue_()
    tab.wait_for_load_state("load", timeout=120_000)


def pages_of(folder: Path) -> list[str]:
    """The book's pages: the first, then the chapters and the appendix."""
    chapters = sorted(folder.glob("chapters/*/*.html"))
    return ["index.html", *(path.relative_to(folder).as_posix() for path in chapters)]


def report(folder: Path, pages: Iterable[str] = ()) -> Iterator[str]:
    """Lines of a table, one page after the other. Raises ValueError without a site or a browser."""
    if not (folder / "index.html").is_file():
        raise ValueError(f"{folder} holds no built site; run `make book` first.")
    known = pages_of(folder)
    chosen = list(pages) or known
    if unknown := [page for page in chosen if page not in known]:
        raise ValueError(f"page is {unknown[0]!r}; the site has {', '.join(known)}.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise ValueError("weighing pages needs Playwright: pip install playwright.") from None
    from booktools.chromium import FLAGS, find_chromium
    from booktools.serve import serving

    yield (
        f"{KILOBITS_PER_SECOND} kbit/s, {LATENCY_MS} ms, processor {SLOWER}x slower, "
        "390 by 844 pixels, compressed"
    )
    yield f"{'page':58s} requests     KB  paint s  load s  blocked s  shift"
    with serving(folder, compressed=True) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for page in chosen:
            one = weigh(browser, address, page)
            times = f"{one.paint_ms / 1000:7.2f} {one.load_ms / 1000:7.2f}"
            blocked = f"{one.blocked_ms / 1000:9.2f}"
            yield (
                f"{page:58s} {one.requests:8d} {one.kilobytes:6.0f}  {times}  {blocked}"
                f"  {one.shift:5.3f}"
            )
        browser.close()
