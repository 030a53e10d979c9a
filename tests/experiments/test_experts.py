"""The experiment on experts: its facts, its arms, equal tries, what a run gives."""

import pytest
import torch

from experiments.layers import experts as experiment
from experiments.layers.experts import D_FF, D_MODEL, Memory, feed_forward
from tests.experiments.small import small, values_of


def test_every_pair_has_one_place_and_all_places_occur():
    pairs, places = experiment.facts(0)
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(places) == 96 * 96
    assert set(places.tolist()) == set(range(experiment.PLACES))
    assert pairs[:, 0].max() < 96 <= pairs[:, 1].min()
    assert not torch.equal(places, experiment.facts(1)[1])


def test_every_arm_gets_the_same_rates():
    rates = {}
    for name, one in experiment.settings().items():
        rates.setdefault(name.rsplit("-", 1)[0], []).append(one["lr"])
    assert list(rates) == list(experiment.ARMS)
    assert all(tried == list(experiment.RATES) for tried in rates.values())


def matrices(arm):
    layer = feed_forward(experiment.ARMS[arm])
    return sum(p.numel() for name, p in layer.named_parameters() if "bias" not in name)


def test_the_arms_have_the_parameters_that_they_promise():
    one = 2 * D_MODEL * D_FF
    assert matrices("dense") == one
    assert matrices("wide") == 8 * one
    for n in (4, 8, 16):
        assert matrices(f"experts-{n}") == n * one + n * D_MODEL
    assert matrices("halves-16") == 8 * one + 16 * D_MODEL  # and a token visits two halves


def test_a_skewed_start_sends_more_tokens_to_the_first_expert():
    pairs, _ = experiment.facts(0)
    torch.manual_seed(0)
    _, fair, _ = experiment.recalled(Memory(experiment.ARMS["experts-16"]).eval(), pairs)
    torch.manual_seed(0)
    _, skewed, dropped = experiment.recalled(Memory(experiment.ARMS["skewed-16"]).eval(), pairs)
    assert sum(skewed) == pytest.approx(1, abs=1e-3)
    assert skewed[0] > 2 * fair[0]
    assert dropped > skewed[0] - 1.25 / 16 - 0.01


@pytest.mark.parametrize("arm", ["wide", "free-16", "skewed-16", "halves-16"])
def test_a_run_gives_what_the_chapter_reads(arm):
    found = values_of(small("experts"), f"{arm}-0.01")
    moments = len(found["moments"])
    assert len(found["curve"]) == len(found["right_at"]) == len(found["dropped_at"]) == moments
    assert found["facts"] == 128
    assert 0 <= found["right"] <= 1
    if arm == "wide":
        assert "shares" not in found
    else:
        assert all(len(shares) == 16 for shares in found["shares"])
        assert found["fullest"] == max(found["shares"][-1])
