"""Formulas and code are whole, or scroll where the keyboard reaches them."""

from __future__ import annotations

import pytest

from tests.site.conftest import PAGES, show_in

# A formula is its bases (boxes around it are larger than its ink), code is its lines. What cuts one
# off on its way up to the page is a fault, except a box that scrolls, at which the tab key stops,
# and which begins with the beginning.
CUT_OFF = """
() => {
  const found = new Set();
  const around = (boxes) => ({
    left: Math.min(...boxes.map(({ left }) => left)),
    right: Math.max(...boxes.map(({ right }) => right)),
    top: Math.min(...boxes.map(({ top }) => top)),
    bottom: Math.max(...boxes.map(({ bottom }) => bottom)),
  });
  const boxOf = (it) => {
    if (it.matches(".katex")) {
      const bases = [...it.querySelectorAll(".katex-html > .base")];
      return around(bases.map((one) => one.getBoundingClientRect()));
    }
    // Not what a range holds: spaces where a line breaks hang over the edge, and nobody sees them.
    const { left, top, width, height } = it.getBoundingClientRect();
    const [across, down] = [Math.max(width, it.scrollWidth), Math.max(height, it.scrollHeight)];
    return { left, top, right: left + across, bottom: top + down };
  };
  const beyond = (inner, outer) => ({
    across: inner.left < outer.left - 1 || inner.right > outer.right + 1,
    down: inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1,
  });
  for (const it of document.querySelectorAll("main .katex, main pre")) {
    const shown = it.checkVisibility({ visibilityProperty: true });
    if (!shown || it.closest("details:not([open])")) continue;
    const source = it.querySelector("annotation") ?? it;
    const words = source.textContent.trim().replaceAll(/\\s+/g, " ");
    const tell = (what) => found.add(`${what}: ${words.slice(0, 60)}`);
    let box = boxOf(it);
    const number = it.closest("div.math")?.querySelector(".eqno")?.getBoundingClientRect();
    for (let outer = it; outer !== document.body; outer = outer.parentElement) {
      const { overflowX, overflowY, display } = getComputedStyle(outer);
      if (display === "inline" || display === "contents") continue;
      const edges = outer.getBoundingClientRect();
      const { across, down } = beyond(box, edges);
      const scrolls = ["auto", "scroll"];
      if (overflowX !== "visible" && across) {
        if (!scrolls.includes(overflowX)) tell(`cut off by .${outer.className}`);
        else if (outer.tabIndex < 0) tell("scrolls without a stop of the tab key");
        else if (box.left < edges.left - 1) tell("begins before the box that scrolls");
        box = { ...box, left: edges.left, right: edges.right };
      }
      if (overflowY !== "visible" && down) {
        if (!scrolls.includes(overflowY)) tell(`cut off above or below by .${outer.className}`);
        box = { ...box, top: edges.top, bottom: edges.bottom };
      }
    }
    const { clientWidth } = document.documentElement;
    if (box.left < -1 || box.right > clientWidth + 1) tell("leaves the page");
    const across = number && number.left < box.right && number.right > box.left;
    if (across && number.top < box.bottom && number.bottom > box.top) tell("lies under its number");
  }
  return [...found];
}
"""


@pytest.mark.parametrize("name", PAGES)
def test_no_formula_and_no_code_is_cut_off(opened, name) -> None:
    page = opened.page
    problems = []
    for width in (390, 1280):
        show_in(page, "dark", width)
        problems += [f"at {width} px {one}" for one in page.evaluate(CUT_OFF)]
    assert problems == []


def test_what_is_cut_off_is_noticed(visit) -> None:
    base = '<span class="katex"><span class="katex-html"><span class="base">{}</span></span></span>'
    wide = base.format('<i style="display: inline-block; width: 300px">x</i>')
    boxes = [f'<div style="width: 100px; overflow: {it}">{wide}</div>' for it in ("hidden", "auto")]
    reached = '<pre tabindex="0" style="width: 100px; overflow: auto">a line that is too long</pre>'
    visit.page.set_content(f"<main>{''.join(boxes)}{reached}</main>")
    found = visit.page.evaluate(CUT_OFF)
    assert [one.partition(":")[0] for one in found] == [
        "cut off by .",
        "scrolls without a stop of the tab key",
    ]
