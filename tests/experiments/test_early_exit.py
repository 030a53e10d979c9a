"""The experiment on early exits: what a run gives, and what its summaries mean."""

import math

import pytest
import torch

from experiments.layers import early_exit as experiment
from frugal.depth.early_exit import Patience, Seen, exits_by
from tests.experiments.small import small, values_of


@pytest.mark.parametrize("name", ["exits, depth", "exits, equal", "2 alone"])
def test_a_run_gives_what_the_chapter_reads(name):
    found = values_of(small("early_exit"), name)
    assert 0 <= found["right"] <= 1
    if name == "2 alone":
        assert len(found["right by sentences"]) == 8
        return
    layers = experiment.LAYERS
    assert len(found["right by exit"]) == len(found["temperatures"]) == layers
    assert len(found["confidence right"]) == len(experiment.THRESHOLDS)
    assert all(1 <= one <= layers for one in found["patience layers"])
    assert all(sum(one) == pytest.approx(1, abs=1e-3) for one in found["patience shares"])
    assert len(found["counted inconsistent"]) == len(experiment.TOLERANCES)
    assert found["counted draws"][0] == 0  # 50 stories cannot promise 0.01
    assert ("race time" in found) == (name == "exits, depth")
    if name == "exits, depth":
        assert len(found["race time"]) == len(experiment.raced())
        assert len(found["race right"]) == len(experiment.raced()) - layers
        assert found["race time"][0] == 1


def test_an_outcome_is_that_of_the_exits_taken():
    scores = torch.eye(3)[torch.tensor([[0, 1, 1], [2, 2, 0]])]
    seen, places = Seen(scores, scores), torch.tensor([1, 2])
    right, layers, shares = experiment.outcome(seen, places, exits_by(Patience(1), seen))
    assert (right, layers, shares) == (1, 2.5, [0, 0.5, 0.5])


def test_a_draw_leaves_at_the_first_exit_above_the_threshold():
    table = torch.tensor([[0.2, 0.4]] * 4 + [[0.5, 0.1], [0.3, 0.9], [0.1, 0.2]])
    agrees = torch.tensor([[False, True]] * 4 + [[False, True], [True, False], [True, True]])
    right = torch.ones(7, 3, dtype=torch.bool)
    right[4, 0] = False
    order = torch.arange(7)
    # m is 0.2 for each of the four: the rest leaves at exits 1 (wrongly), 1 and 3
    found = experiment.one_draw(table, agrees, right, order, 4, 0.2, False)
    assert found == pytest.approx((1 / 3, 5 / 3, 2 / 3))
    assert experiment.one_draw(table, agrees, right, order, 3, 0.2, False) is None
    assert experiment.summary([found, (0.0, 3.0, 1.0)], 0.2)[3:] == (0.5, 2)
    assert math.isnan(experiment.summary([], 0.2)[0])
