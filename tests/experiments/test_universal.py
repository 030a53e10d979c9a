"""The experiments on one layer many times: equal sizes, equal work, the same tries for all."""

import pytest
import torch

from experiments.layers import universal as experiment
from experiments.layers import universal_rates
from frugal.data import nested_lists


def layers(arm):
    stack = experiment.reader(experiment.ARMS[arm]).encoder.stack
    return sum(p.numel() for layer in stack.layers for p in layer.parameters())


def test_one_layer_has_its_parameters_once_and_the_narrow_stack_about_as_many():
    single = layers("plain-1")
    assert layers("shared-6") == layers("halting-0.01") == single
    assert layers("plain-6") == 6 * single
    assert layers("narrow-6") == pytest.approx(single, rel=0.15)


def test_the_shared_layer_may_take_as_many_steps_as_the_stack_has_layers():
    shared = experiment.reader(experiment.ARMS["shared-6"]).encoder.stack
    assert shared.n_steps == len(experiment.reader(experiment.ARMS["plain-6"]).encoder.stack.layers)
    assert shared.halting is None
    assert experiment.TRAINED[1] < shared.n_steps < experiment.DEEP[1]


def test_steps_are_told_for_each_depth():
    batch = nested_lists.encode(["[MAX 1 [MIN 2 3 ] ]"])
    found = experiment.examined(experiment.reader(experiment.ARMS["shared-6"]), batch)
    assert found["steps_by_depth"] == [6, 6, 6]
    assert len(found["right_by_depth"]) == 2
    assert found["correlation"] == 0


@pytest.mark.parametrize("arm", ["plain-2", "shared-6", "halting-0.003"])
def test_a_run_tells_numbers_at_every_depth_of_training(arm):
    torch.manual_seed(0)
    found = experiment.run(experiment.ARMS[arm], 0, True)
    assert 0 <= found["right"] <= 1
    assert len(found["curve"]) == len(found["curve_at"]) == 2
    assert ("weights" in found) == arm.startswith("halting")
    assert len(found["deep_whole"]) == (1 if arm == "plain-2" else len(experiment.MORE))


def test_every_arm_gets_the_same_rates():
    tried = universal_rates.settings()
    assert len(tried) == len(universal_rates.TRIED) * len(universal_rates.RATES)
    assert {one["rate"] for one in tried.values()} == set(universal_rates.RATES)
    assert min(universal_rates.RATES) < experiment.RATE < max(universal_rates.RATES)
    found = universal_rates.run(tried["shared-6, 0.003"], 0, True)
    assert 0 <= found["valid"] <= 1
    assert found["diverged"] == 0
