"""The map of the three questions in a browser: what methods remove, links, keys, motion."""

from dataclasses import fields
from typing import get_args

import pytest

from frugal.figures.first_page.question_map import PARTS, QuestionMap
from frugal.figures.first_page.scenes import Scene, Stack, changes, stack_of


@pytest.fixture
def scenes(formulas):
    """Counts of a scene by its name: interactions, representations, parameters."""
    page = formulas("question_scenes.js", "map")
    return lambda name: page.evaluate("(it) => map.counts(map.scene(it))", changes(name))


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


def test_the_script_reads_every_scene_as_python_has_it(formulas):
    page = formulas("question_scenes.js", "map")
    for name in get_args(Scene):
        read = page.evaluate(
            """(it) => Object.fromEntries(Object.entries(map.scene(it)).map(([name, value]) =>
                 [name, value instanceof Float32Array ? [...value] : value]))""",
            changes(name),
        )
        now = stack_of(name)
        assert set(read) == {one.name for one in fields(Stack)}
        for key, value in read.items():
            assert value == pytest.approx(getattr(now, key)), (name, key)
    assert changes("whole") == {}


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
    assert "50 % in use" in figure.inner_text()
    assert "−50 %" in figure.inner_text()
    to_chapter = figure.get_by_role("link", name="To its chapter: Experts")
    assert to_chapter.get_attribute("href") == "chapters/experts.html"


def test_what_is_not_written_yet_says_so(show):
    figure = show(QuestionMap(part=4, links={"Lost in the middle": "lost.html"}))
    unwritten = figure.get_by_text("Its chapter is not written yet.")
    assert not unwritten.is_visible()
    figure.get_by_role("button", name="Fifty-odd").click()
    assert unwritten.is_visible()
    figure.get_by_role("link", name="Lost in the middle").focus()
    assert not unwritten.is_visible()


LINKS = {method.name: f"#{method.name}" for part in PARTS for method in part.methods}


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_that_is_chosen_changes_its_height(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 844})
    figure = show(QuestionMap(links={**LINKS, "Fifty-odd modifications": ""}))
    heights = figure.evaluate(
        """(it) => {
          const seen = new Set(), { model } = it;
          model.get("parts").forEach(({ methods }, part) => {
            for (let method = -1; method < methods.length; method += 1) {
              model.set("method", -1);
              model.set("part", part);
              model.set("method", method);
              seen.add(Math.round(it.getBoundingClientRect().height));
            }
          });
          return [...seen];
        }"""
    )
    assert len(heights) == 1


@pytest.mark.parametrize("visit", [{"has_touch": True}], indirect=True)
def test_a_tap_shows_and_a_second_tap_goes(show, visit):
    figure = show(QuestionMap(part=1, links=LINKS))
    method = figure.get_by_role("link", name="Kernels", exact=True)
    method.tap()
    assert state(figure, "method") == 6
    assert not visit.page.url.endswith("Kernels")
    method.tap()
    assert visit.page.url.endswith("#Kernels")


def test_every_part_shows_something_of_its_own():
    scenes = [part.scene for part in PARTS]
    assert scenes[0] == "whole"
    assert "whole" not in scenes[1:]
    assert not [m.name for part in PARTS[1:] for m in part.methods if m.scene == "whole"]


def shown(figure):
    return state(figure, "part"), state(figure, "method")


@pytest.fixture
def hurry(visit):
    """Waiting takes a thirtieth of its time; gives a function that waits for some steps."""
    visit.page.add_init_script(
        "const wait = setTimeout; window.setTimeout = (act, ms) => wait(act, ms / 30);"
    )
    return lambda: visit.page.wait_for_timeout(500)


def test_it_stands_still_where_less_motion_is_asked_for_and_plays_on_request(show, hurry):
    figure = show(QuestionMap(links=LINKS))
    hurry()
    assert shown(figure) == (0, -1)
    figure.get_by_role("button", name="Play").click()
    hurry()
    assert shown(figure) > (0, 0)
    figure.get_by_role("button", name="Pause").click()
    before = shown(figure)
    hurry()
    assert shown(figure) == before


@pytest.mark.parametrize("visit", [{"reduced_motion": "no-preference"}], indirect=True)
@pytest.mark.parametrize("how", ["key", "touch", "choice", "button"])
def test_it_plays_by_itself_until_the_reader_acts(show, hurry, how):
    figure = show(QuestionMap(links=LINKS))
    hurry()
    assert shown(figure) > (0, 0)
    assert figure.get_by_role("status").get_attribute("aria-live") == "off"
    if how == "key":
        figure.get_by_label("The baseline").press("Shift")
    elif how == "touch":
        figure.locator(".map-counts").dispatch_event("pointerdown", {"pointerType": "touch"})
    elif how == "choice":
        figure.get_by_label("Beyond text").check()
    else:
        figure.get_by_role("button", name="Pause").click()
    before = shown(figure)
    hurry()
    assert shown(figure) == before
    assert figure.get_by_role("button", name="Play").is_visible()
    assert figure.get_by_role("status").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("visit", [{"reduced_motion": "no-preference"}], indirect=True)
def test_it_waits_while_the_pointer_is_over_it(show, visit, hurry):
    figure = show(QuestionMap(links=LINKS))
    figure.locator(".map-counts").hover()
    before = shown(figure)
    hurry()
    assert shown(figure) == before
    visit.page.mouse.move(1279, 899)
    hurry()
    assert shown(figure) != before


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
    figure.get_by_role("button", name="Pause").click()
    figure.evaluate("({ model }) => { model.set('method', -1); model.set('part', 0); }")
    visit.page.wait_for_function(
        """() => Math.abs([...document.querySelectorAll(".map-edges > *")]
          .reduce((sum, it) => sum + Number(it.getAttribute("opacity")), -256)) < 1e-6"""
    )
    at_once = figure.evaluate(
        """(it) => {
          it.model.set("part", 1);
          return [...it.querySelectorAll(".map-edges > *")]
            .reduce((sum, one) => sum + Number(one.getAttribute("opacity")), 0);
        }"""
    )
    assert at_once > 137, "the picture jumped"
    visit.page.wait_for_function(
        """() => [...document.querySelectorAll(".map-edges > *")]
          .reduce((sum, it) => sum + Number(it.getAttribute("opacity")), 0) === 136"""
    )
