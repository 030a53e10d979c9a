"""Can everyone read it: axe in light and dark, and pages that fit a phone and a wide screen."""

from __future__ import annotations

import pytest

from tests.browsing import seen_by_axe
from tests.site.conftest import PAGES, WITH_FIGURES, show_in


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


# Sizes as they are seen: a drawing that is shrunk to a phone shrinks its words. Figures that draw
# with Vega may only now come, at this width.
SMALL_WORDS = """
() => {
  const found = new Set();
  const seen = (it) => {
    const { width, height } = it.getBoundingClientRect();
    const shown = it.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    return shown && width > 1 && height > 1;
  };
  for (const it of document.querySelectorAll("main *")) {
    const own = [...it.childNodes].filter((part) => part.nodeType === Node.TEXT_NODE);
    const words = own.map((part) => part.data).join("").replaceAll("\\u200b", "").trim();
    if (!words || it.closest("script, style, .katex-mathml, title, desc") || !seen(it)) continue;
    let size = parseFloat(getComputedStyle(it).fontSize);
    if (it.ownerSVGElement) {
      const { a, b } = it.getScreenCTM();
      size *= Math.hypot(a, b);
    }
    if (size < 10.95) found.add(`${size.toFixed(1)} px: ${words.slice(0, 40)}`);
  }
  return [...found];
}
"""


@pytest.mark.parametrize("name", PAGES)
def test_no_word_on_a_phone_is_under_11_pixels(opened, name) -> None:
    page = opened.page
    show_in(page, "dark", 390)
    assert page.evaluate(SMALL_WORDS) == []


