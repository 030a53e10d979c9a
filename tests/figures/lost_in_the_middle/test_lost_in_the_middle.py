"""The lost-in-the-middle figure in a browser: what it shows is the data, and all keys work."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from frugal.data import lost_in_the_middle as published
from frugal.figures.lost_in_the_middle.lost_in_the_middle import LostInTheMiddle, TrainedCurves
from frugal.results import mean_interval
from frugal.tasks.retriever import dip

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "lost_in_the_middle"
LATE = np.random.default_rng(1).uniform(0.2, 1, (5, 3, 30))
EARLY = np.random.default_rng(2).uniform(0, 0.4, (5, 2, 30))
ASKED = np.random.default_rng(3).dirichlet(np.ones(30))
OURS = [
    TrainedCurves.from_seeds("a decoder", [200, 300, 400], LATE, asked=ASKED),
    TrainedCurves.from_seeds("an encoder", [200, 300], EARLY, asked=np.full(30, 1 / 30)),
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


def test_ours_are_the_seeds_mean_and_interval(show):
    figure = show(curve=0, moment=1)
    mean, low, high = mean_interval(LATE[:, 1])
    drawn = points(figure, "ours", "place")
    assert [place for place, _ in drawn] == list(range(1, 31))
    np.testing.assert_allclose([a for _, a in drawn], 100 * mean, atol=0.051)
    for gold in (0, 11, 29):
        choose(figure, gold=gold)
        said = words(figure)[1]
        numbers = [float(n) for n in re.findall(r"[\d.]*\d", said)]
        assert numbers[:3] == [300, gold + 1, 30]
        want = [mean[gold], max(0, low[gold]), min(1, high[gold])]
        assert numbers[3] == pytest.approx(100 * want[0], abs=0.051)
        assert numbers[5:7] == pytest.approx([100 * want[1], 100 * want[2]], abs=0.051)
        assert numbers[-1] == pytest.approx(100 * ASKED[gold], abs=0.051)


def test_a_run_that_ended_shows_its_last_moment(show):
    figure = show(curve=1, moment=2)
    assert "After 300 updates (its last)" in words(figure)[1]
    drawn = [accuracy for _, accuracy in points(figure, "ours", "place")]
    np.testing.assert_allclose(drawn, 100 * EARLY[:, 1].mean(0), atol=0.051)


def test_the_answer_moves_by_keyboard(show, visit):
    figure = show(gold=14)
    context = figure.get_by_role("slider", name="Place of the answer in the context")
    context.focus()
    moves = {"ArrowRight": 15, "ArrowLeft": 14, "PageUp": 19, "Home": 0, "ArrowDown": 0, "End": 29}
    for key, gold in moves.items():
        visit.page.keyboard.press(key)
        assert state(figure, "gold") == gold
        assert context.get_attribute("aria-valuenow") == str(gold + 1)
    assert context.get_attribute("aria-valuetext") == "document 20 of 20, pair 30 of 30"
    assert "document 20 of 20: 63.2 %" in words(figure)[0]


@pytest.mark.parametrize("area", [".middle-context", ".middle-theirs", ".middle-ours"])
def test_the_answer_moves_by_mouse(show, visit, area):
    figure = show(gold=14)
    box = figure.locator(area).bounding_box()
    up = box["y"] + box["height"] / 2
    visit.page.mouse.move(box["x"] + 0.5 * box["width"], up)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 0.999 * box["width"], up, steps=4)
    assert state(figure, "gold") == 29
    visit.page.mouse.move(box["x"] - 40, up, steps=4)
    assert state(figure, "gold") == 0
    visit.page.mouse.up()
    visit.page.mouse.move(box["x"] + 0.5 * box["width"], up)
    assert state(figure, "gold") == 0
    assert (
        figure.locator(".middle-context span").evaluate_all(
            "(all) => all.findIndex((it) => it.classList.contains('middle-gold'))"
        )
        == 0
    )


def test_worse_than_no_documents_is_said(show):
    figure = show(gold=14)
    assert "less than with no documents at all, 56.1 %" in words(figure)[0]
    choose(figure, gold=0)
    assert "no documents" not in words(figure)[0]


def test_the_plain_setting_beside(show):
    figure = show(group="20 documents, question before and after", gold=0)
    box = figure.get_by_label("and the plain setting")
    box.check()
    first = state(figure, "model")
    plain = TABLE[(TABLE["model"] == first) & (TABLE["setting"] == "standard")]
    plain = plain[(plain["documents"] == 20) & (plain["position"] == 1)]["accuracy"].item()
    assert f"the plain setting: {plain:g} % there" in words(figure)[0]
    assert figure.locator(".middle-plain").count() == 1
    figure.get_by_label("Setting", exact=True).select_option(label="20 documents")
    assert figure.get_by_label("and the plain setting").is_disabled()
    assert figure.locator(".middle-plain").count() == 0


def test_another_setting_keeps_the_model_where_it_can(show):
    figure = show(group="20 documents", model="Claude-1.3")
    figure.get_by_label("Setting", exact=True).select_option(label="30 documents")
    assert state(figure, "model") == "Claude-1.3"
    figure.get_by_label("Setting", exact=True).select_option(label="30 documents, encoder-decoder")
    assert state(figure, "model") == "Flan-UL2"
    figure.get_by_label("Model", exact=True).select_option(label="Flan-T5-XXL")
    assert points(figure, "theirs", "position")[0] == [1, 58.7]


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_sticks_out(show, visit, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    figure = show(group="20 documents, question before and after", model="GPT-3.5-Turbo-16K (0613)")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    box = figure.locator(".middle-theirs").bounding_box()
    assert box["width"] > (280 if width == 375 else 400)


def test_dip_is_the_librarys():
    """The same formula twice: in the page and in `frugal.tasks.retriever`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node to run the figure's module alone")
    values = [LATE[0, 0].tolist(), LATE[1, 1, :17].tolist(), LATE[2, 2, :8].tolist()]
    module = FIGURE / "lost_in_the_middle.js"
    script = (
        f"import {{ dip }} from {json.dumps(module.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(values)}.map(dip)))"
    )
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], capture_output=True, text=True, check=True
    )
    want = [dip(torch.tensor(one, dtype=torch.float64)).item() for one in values]
    assert json.loads(done.stdout) == pytest.approx(want, abs=1e-9)
