"""The letters of a text in a browser: the library's exits and drafts, by mouse and by key."""

import random

import pytest
import torch
from torch import nn

from frugal.decoding import speculate
from frugal.figures.writing_with_fewer_layers import LetterLayers, WrittenText
from frugal.model import Decoder, TransformerConfig
from tests.figures.gallery import letter_layers


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("letter_formulas.js", "few")
    made = letter_layers()
    for text in (0, 1):
        made.state["text"] = text
        shown = made.state["texts"][text]
        for place in range(3):
            made.state["threshold"] = place
            given = [shown["early"][place], shown["layers"][place], shown["whole"]]
            found = page.evaluate("(given) => few.outcome(...given)", given)
            assert (found["layers"], found["same"], found["first"]) == made.outcome()
        for depth in (1, 2, 3):
            for n in (1, 3, 8):
                made.state.update(depth=depth, n_drafted=n)
                given = [shown["whole"], shown["lower"][depth - 1], n]
                found = page.evaluate("(given) => few.rounds(...given)", given)
                assert [tuple(one.values()) for one in found] == made.rounds()


@pytest.mark.parametrize(("room", "rows"), [(98, 2), (97, 3), (300, 1)])
def test_rows_of_checks_are_counted_as_a_line_breaks(formulas, room, rows):
    """70 and 26 pixels beside each other take 98; a check of 136 stays whole, in a row alone."""
    page = formulas("letter_formulas.js", "few")
    checks = [{"accepted": accepted} for accepted in (2, 0, 5)]
    sizes = {"cell": 20, "gap": 2, "apart": 6}
    assert page.evaluate("(given) => few.rowsOf(...given)", [checks, sizes, room]) == rows


def test_rounds_are_those_that_the_library_runs():
    torch.manual_seed(0)
    shape = {"d_model": 16, "n_heads": 2, "n_layers": 4, "positions": "rope", "tied": False}
    model = Decoder(TransformerConfig(27, **shape)).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    prompt = torch.randint(27, (6,), generator=torch.Generator().manual_seed(0))
    text = WrittenText.by(
        model,
        prompt,
        decode=lambda ids: [str(one) for one in ids.tolist()],
        thresholds=(1.0,),
        max_new_tokens=30,
    )
    kept = set()
    for depth in (1, 2, 3):
        for n in (1, 4):
            rounds = LetterLayers([text], depth=depth, n_drafted=n).rounds()
            options = {"draft_layers": depth, "n_drafted": n, "max_new_tokens": 30}
            ran = speculate(model, prompt[None], **options)
            counts = [sum(one.drafted for one in rounds), sum(one.accepted for one in rounds)]
            assert [*counts, len(rounds)] == [ran.drafted, ran.accepted, ran.checks]
            assert [str(one) for one in ran.ids[0, 6:].tolist()] == text.whole
            kept.add(ran.accepted)
    assert len(kept) > 2


def test_the_series_is_the_mean_over_draws(formulas):
    page = formulas("letter_formulas.js", "few")
    draw = random.Random(0)
    for p, n in ((0.3, 2), (0.8, 4), (0.95, 8)):
        total = 0
        for _ in range(4000):
            held = 0
            while held < n and draw.random() < p:
                held += 1
            total += held + 1
        found = page.evaluate("([p, n]) => few.expected(p, n)", [p, n])
        assert found == pytest.approx(total / 4000, rel=0.03)
    assert page.evaluate("() => few.expected(1, 4)") == 5


def said(figure):
    return figure.locator(".frugal-readout").inner_text()


def test_letters_and_layers_follow_the_threshold(show):
    made = letter_layers()
    figure = show(made)
    for place, key in enumerate(("Home", "ArrowRight", "ArrowRight")):
        figure.get_by_label("Threshold").press(key)
        made.state["threshold"] = place
        layers, same, _ = made.outcome()
        used = figure.locator(".few-cell").evaluate_all(
            "(all) => all.map((it) => +it.dataset.layers)"
        )
        assert used == made.state["texts"][0]["layers"][place]
        assert figure.locator(".few-other").count() == 40 - same
        assert f"{layers:.2f} of 4 layers per letter" in said(figure)
    assert "All letters are" in said(figure) or "first other one" in said(figure)


def test_rounds_follow_the_depth_and_the_length_of_drafts(show):
    made = letter_layers()
    figure = show(made)
    figure.get_by_label("draft and check").check()
    assert not figure.get_by_label("Threshold").is_visible()
    figure.get_by_label("Layers that draft").press("End")
    figure.get_by_label("Letters drafted").press("ArrowRight")
    figure.get_by_label("Text", exact=True).press("ArrowRight")
    made.state.update(depth=3, n_drafted=5, text=1)
    rounds = made.rounds()
    shown = figure.locator(".few-round").evaluate_all(
        "(all) => all.map((it) => [+it.dataset.drafted, +it.dataset.accepted])"
    )
    assert shown == [[one.drafted, one.accepted] for one in rounds]
    assert figure.locator(".few-kept").count() == sum(one.accepted for one in rounds)
    wrong = sum(one.accepted < one.drafted for one in rounds)
    assert figure.locator(".few-wrong s").count() == wrong
    assert f"{len(rounds)} checks wrote 40 letters" in said(figure)


def test_the_still_picture_has_all_letters():
    axes = letter_layers(view="drafts").picture().axes[0]
    assert len(axes.texts) == 40


@pytest.mark.usefixtures("unchecked")
def test_texts_that_do_not_fit_are_refused():
    one = WrittenText("a", "bc", {0.5: ("bc", [1, 2])}, ["bc", "bc"])
    short = WrittenText("a", "bc", {0.5: ("b", [1, 2])}, ["bc", "bc"])
    other = WrittenText("a", "bc", {0.7: ("bc", [1, 2])}, ["bc", "bc"])
    for texts in ([short], [one, other]):
        with pytest.raises(ValueError, match=r"texts differ .* they must agree\.$"):
            LetterLayers(texts)
    with pytest.raises(ValueError, match="texts is empty"):
        LetterLayers([])
