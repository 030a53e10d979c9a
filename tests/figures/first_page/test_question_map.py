"""The map of the three questions in a browser: what methods remove, links, keys, motion."""

from pathlib import Path
from typing import get_args

import pytest

from frugal.figures.first_page.question_map import PARTS, QuestionMap, Scene
from frugal.show.modules import bundle

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "first_page"


@pytest.fixture
def scenes(visit):
    """Counts of a scene by its name: interactions, representations, parameters."""
    visit.page.goto("about:blank")
    visit.page.evaluate(f"window.map = {bundle(FIGURE / 'question_scenes.js')}; null")
    return lambda name: visit.page.evaluate("(name) => map.counts(map.scene(name))", name)


def test_counts_are_those_of_the_method(scenes):
    assert scenes("whole") == {"interactions": 4 * 64, "representations": 32, "parameters": 1}
    assert scenes("windows")["interactions"] == 2 * 2 * 16 + 2 * (4 + 16 + 4)
    assert scenes("convolution")["interactions"] == 4 * (8 + 2 * 7)
    assert scenes("hashing")["interactions"] == 4 * (9 + 9 + 4)
    assert scenes("sorting")["interactions"] == 4 * 4 * 2 * 4
    assert scenes("low-rank")["interactions"] == 4 * 2 * (8 + 8)
    assert scenes("kernels")["interactions"] == 4 * (8 + 8)
    assert scenes("latents") == {
        "interactions": 3 * 8 + 3 * 9,
        "representations": 4 * 3,
        "parameters": 1,
    }
    pooled = scenes("pooling")  # rows of 8, 8, 4, 4 and 2
    assert pooled["representations"] == 8 + 4 + 4 + 2
    assert pooled["interactions"] == 8 * 8 + 4 * 8 + 4 * 4 + 2 * 4
    assert scenes("exit")["interactions"] == 2 * 64
    assert scenes("fewer-layers")["parameters"] == 0.5
    assert scenes("shared")["parameters"] == 0.25
    # a third of the parameters is attention's; of the rest a token uses one expert of four
    assert scenes("experts")["parameters"] == pytest.approx(1 / 3 + 2 / 3 / 4)


def test_every_method_has_a_picture_and_removes_what_its_question_asks_about(scenes):
    whole = scenes("whole")
    # FNet mixes all pairs without parameters; entmax heads leave interactions out, not parameters
    elsewhere = {"fixed": None, "entmax": "interactions"}
    for part in PARTS:
        for method in part.methods:
            removed = elsewhere.get(method.scene, part.about)
            if removed:
                assert scenes(method.scene)[removed] < whole[removed], method.name
    assert {method.scene for part in PARTS for method in part.methods} <= set(get_args(Scene))


def test_python_and_javascript_know_the_same_scenes(visit, scenes):
    for name in get_args(Scene):
        assert scenes(name)["representations"] > 0
    with pytest.raises(Exception, match="There is no scene named pruning"):
        scenes("pruning")


def state(figure, name):
    return figure.evaluate("(it, name) => it.model.get(name)", name)


def opacity(figure, group: str) -> float:
    """Strength of everything drawn in a group, summed."""
    return figure.locator(f".map-{group} > *").evaluate_all(
        "(all) => all.reduce((sum, it) => sum + Number(it.getAttribute('opacity')), 0)"
    )


def test_choosing_a_question_removes_from_the_picture(show, visit):
    figure = show(QuestionMap())
    assert opacity(figure, "edges") == 256
    assert opacity(figure, "nodes") == 40
    figure.get_by_label("Which interactions are needed?").check()
    assert opacity(figure, "edges") == 136  # a band and one global token
    assert opacity(figure, "nodes") == 40
    assert "136 of 256" in figure.inner_text()
    visit.page.keyboard.press("ArrowDown")
    assert state(figure, "part") == 2
    assert opacity(figure, "nodes") == 8 + 18
    for method in PARTS[2].methods:
        assert method.name in figure.inner_text()


def test_a_method_shows_what_it_leaves(show):
    figure = show(QuestionMap(part=1))
    method = figure.get_by_role("button", name="Kernels")
    method.focus()
    assert "64 of 256" in figure.inner_text()
    assert "Kernels: one summary" in figure.get_by_role("status").inner_text()
    figure.get_by_role("button", name="Swin windows").hover()
    assert "112 of 256" in figure.inner_text()


def test_methods_with_a_chapter_are_links(show):
    figure = show(QuestionMap(part=3, links={"Experts": "chapters/experts.html"}))
    links = figure.get_by_role("link")
    assert links.all_inner_texts() == ["Experts"]
    assert links.get_attribute("href") == "chapters/experts.html"
    links.focus()
    assert "50 %" in figure.inner_text()


def test_clicking_the_picture_chooses_the_question(show, visit):
    figure = show(QuestionMap())
    picture = figure.locator(".map-stack")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    scale = box["width"] / 424
    for x, y, part in ((390, 100, 3), (100, 72, 1), (111, 102, 2)):
        visit.page.mouse.click(box["x"] + x * scale, box["y"] + y * scale)
        assert state(figure, "part") == part


@pytest.mark.parametrize("visit", [{"reduced_motion": "no-preference"}], indirect=True)
def test_it_moves_smoothly_and_arrives(show, visit):
    figure = show(QuestionMap())
    visit.page.wait_for_timeout(800)
    assert opacity(figure, "edges") == pytest.approx(256)
    figure.evaluate("(it) => it.model.set('part', 1)")
    at_once = opacity(figure, "edges")
    assert at_once > 137, "the picture jumped"
    visit.page.wait_for_function(
        """() => [...document.querySelectorAll(".map-edges > *")]
          .reduce((sum, it) => sum + Number(it.getAttribute("opacity")), 0) === 136"""
    )


@pytest.mark.parametrize("width", [375, 768, 1440])
def test_it_fits(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(QuestionMap(part=1))
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth - it.clientWidth") <= 0
