"""The lost-in-the-middle figure in a browser: what it shows is the data, and all keys work."""

import numpy as np
import pytest
import torch

from frugal.data import lost_in_the_middle as published
from frugal.figures.lost_in_the_middle.lost_in_the_middle import LostInTheMiddle, TrainedCurves
from frugal.results import mean_interval
from frugal.tasks.retriever import dip

CHANCE = np.random.default_rng(1)
EVEN = np.full(30, 1 / 30)
DEEP = np.clip(CHANCE.normal(0.3, 0.05, (5, 3, 30)), 0, 1)
DEEP[:, 1, [0, 1, 2, 3, 4, 5, 24, 25, 26, 27, 28, 29]] += 0.4  # a U, and it closes
LEVEL = np.clip(CHANCE.normal(0.5, 0.05, (5, 2, 30)), 0, 1)
ASKED = np.random.default_rng(3).dirichlet(np.ones(30))
OURS = [
    TrainedCurves.from_seeds("decoder", "RoPE", "ends", [200, 300, 400], DEEP, asked=ASKED),
    TrainedCurves.from_seeds("decoder", "ALiBi", "ends", [200, 300], LEVEL, asked=ASKED),
    TrainedCurves.from_seeds("decoder", "RoPE", "anywhere", [200, 300], LEVEL, asked=EVEN),
    TrainedCurves.from_seeds("both ways", "RoPE", "ends", [200, 300], LEVEL / 10, asked=ASKED),
]
TABLE = published.curves()


@pytest.fixture
def show(show):
    """Opens the figure with these options alone on a page and gives its element."""
    return lambda **options: show(LostInTheMiddle(OURS, **options))


def state(figure, name):
    return figure.evaluate("(it, name) => it.model.get(name)", name)


def choose(figure, **values):
    figure.evaluate("(it, values) => it.model.set(values)", values)


def points(figure, kind, name):
    return figure.locator(f".middle-{kind} circle").evaluate_all(
        "(all, name) => all.map((it) => [+it.dataset[name], +it.dataset.accuracy])", name
    )


def words(figure):
    return figure.locator(".frugal-readout").all_inner_texts()


def test_every_published_curve_is_drawn_as_it_was_published(show):
    figure = show()
    seen = 0
    for group in state(figure, "groups"):
        for curve in group["curves"]:
            choose(figure, group=group["label"], model=curve["model"])
            drawn = points(figure, "theirs", "position")
            rows = TABLE[(TABLE["model"] == curve["model"]) & (TABLE["source"] == curve["source"])]
            rows = rows[rows["documents"] == group["documents"]].dropna(subset="position")
            task = published.QUESTIONS if group["noun"] == "document" else published.PAIRS
            rows = rows[rows["task"] == task]
            want = [[int(p), a] for p, a in zip(rows["position"], rows["accuracy"], strict=True)]
            assert drawn == want
            assert figure.locator(".middle-source").inner_text() == f"Source: {curve['source']}."
            seen += 1
    assert seen > 70


def test_limits_are_those_of_the_table(show):
    figure = show(group="20 documents", model="MPT-30B-Instruct")
    drawn = figure.locator("[data-limit]").evaluate_all(
        "(all) => Object.fromEntries(all.map((it) => [it.dataset.limit, +it.dataset.accuracy]))"
    )
    assert drawn == {"closed_book": 31.5, "oracle": 81.9}
    choose(figure, group="75 key-value pairs")
    assert figure.locator("[data-limit]").count() == 0


def panel(figure, index):
    return figure.locator(".middle-panel").nth(index)


def curve(panel):
    return panel.locator("circle[data-place]").evaluate_all(
        "(all) => all.map((it) => +it.dataset.accuracy)"
    )


