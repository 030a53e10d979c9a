"""The experiment on layers that are left out: its choices, its losses, the scaled model."""

import pytest
import torch
import torch.nn.functional as F

from experiments.layers import layerdrop as experiment
from frugal.data import hops
from frugal.depth.layerdrop import only_layers


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return experiment.Follower(experiment.N_LAYERS, 0.4).eval()


def test_every_choice_of_layers_is_there_once():
    assert len(set(experiment.CHOICES)) == 2**experiment.N_LAYERS - 1
    assert experiment.CHOICES[-1] == tuple(range(experiment.N_LAYERS))


def test_deep_and_shallow_models_differ_in_one_number():
    given = list(experiment.settings().values())
    assert [one["p"] for one in given if one["layers"] == 6] == list(experiment.CHANCES)
    assert [one for one in given if one["layers"] < 6] == [
        {"layers": n, "p": 0.0} for n in range(1, 6)
    ]


def test_the_loss_of_a_ring_is_the_mean_of_all_that_it_asks(model):
    batch = hops.draw(3, seed=0)
    found, scores = experiment.losses(model, batch), model(batch.tokens)
    for ring, value in enumerate(found):
        expected = F.cross_entropy(scores[ring].flatten(0, 1), batch.targets[ring].flatten())
        torch.testing.assert_close(value, expected)


def test_scaled_layers_add_less(model):
    x = torch.randn(2, 5, experiment.D_MODEL, generator=torch.Generator().manual_seed(0))
    half = experiment.scaled(model, 0.5)
    whole, less = (one.encoder.stack.layers[0].mix for one in (model, half))
    torch.testing.assert_close(less(x) - x, 0.5 * (whole(x) - x))
    torch.testing.assert_close(
        experiment.scaled(model, 1.0)(hops.draw(2).tokens), model(hops.draw(2).tokens)
    )


def test_the_shares_by_step_are_of_the_layers_that_are_there(model):
    test = hops.draw(20, seed=1)
    with only_layers(model, [1, 4]):
        found = experiment.by_hop(model, test)
        right = model(test.tokens).argmax(-1) == test.targets
    assert found == pytest.approx(right.double().mean((0, 1)).tolist())
    assert len(found) == hops.N_HOPS
