"""The experiment on product keys: its facts, equal tries, sizes and FLOPs, what a run gives."""

import math

import pytest
import torch

from experiments.layers import key_memory as experiment
from experiments.layers.key_memory import ARMS, Recall, flops, layer_of
from tests.experiments.small import small, values_of


def test_every_name_is_there_once_and_has_one_number():
    names, numbers = experiment.facts(0)
    assert len({tuple(name) for name in names.tolist()}) == len(numbers) == experiment.FACTS
    assert set(names.flatten().tolist()) == set(range(experiment.LETTERS))
    assert set(numbers.tolist()) == set(range(experiment.NUMBERS))
    assert not torch.equal(numbers, experiment.facts(1)[1])


def test_every_arm_gets_the_same_rates():
    rates = {}
    for name, one in experiment.settings().items():
        rates.setdefault(name.rsplit("-", 1)[0], []).append(one["lr"])
    assert list(rates) == list(ARMS)
    assert all(tried == list(experiment.RATES) for tried in rates.values())


def parameters(arm):
    return sum(weight.numel() for weight in layer_of(ARMS[arm]).parameters())


def test_the_rivals_have_equal_flops_and_equal_parameters():
    assert flops(ARMS["dense"]) == flops(ARMS["keys-24"]) == flops(ARMS["one-head"])
    assert parameters("wide") == pytest.approx(parameters("keys-24"), rel=0.01)
    assert flops(ARMS["wide"]) > 8 * flops(ARMS["dense"])


def test_fast_values_change_nothing_at_first_and_move_farther():
    torch.manual_seed(0)
    slow = layer_of(ARMS["slow"])
    torch.manual_seed(0)
    fast = layer_of(ARMS["keys-24"])
    x, moved = torch.randn(8, experiment.D_MODEL), {}
    before = slow(x)
    torch.testing.assert_close(fast(x), before)
    for name, layer in (("slow", slow), ("fast", fast)):
        values = (layer.memory if name == "fast" else layer).values
        start = values.detach().clone()
        layer(x).square().sum().backward()
        torch.optim.Adam([values], lr=1e-4).step()
        scale = experiment.FASTER if name == "fast" else 1
        moved[name] = scale * (values.detach() - start).abs().max().item()
    assert moved["fast"] == pytest.approx(experiment.FASTER * moved["slow"], rel=0.01)


def test_usage_counts_values_that_are_read():
    torch.manual_seed(0)
    model = Recall(layer_of(ARMS["keys-12"]))
    names, _ = experiment.facts(0)
    found = experiment.usage(model, names[:1])
    assert 8 / 144 <= found["used"] <= 16 / 144
    assert math.log(9) < found["uneven"] < math.log(144)
    with torch.no_grad():
        model.memory.keys.zero_()  # every score is equal, and a few places win every time
    assert experiment.usage(model, names)["used"] <= 16 / 144


@pytest.mark.parametrize("arm", ["wide", "keys-12", "normed", "slow", "gated"])
def test_a_run_gives_what_the_chapter_reads(arm):
    found = values_of(small("key_memory"), f"{arm}-0.01")
    assert len(found["moments"]) == len(found["curve"])
    assert found["facts"] == experiment.FACTS / 2
    assert 0 <= found["right"] <= 1
    if arm == "wide":
        assert "used" not in found
    else:
        assert len(found["used_at"]) == len(found["uneven_at"]) == len(found["moments"])
        assert 0 < found["used"] == found["used_at"][-1] <= 1
