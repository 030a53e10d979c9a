"""Words and legends of drawn pictures stand out from their ground, in light and in dark."""

from __future__ import annotations

import pytest

from tests.site.conftest import PAGES, show_in

# Words of pictures, and the marks that a legend explains, against what is painted below them: axe
# knows the colors of HTML alone. What lies below is found by geometry; a halo is its own ground.
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
    if (!it) return [255, 255, 255];
    return over(getComputedStyle(it).backgroundColor, 1, pageGround(it.parentElement));
  };
  const covers = (it, x, y) => {
    const { left, right, top, bottom } = it.getBoundingClientRect();
    if (x < left || x > right || y < top || y > bottom) return false;
    const inside = new DOMPoint(x, y).matrixTransform(it.getScreenCTM().inverse());
    return it.isPointInFill(inside);
  };
  const shapes = "rect, path, circle, ellipse, polygon";
  const MARKS = ":is(.role-legend-symbol, [id*='legend_']) :is(path, use)";
  const seen = (it) =>
    it.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    it.getBoundingClientRect().width > 0.5;
  const found = new Set();
  for (const picture of document.querySelectorAll("main svg")) {
    if (picture.closest(".katex, .sd-octicon, button") || !seen(picture)) continue;
    const says = (it) =>
      [...it.childNodes].some((part) => part.nodeType === Node.TEXT_NODE && part.data.trim());
    const own = [...picture.querySelectorAll("text, tspan")].filter((it) => says(it) && seen(it));
    const marks = [...picture.querySelectorAll(MARKS)].filter(seen);
    const base = pageGround(picture);
    const painted = own.length ? [...picture.querySelectorAll(shapes)].filter(seen) : [];
    for (const it of [...own, ...marks]) {
      const words = it.matches("text, tspan");
      const style = getComputedStyle(it);
      const { left, right, top, bottom } = it.getBoundingClientRect();
      const [x, y] = [(left + right) / 2, (top + bottom) / 2];
      let ground = base;
      for (const shape of words ? painted : []) {
        if (it.compareDocumentPosition(shape) & Node.DOCUMENT_POSITION_FOLLOWING) break;
        const look = getComputedStyle(shape);
        const solid = look.fill !== "none" && !look.fill.startsWith("url");
        if (!solid || shape.closest("defs, clipPath, mask") || !covers(shape, x, y)) continue;
        ground = over(look.fill, Number(look.fillOpacity) * opacity(shape, picture), ground);
      }
      const alpha = opacity(it, picture);
      const halo = words && style.stroke !== "none" && style.paintOrder.startsWith("stroke");
      const drawn = (kind) => over(style[kind], Number(style[`${kind}Opacity`]) * alpha, ground);
      if (halo && parseFloat(style.strokeWidth) >= 2) ground = drawn("stroke");
      const kinds = ["fill", ...(words ? [] : ["stroke"])].filter((kind) => style[kind] !== "none");
      const colors = kinds.map(drawn);
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


def test_what_is_faint_is_noticed(visit) -> None:
    panel = '<rect y="50" width="200" height="40" fill="#777" />'
    words = [
        f'<text x="9" y="{y}" fill="#{color}">{color}</text>'
        for y, color in ((25, "333"), (40, "999"), (70, "999"))
    ]
    legend = '<g class="role-legend-symbol"><path d="M150 9h9v9z" fill="black" /></g>'
    drawn = f"<svg width=200 height=120>{panel}{''.join(words)}{legend}</svg>"
    visit.page.set_content(f'<body style="background: #121212"><main>{drawn}</main>')
    found = visit.page.evaluate(FAINT)
    assert [one.partition(": ")[2].partition(" (")[0] for one in found] == [
        "333",
        "999",
        "a mark of a legend",
    ]
