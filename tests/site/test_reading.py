"""Can everyone read it: axe in light and dark, and pages that fit a phone and a wide screen."""

from __future__ import annotations

import pytest

from tests.browsing import seen_by_axe


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, address, pages, theme: str) -> None:
    problems = []
    visit.context.add_init_script(
        f"localStorage.setItem('mode', '{theme}');localStorage.setItem('theme', '{theme}');"
    )
    for name in pages:
        page = visit.open(f"{address}/{name}")
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        problems += [f"{name} ({theme}): {problem}" for problem in seen_by_axe(page)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("width", [375, 1440])
def test_pages_fit_the_screen(visit, address, pages, width: int) -> None:
    problems = []
    visit.page.set_viewport_size({"width": width, "height": 900})
    for name in pages:
        page = visit.open(f"{address}/{name}")
        excess = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if excess > 0:
            problems.append(f"{name} is {excess} px wider than {width} px")
    assert not problems, "\n".join(problems)
