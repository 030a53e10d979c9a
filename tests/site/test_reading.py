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


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_no_figure_is_taller_than_a_phone_and_a_half(opened, name) -> None:
    """What a control moves should be near it."""
    page = opened.page
    show_in(page, "dark", 390)
    heights = page.locator(".frugal-figure[data-mounted]").evaluate_all(
        "(all) => all.map((it) => [it.dataset.module, it.getBoundingClientRect().height])"
    )
    assert [(module, height) for module, height in heights if height > 1.5 * 844] == []


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
