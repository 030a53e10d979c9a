"""What the experiment on pruning orders heads by."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.layers import pruning
from frugal.attention.heads import layers_of
from frugal.data import journeys


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return pruning.Reader().eval()


@pytest.fixture(scope="module")
def asked():
    return journeys.encode(journeys.draw(6, sentences=(2, 3), seed=1))


def test_the_loss_is_that_of_the_log_odds(model, asked):
    with torch.no_grad():
        expected = F.softplus(-pruning.log_odds(model, asked))
        torch.testing.assert_close(pruning.losses(model, asked), expected)


def test_every_order_has_every_head_once(model, asked):
    orders = pruning.orders_of(model, asked, seed=0)
    assert len(orders["random"]) == pruning.RANDOM_ORDERS
    for found in orders.values():
        assert all(sorted(order) == pruning.ALL for order in found)
    assert orders["most important"][0] == orders["odds"][0][::-1]
    assert orders["odds, step by step"][0][0] == orders["odds"][0][0]


def test_the_size_of_a_heads_weights_is_that_of_its_product(model):
    found = pruning.sizes_of_weights(model)
    attention = list(layers_of(model).values())[2]
    rows = slice(12, 24)  # of head 1
    product = attention.to_out.weight[:, rows] @ attention.to_v.weight[rows]
    assert found[2, 1] == pytest.approx(torch.linalg.matrix_norm(product).item(), rel=1e-5)


def test_a_copy_loses_the_heads(model):
    left = pruning.without(model, [(0, 1), (3, 0), (3, 2)])
    assert [layer.kept_heads for layer in layers_of(left).values()] == [
        (0, 2, 3),
        (0, 1, 2, 3),
        (0, 1, 2, 3),
        (1, 3),
    ]
    assert all(layer.n_heads == 4 for layer in layers_of(model).values())