def test_ours_are_the_means_of_the_seeds_at_recorded_moments(show):
    figure = show()
    slider = figure.get_by_role("slider", name="Updates")
    for key, moment in (("Home", 0), ("ArrowRight", 1), ("End", 2)):
        slider.press(key)
        mean = 100 * mean_interval(DEEP[:, moment])[0]
        np.testing.assert_allclose(curve(panel(figure, 0)), mean, atol=0.051)
        dips = panel(figure, 0).locator("[data-dip]")
        told = dips.evaluate_all("(all) => all.map((it) => +it.dataset.dip)")
        want = 100 * dip(torch.from_numpy(DEEP)).mean(0)
        np.testing.assert_allclose(told, want, atol=0.06)
        depth = panel(figure, 0).locator(".middle-dip").inner_text().removeprefix("dip ")
        assert float(depth.replace("−", "-")) == pytest.approx(want[moment].item(), abs=0.6)
    assert "ended at 300" in panel(figure, 1).inner_text()
    np.testing.assert_allclose(curve(panel(figure, 1)), 100 * LEVEL[:, 1].mean(0), atol=0.051)


def test_the_sentence_counts_the_readers_with_a_u(show):
    figure = show()
    said = words(figure)[0]
    assert said.startswith(
        "After 300 updates 1 of the 3 readers has a U, both ends 10 points or more"
    )
    assert "It was asked ends: RoPE (dip 4" in said
    assert figure.locator(".middle-u").count() == 1
    figure.get_by_role("slider", name="Updates").press("End")
    assert words(figure)[0].startswith("After 400 updates none of the 3 readers has a U")
    assert figure.locator(".middle-u").count() == 0


def test_another_architecture_has_its_own_moments(show):
    figure = show(updates=400)
    assert figure.locator(".middle-absent").count() == 1
    figure.get_by_label("both ways").check()
    assert figure.locator(".middle-absent").count() == 3
    assert state(figure, "moment") == 1
    assert figure.get_by_role("slider", name="Updates").get_attribute("max") == "1"
    assert "have learned little: the best is right for 5 %" in words(figure)[0]


def test_steps_ask_and_lead(show):
    figure = show(question="Who?", tries=[("now", "decoder", 300), ("later", "decoder", 400)])
    assert figure.locator(".frugal-steps p").inner_text() == "Who?"
    steps = figure.locator(".frugal-steps button")
    assert steps.nth(0).get_attribute("aria-current") == "step"
    steps.nth(1).click()
    assert state(figure, "moment") == 2
    assert steps.nth(1).get_attribute("aria-current") == "step"


def test_where_training_asked_is_drawn(show):
    bars = show().locator("[data-asked]")
    drawn = bars.evaluate_all("(all) => all.map((it) => +it.dataset.asked)")
    assert drawn == pytest.approx([100 * one for one in (*ASKED, *EVEN)], abs=0.051)


def test_the_answer_moves_by_keyboard(show):
    figure = show(gold=14)
    place = figure.get_by_role("slider", name="Place of the answer")
    for key, gold in {"ArrowRight": 15, "ArrowLeft": 14, "Home": 0, "End": 29}.items():
        place.press(key)
        assert state(figure, "gold") == gold
    assert place.get_attribute("aria-valuetext") == "30 of 30"
    assert "document 20 of 20: 63.2 %" in words(figure)[1]
    told = panel(figure, 0).locator(".middle-told").text_content()
    assert float(told.removesuffix(" %")) == pytest.approx(curve(panel(figure, 0))[29], abs=0.51)


