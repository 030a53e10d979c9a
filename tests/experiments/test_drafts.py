"""The experiment on drafts: its arms, and how a text that was written early is judged."""

import math

import pytest
import torch

from experiments.bench import drafts as bench
from experiments.layers import drafts as experiment


def test_shallow_rivals_learn_by_their_last_layer():
    arms = experiment.settings()
    assert {arm["n_layers"] for arm in arms.values() if not arm["exits"]} == {2, 4, 6}
    assert [name for name, arm in arms.items() if arm["exits"]] == ["exits"]


def test_a_text_counts_up_to_the_first_difference():
    wanted = torch.arange(experiment.PROMPT + 4)[None].repeat(2, 1)
    ids = wanted.clone()
    ids[0, experiment.PROMPT + 1] = 0
    assert experiment.as_far(ids, wanted) == pytest.approx((1 / 4 + 1) / 2)


def test_bits_are_those_of_the_new_letters():
    torch.manual_seed(0)
    decoder = experiment.model_of(experiment.settings()["plain-2"], 11).eval()
    ids = torch.randint(11, (3, experiment.PROMPT + 5))
    chances = decoder(ids).log_softmax(-1)
    new = range(experiment.PROMPT, experiment.PROMPT + 5)
    expected = -sum(chances[row, at - 1, ids[row, at]] for row in range(3) for at in new) / 15
    assert experiment.bits_of(decoder, ids) == pytest.approx(expected.item() / math.log(2))


def test_a_run_tells_what_early_letters_and_drafts_give():
    found = experiment.run(experiment.settings()["plain-4"], 0, True)
    assert len(found["bits"]) == 4
    assert len(found["accepted"]) == len(found["draft_ms"]) == 3
    assert found["drafts_as_far"] == [1.0, 1.0, 1.0]
    assert all(0 <= share <= 1 for share in found["projected_as_far"] + found["accepted"])
    assert len(found["absent_layers"]) == len(experiment.THRESHOLDS)


def test_in_the_bench_every_draft_holds_and_exits_are_fixed():
    ways = bench.ways(True)
    text = ways["all layers"]()
    for depth in (3, 6, 9):
        found = ways[f"drafts of {depth}, all hold"]()
        assert torch.equal(found.ids, text)
        assert (found.drafted, found.accepted, found.checks) == (8, 8, 2)
    for name, layers in (
        ("early, behind 3", 3),
        ("early, behind 6", 6),
        ("asked, never early", 12),
    ):
        assert (ways[name]().layers == layers).all()
    assert torch.equal(ways["small: bare loop"](), ways["small: all layers"]())
    cases = {case.name: case for case in bench.cases(True)}
    assert cases["six layers"].against == "all layers"
    assert cases["small: bare loop"].against == "small: all layers"
    assert {name for name, case in cases.items() if case.bar} == set(bench.BARS)
