"""The experiment on equal width: whose feed-forward network is as wide, and what is tried."""

import pytest
import torch

from experiments.interactions import cost_quality, equal_width, mixers
from frugal.mixing.convolution import DynamicConv
from tests.experiments.small import small, values_of

SETTINGS = equal_width.settings()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_wide_model_has_the_network_of_softmax(name, monkeypatch):
    setting, seen = SETTINGS[name], []
    for experiment in (mixers, cost_quality):
        monkeypatch.setattr(experiment, "trained", lambda model, *_: seen.append(model) or {})
    equal_width.run(setting, 0, smoke=True)
    count = mixers.count(seen[0])
    if setting["equal"] == "width":
        task = setting["task"]
        same = (
            cost_quality.with_hidden_width("softmax", cost_quality.D_FF)
            if task == "lookup"
            else mixers.with_hidden_width("softmax", mixers.tasks()[task], mixers.D_FF)
        )
        own, others = (
            [p.shape for n, p in model.named_parameters() if "mix." not in n]
            for model in (seen[0], same)
        )
        assert own == others
    else:
        equal = mixers.model_of("softmax", mixers.tasks()[setting["task"]])
        assert count == pytest.approx(mixers.count(equal), rel=0.03)


def test_rates_are_those_of_equal_size_and_one_beyond():
    rates = {}
    for one in SETTINGS.values():
        rates.setdefault((one["task"], one["mixer"], one["equal"]), []).append(one["lr"])
    for (task, mixer, equal), tried in rates.items():
        further = equal_width.BEYOND.get(task, {}).get(mixer)
        known = equal_width.RATES[task]
        assert further is None or not min(known) <= further <= max(known)
        assert tried == ([*known] if equal == "width" else []) + ([further] if further else [])


@pytest.mark.parametrize("task", ["recall", "lookup"])
def test_a_far_kernel_reaches_what_is_asked(task):
    torch.manual_seed(0)
    if task == "recall":
        length, model = 48, mixers.with_hidden_width("dynamicconv-far", mixers.tasks()[task], 8)
        reads, writes = [0], [47]
    else:
        length, model = 256, cost_quality.with_hidden_width("dynamicconv-far", 8)
        reads, writes = [0, 255], [255, 0]
    layer = next(it for it in model.modules() if isinstance(it, DynamicConv))
    x = torch.randn(1, length, layer.to_scores.weight.shape[1])
    with torch.no_grad():
        for read, write in zip(reads, writes, strict=True):
            changed = x.clone()
            changed[:, read] += 1
            assert (layer(changed) - layer(x))[0, write].abs().max() > 1e-5


def test_every_setting_runs():
    result = small("equal_width")
    for name in SETTINGS:
        assert 0 <= values_of(result, name)["right"] <= 1
