"""The router view in a browser: the library's routing, by mouse and by key."""

import random
import re

import pytest
import torch
import torch.nn.functional as F

from frugal.feedforward.experts import SwitchFeedForward, room
from frugal.feedforward.routing import BiasedRouter
from frugal.figures.experts import RouterRun, RouterView
from tests.figures.gallery import experts

EXPRESSION = """([logits, bias, factor]) => {
  const scores = logits.map(models.softmax);
  const experts = routing.chosen(scores, bias);
  const capacity = routing.capacityOf(logits.length, bias.length, factor);
  return [experts, routing.room(experts, capacity), routing.balance(scores, experts), capacity];
}"""


def test_formulas_equal_those_of_the_library(formulas):
    page = formulas("router_formulas.js", "routing")
    formulas("../../show/models.js", "models")
    for seed, factor in enumerate((0.5, 0.75, 1.0, 1.25, 1.5, 2.0)):
        n_tokens, n_experts = random.Random(seed).randrange(5, 40), (2, 3, 5, 8, 11, 16)[seed]
        torch.manual_seed(seed)
        layer = SwitchFeedForward(6, 4, n_experts, factor).double().eval()
        layer(torch.randn(1, n_tokens, 6, dtype=torch.float64))
        given = [layer.routing.logits.tolist(), [0.0] * n_experts, factor]
        chosen, kept, loss, capacity = page.evaluate(EXPRESSION, given)
        assert chosen == layer.routing.experts.flatten().tolist()
        assert kept == layer.kept.flatten().tolist()
        assert loss == pytest.approx(layer.aux_loss.item())
        assert capacity == layer.capacity(n_tokens)


def test_biases_move_as_those_of_the_library(formulas):
    page = formulas("router_formulas.js", "routing")
    torch.manual_seed(0)
    router = BiasedRouter(6, 5, 1).double()
    for _ in range(4):
        before = router.bias.tolist()
        load = router(torch.randn(17, 6, dtype=torch.float64)).experts.flatten().bincount()
        load = F.pad(load, (0, 5 - len(load))).tolist()
        router.update_bias(0.02)
        after = page.evaluate("([b, n]) => routing.nudged(b, n, 0.02)", [before, load])
        assert after == pytest.approx(router.bias.tolist())


def paths(figure):
    """By token: its expert and whether it is let in."""
    found = figure.locator(".router-token").evaluate_all(
        """(all) => all.map((it) => [
          it.textContent, +it.dataset.expert, it.dataset.kept === "true"
        ])"""
    )
    return sorted(found)


def expected(view):
    chosen, keep = view.routed()
    words = view.state["tokens"]
    return sorted(map(list, zip(words, chosen.tolist(), keep.tolist(), strict=True)))


def said(figure):
    return figure.locator(".frugal-readout").inner_text()


def test_lines_and_bars_are_what_the_library_routes(show):
    view = experts(capacity_factor=1.0)
    figure = show(view)
    assert paths(figure) == expected(view)
    chosen, keep = view.routed()
    counts = figure.locator(".router-inside").evaluate_all(
        "(all) => all.map((it) => +it.dataset.count)"
    )
    assert counts == chosen[keep].bincount(minlength=4).tolist()
    assert f"{int((~keep).sum())} of 12 tokens pass by" in said(figure)
    assert figure.locator(".router-lost").count() == int((~keep).sum())


def test_training_capacity_and_the_loss_are_chosen(show):
    figure = show(experts())
    figure.get_by_label("with the loss").check()
    figure.get_by_label("Updates").press("End")
    assert paths(figure) == expected(experts(run="with", moment=2))
    figure.get_by_label("Capacity factor").select_option("0.50")
    assert paths(figure) == expected(experts(run="with", moment=2, capacity_factor=0.5))
    figure.get_by_label("Capacity factor").select_option("room for all")
    assert figure.locator(".router-lost").count() == 0
    assert figure.locator(".router-room").count() == 0
    assert "Every expert has room for all." in said(figure)


def test_a_token_is_looked_at_by_key_and_by_mouse(show):
    figure = show(experts(capacity_factor=0.5))
    token = figure.get_by_label("Token", exact=True)
    token.press("ArrowRight")
    assert "Token 2, “o”, chose expert" in said(figure)
    token.press("End")
    assert "Token 12, “!”, chose expert" in said(figure)
    figure.locator(".router-token", has_text="k").locator("text").click()
    assert "Token 3, “k”, chose expert" in said(figure)
    assert figure.locator(".router-on").count() == 1


def test_biases_spread_the_tokens_and_go_back_to_0(show):
    figure = show(experts())
    before = paths(figure)

    def fullest():
        return int(re.search(r"choice of (\d+)", said(figure))[1])

    start = fullest()
    for _ in range(30):
        figure.get_by_role("button", name="Move the biases").click()
    assert fullest() < start
    figure.get_by_role("button", name="Biases to 0").click()
    assert paths(figure) == before


def test_the_still_picture_counts_who_is_inside():
    view = experts(capacity_factor=0.5)
    chosen, keep = view.routed()
    words = " ".join(one.get_text() for one in view.picture().axes[0].texts)
    for expert in range(4):
        inside = int((keep & (chosen == expert)).sum())
        assert f"expert {expert + 1}: {inside} inside" in words
    assert torch.equal(keep, room(chosen[None], 4, 1)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": {}}, "runs is empty"),
        ({"tokens": ["a"]}, "tokens has 1 words"),
        ({"moments": [0, 1]}, r"logits of 'one' has shape \(1, 2, 3\); it must be \(2, 2, 3\)"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    given = {"tokens": ["a", "b"], "runs": {"one": RouterRun("one", torch.zeros(1, 2, 3))}}
    with pytest.raises(ValueError, match=message):
        RouterView(**{**given, "moments": [0], **change})