# A formula is its bases (boxes around it are larger than its ink), code is its lines. Whatever cuts
# one off on its way up to the page is a fault, except a box that scrolls, has a stop of the tab key,
# and begins with the beginning.
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
      return around([...it.querySelectorAll(".katex-html > .base")].map((one) => one.getBoundingClientRect()));
    }
    const range = document.createRange();
    range.selectNodeContents(it);
    return range.getBoundingClientRect();
  };
  const beyond = (inner, outer) => ({
    across: inner.left < outer.left - 1 || inner.right > outer.right + 1,
    down: inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1,
  });
  for (const it of document.querySelectorAll("main .katex, main pre")) {
    if (!it.checkVisibility({ visibilityProperty: true }) || it.closest("details:not([open])")) continue;
    const tell = (what) => found.add(`${what}: ${(it.querySelector("annotation") ?? it).textContent.trim().slice(0, 60)}`);
    let box = boxOf(it);
    const number = it.closest("div.math")?.querySelector(".eqno")?.getBoundingClientRect();
    const apart = !number || number.left >= box.right || number.right <= box.left
      || number.top >= box.bottom || number.bottom <= box.top;
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
    if (box.left < -1 || box.right > document.documentElement.clientWidth + 1) tell("leaves the page");
    const reached = !number || number.left >= box.right || number.right <= box.left;
    if (!apart && !reached) tell("lies under its number");
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


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_no_figure_is_taller_than_a_phone_and_a_half(opened, name) -> None:
    """What a control moves should be near it."""
    page = opened.page
    show_in(page, "dark", 390)
    heights = page.locator(".frugal-figure[data-mounted]").evaluate_all(
        "(all) => all.map((it) => [it.dataset.module, it.getBoundingClientRect().height])"
    )
    assert [(module, height) for module, height in heights if height > 1.5 * 844] == []


# Words of pictures, and the marks that a legend explains, against what is painted below them: axe
# knows only the colors of HTML. What lies below is found by geometry; a halo is a ground of its own.
FAINT = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const channels = (color) => {
    if (!known.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, alpha / 255]);
    }
    return known.get(color);
  };
  const over = (color, alpha, ground) => {
    const [r, g, b, own] = channels(color);
    return [r, g, b].map((one, at) => one * own * alpha + ground[at] * (1 - own * alpha));
  };
  const light = (color) => {
    const [r, g, b] = color.map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const opacity = (it, top) => {
    let all = 1;
    for (let one = it; one && one !== top.parentElement; one = one.parentElement) {
      all *= Number(getComputedStyle(one).opacity);
    }
    return all;
  };
  const pageGround = (it) => {
    if (!it) return channels(getComputedStyle(document.body).backgroundColor)[3] ? [0, 0, 0] : [255, 255, 255];
    const below = pageGround(it.parentElement);
    return over(getComputedStyle(it).backgroundColor, 1, below);
  };
  const solid = (it, style) => style.fill !== "none" && !style.fill.startsWith("url");
  const covers = (it, x, y) => {
    const { left, right, top, bottom } = it.getBoundingClientRect();
    if (x < left || x > right || y < top || y > bottom) return false;
    const inside = new DOMPoint(x, y).matrixTransform(it.getScreenCTM().inverse());
    return it.isPointInFill(inside);
  };
  const shapes = "rect, path, circle, ellipse, polygon";
  const seen = (it) =>
    it.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && it.getBoundingClientRect().width > 0.5;
  const found = new Set();
  for (const picture of document.querySelectorAll("main svg")) {
    if (picture.closest(".katex, .sd-octicon, button") || !seen(picture)) continue;
    const own = [...picture.querySelectorAll("text, tspan")].filter(
      (it) => seen(it) && [...it.childNodes].some((part) => part.nodeType === Node.TEXT_NODE && part.data.trim()),
    );
    const marks = [...picture.querySelectorAll(":is(.role-legend-symbol, [id*='legend_']) :is(path, use)")];
    const base = pageGround(picture);
    const painted = own.length + marks.length ? [...picture.querySelectorAll(shapes)].filter(seen) : [];
    for (const it of [...own, ...marks.filter(seen)]) {
      const words = it.matches("text, tspan");
      const style = getComputedStyle(it);
      const { left, right, top, bottom } = it.getBoundingClientRect();
      const [x, y] = [(left + right) / 2, (top + bottom) / 2];
      let ground = base;
      for (const shape of words ? painted : []) {
        if (it.compareDocumentPosition(shape) & Node.DOCUMENT_POSITION_FOLLOWING) break;
        const look = getComputedStyle(shape);
        if (shape.closest("defs, clipPath, mask") || !solid(shape, look) || !covers(shape, x, y)) continue;
        ground = over(look.fill, Number(look.fillOpacity) * opacity(shape, picture), ground);
      }
      const alpha = opacity(it, picture);
      const halo = words && style.stroke !== "none" && style.paintOrder.startsWith("stroke");
      if (halo && parseFloat(style.strokeWidth) >= 2) ground = over(style.stroke, Number(style.strokeOpacity) * alpha, ground);
      const colors = [];
      if (style.fill !== "none") colors.push(over(style.fill, Number(style.fillOpacity) * alpha, ground));
      if (!words && style.stroke !== "none") colors.push(over(style.stroke, Number(style.strokeOpacity) * alpha, ground));
      const best = Math.max(...colors.map((one) => contrast(one, ground)));
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (colors.length && best < (words && !large ? 4.5 : 3)) {
        const name = words ? it.textContent.trim().slice(0, 40) : "a mark of a legend";
        found.add(`${best.toFixed(2)}: ${name} (${style.fill} on ${ground.map(Math.round)})`);
      }
    }
  }
  return [...found];
}
"""


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("name", PAGES)
def test_words_and_legends_of_pictures_stand_out(opened, name, theme) -> None:
    page = opened.page
    show_in(page, theme, 390)
    for _ in range(20):  # charts are drawn anew in the other colors
        problems = page.evaluate(FAINT)
        if not problems:
            break
        page.wait_for_timeout(100)
    assert problems == []


@pytest.mark.parametrize("visit", [{"color_scheme": "dark"}], indirect=True)
def test_light_or_dark_is_settled_before_any_script_has_come(visit, address) -> None:
    """The theme's rules for code are of light or of dark: settled late, they move the words."""
    visit.page.route("**/_static/scripts/*.js", lambda route: route.abort())
    visit.page.goto(f"{address}/chapters/appendix/in-your-own-model.html")
    assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_folded_code_is_one_quiet_line_below_its_output(visit, html) -> None:
    page = visit.open((html / "chapters/2-interactions/kernels.html").as_uri())
    boxes = page.evaluate(
        """() => [
          ...document.querySelectorAll(".cell.tag_hide-input:has(.cell_output)"),
        ].map((cell) => {
          const code = cell.querySelector("summary").getBoundingClientRect();
          const output = cell.querySelector(".cell_output").getBoundingClientRect();
          return { below: code.top - output.bottom, height: code.height, width: code.width };
        })"""
    )
    assert len(boxes) > 5
    for box in boxes:
        assert box["below"] > -1
        assert 24 <= box["height"] <= 32
        assert box["width"] < 100
    code = page.locator(".cell.tag_hide-input details").first
    code.locator("summary").press("Enter")
    assert code.locator(".cell_input").is_visible()
    assert "hide the code" in code.locator("summary").inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_folded_code_stands_behind_its_output_while_the_page_is_read(parsed, name) -> None:
    """Set there by a style, it would stand above first, and move when the output comes."""
    for cell in parsed(name).select(".cell.tag_hide-input:has(> .cell_output)"):
        last = cell.find_all(True, recursive=False)[-1]
        assert last.name == "details", cell.get_text()[:80]


ROW_NAMES = """
() => [...document.querySelectorAll(".cell_output table tbody tr")].flatMap((row) => {
  const names = [...row.querySelectorAll("th")];
  return names.filter((it) => !["left", "start"].includes(getComputedStyle(it).textAlign))
    .map((it) => it.textContent);
})
"""


@pytest.mark.parametrize("name", PAGES)
def test_all_names_of_a_row_stand_on_the_left(opened, name) -> None:
    """Where two columns name a row, only each first row of a group begins with the first."""
    assert opened.page.evaluate(ROW_NAMES) == []
