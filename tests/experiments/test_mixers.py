"""The experiment on mixers: what is equal for all, and what each may see."""

import math

import pytest
import torch
import torch.nn.functional as F

from experiments.bench.mixing import cases, pair_matrix, unfolded
from experiments.interactions import mixers
from frugal.data.sequences import IGNORE, SequenceBatch

TASKS = mixers.tasks()


@pytest.mark.parametrize("setting", mixers.settings().values(), ids=mixers.settings())
def test_every_model_of_a_task_has_as_many_parameters(setting):
    task = TASKS[setting["task"]]
    own, softmax = (
        mixers.count(mixers.model_of(name, task)) for name in (setting["mixer"], "softmax")
    )
    assert own == pytest.approx(softmax, rel=0.03)


def test_every_mixer_of_a_task_gets_the_same_rates():
    rates = {}
    for one in mixers.settings().values():
        rates.setdefault((one["task"], one["mixer"]), []).append(one["lr"])
    for (task, _), tried in rates.items():
        assert tried == list(mixers.RATES[task])


def test_the_future_is_hidden_where_a_task_asks_for_it():
    for one in mixers.settings().values():
        assert not (TASKS[one["task"]].causal and one["mixer"] in ("linformer", "fourier"))


# LSH is no case: a later token moves the borders of its chunks, and with them what is seen.
CAUSAL = [name for name in mixers.MIXERS if name not in ("linformer", "fourier", "lsh")]
CAUSAL.append("synthesizer-plus")


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_mixer_hides_the_future(name):
    torch.manual_seed(0)
    model = mixers.model_of(name, TASKS["recall"]).eval()
    ids = torch.randint(32, (2, 48))
    changed = ids.clone()
    changed[:, 30:] = (changed[:, 30:] + 1) % 32
    with torch.no_grad():
        before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :30], after[:, :30], atol=1e-5, rtol=1e-4)
    assert (before[:, 30:] - after[:, 30:]).abs().max() > 1e-3


def test_quality_counts_what_is_asked_and_nothing_else():
    def model(ids):
        return F.one_hot(ids, 5).float()  # answers with the id that it reads

    model.eval = lambda: None
    targets = torch.tensor([[1, IGNORE, 3], [0, 2, IGNORE]])
    batch = SequenceBatch(torch.tensor([[1, 2, 4], [0, 1, 1]]), targets)
    found = mixers.quality(model, [batch, batch])
    assert found["right"] == 0.5
    scores = model(batch.inputs)[targets != IGNORE]
    expected = F.cross_entropy(scores, targets[targets != IGNORE]) / math.log(2)
    assert found["bits"] == pytest.approx(expected.item())


def test_the_mean_over_an_expression_leaves_padding_out():
    torch.manual_seed(0)
    task = TASKS["listops"]
    model = mixers.with_hidden_width("lightconv", task, 8)
    model.encoder.forward = lambda ids: ids[..., None].expand(-1, -1, 64).float()
    ids = torch.tensor([[5, 7, 0, 0], [4, 4, 4, 8]])
    expected = model.to_classes(torch.tensor([6.0, 5.0])[:, None].expand(2, 64))
    torch.testing.assert_close(model(ids), expected)


def test_the_peers_of_the_bench_compute_the_same(generator):
    from frugal.mixing.convolution import dynamic_conv, lightweight_conv

    x = torch.randn(2, 40, 12, generator=generator)
    fixed = torch.randn(3, 7, generator=generator)
    moving = torch.randn(2, 40, 3, 7, generator=generator)
    expected = lightweight_conv(x, fixed, causal=True)
    torch.testing.assert_close(pair_matrix(x, fixed), expected)
    torch.testing.assert_close(unfolded(x, fixed), expected)
    torch.testing.assert_close(unfolded(x, moving), dynamic_conv(x, moving, causal=True))


def test_every_case_of_the_bench_runs_and_is_against_one_that_is_there():
    found = cases(smoke=True)
    names = {case.name for case in found}
    assert len(names) == len(found)
    assert {case.against for case in found} - {None} <= names
    for case in found:
        case.run()
    assert {case.bar for case in found} == {None, 1.0, 1 / 4, 1 / 50}
    for length in (64, 128):
        assert {f"layer {length} {mixer}" for mixer in mixers.MIXERS} <= names