@pytest.mark.parametrize("area", [".middle-theirs", ".middle-ours >> nth=0"])
def test_the_answer_moves_by_mouse(show, visit, area):
    figure = show(gold=14)
    chart = figure.locator(area)
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    up = box["y"] + box["height"] / 3
    visit.page.mouse.move(box["x"] + 0.5 * box["width"], up)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 0.999 * box["width"], up, steps=4)
    assert state(figure, "gold") == 29
    visit.page.mouse.move(box["x"] - 40, up, steps=4)
    assert state(figure, "gold") == 0
    visit.page.mouse.up()
    visit.page.mouse.move(box["x"] + 0.5 * box["width"], up)
    assert state(figure, "gold") == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_its_height_stays(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(tries=[("now", "decoder", 300)])
    heights = set()
    for architecture, moment in (("decoder", 0), ("decoder", 1), ("decoder", 2), ("both ways", 0)):
        choose(figure, architecture=architecture, moment=moment)
        heights.add(figure.bounding_box()["height"])
    for group in state(figure, "groups"):
        longest = max((one["model"] for one in group["curves"]), key=len)
        choose(figure, group=group["label"], model=longest)
        heights.add(figure.bounding_box()["height"])
    for part in (1, 2):
        choose(figure, part=part)
        heights.add(figure.bounding_box()["height"])
    assert len(heights) == 1
    if width < 640:
        assert heights.pop() < 1.5 * 844
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_narrow_page_shows_one_part_at_a_time(show, visit):
    visit.page.set_viewport_size({"width": 390, "height": 844})
    figure = show()
    charts = figure.locator(".middle-chart")
    seen = [charts.nth(at).is_visible() for at in range(charts.count())]
    assert seen == [True, True, False, False, False]
    figure.get_by_label("the paper's").check()
    assert figure.locator(".middle-theirs").is_visible()
    assert not panel(figure, 0).is_visible()
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    panel(figure, 0).wait_for()  # the figure hears of its width a moment later
    assert figure.get_by_label("the paper's").is_disabled()


@pytest.mark.parametrize("width", [375, 700, 1280])
def test_what_is_chosen_stands_clear_of_the_words_below(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(group="20 documents, question before and after")
    choose(figure, part=2)
    words = figure.locator(".middle-words")
    bottoms = words.locator("select").evaluate_all(
        "(all) => all.map((it) => it.getBoundingClientRect().bottom)"
    )
    assert words.locator(".frugal-readout").bounding_box()["y"] >= max(bottoms) + 6


def test_worse_than_no_documents_is_said(show):
    figure = show(gold=14)
    assert "less than with no documents at all, 56.1 %" in words(figure)[1]
    choose(figure, gold=0)
    assert "no documents" not in words(figure)[1]


def test_the_plain_setting_beside(show):
    figure = show(group="20 documents, question before and after", gold=0)
    first = state(figure, "model")
    plain = TABLE[(TABLE["model"] == first) & (TABLE["setting"] == "standard")]
    plain = plain[(plain["documents"] == 20) & (plain["position"] == 1)]["accuracy"].item()
    assert f"the plain setting: {plain:g} % there" in words(figure)[1]
    assert figure.locator(".middle-plain").count() == 1
    figure.get_by_label("Setting", exact=True).select_option(label="20 documents")
    assert figure.locator(".middle-plain").count() == 0


def test_another_setting_keeps_the_model_where_it_can(show):
    figure = show(group="20 documents", model="Claude-1.3")
    figure.get_by_label("Setting", exact=True).select_option(label="30 documents")
    assert state(figure, "model") == "Claude-1.3"
    figure.get_by_label("Setting", exact=True).select_option(label="30 documents, encoder-decoder")
    assert state(figure, "model") == "Flan-UL2"
    figure.get_by_label("Model", exact=True).select_option(label="Flan-T5-XXL")
    assert points(figure, "theirs", "position")[0] == [1, 58.7]


def test_dip_is_the_librarys(formulas):
    """The same formula twice: in the page and in `frugal.tasks.retriever`."""
    values = [DEEP[0, 0].tolist(), DEEP[1, 1, :17].tolist(), DEEP[2, 2, :8].tolist()]
    found = formulas("middle_charts.js", "charts").evaluate("(all) => all.map(charts.dip)", values)
    want = [dip(torch.tensor(one, dtype=torch.float64)).item() for one in values]
    assert found == pytest.approx(want, abs=1e-9)
