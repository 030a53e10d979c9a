"""The parts of the experiment on low rank: its texts, its measures, its frozen mixtures."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.interactions import low_rank
from frugal.attention.softmax import softmax_attention
from frugal.data.sequences import IGNORE


def test_a_pointer_asks_for_the_symbol_at_its_place_and_each_place_once():
    inputs, targets = low_rank.texts("pointers", 5, 0)
    for (places, symbols), wanted in zip(inputs.mT, targets, strict=True):
        assert places.sort().values.equal(torch.arange(48))
        assert [symbols[place].item() for place in places] == wanted.tolist()


def test_pairs_answer_every_key_and_lie_anywhere():
    inputs, targets = low_rank.texts("pairs", 50, 0)
    first_pairs = set()
    for text, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        value_of = {key: value for key, value in text if value}
        asked = [(key, want) for (key, _), want in zip(text, wanted, strict=True) if want != IGNORE]
        assert len(value_of) == len(asked) == 8
        assert all(value_of[key] == want for key, want in asked)
        assert sum(token == [0, 0] for token in text) == 32
        first_pairs.add(next(place for place, (_, value) in enumerate(text) if value))
    assert len(first_pairs) > 5


def test_the_best_of_full_rank_is_softmax_attention_and_of_less_is_not():
    q, k, v = torch.randn(3, 2, 2, 12, 8, generator=torch.Generator().manual_seed(0))
    exact = softmax_attention(q, k, v)
    torch.testing.assert_close(low_rank.of_best_rank(12)(q, k, v), exact, atol=1e-5, rtol=1e-4)
    error = [(low_rank.of_best_rank(rank)(q, k, v) - exact).norm() for rank in (1, 3, 6)]
    assert error[0] > error[1] > error[2] > 0.01


def test_errors_of_rank_are_what_the_best_rank_leaves():
    setting = low_rank.settings()["pointers-full-0.005"]
    torch.manual_seed(0)
    model = low_rank.Reader(setting)
    x, _ = low_rank.texts("pointers", 1, 0)
    [[first, _]] = low_rank.rank_errors(model, x)
    with torch.no_grad(), low_rank.recording(model) as recorder:
        model(x)
    (weights,) = recorder.weights.values()
    u, s, vt = torch.linalg.svd(weights[0, 0])
    best = (u[:, :6] * s[:6]) @ vt[:6]
    left = (weights[0, 0] - best).norm() / weights[0, 0].norm()
    assert len(first) == 49
    assert (first[0], first[-1]) == (1, 0)
    assert first[6] == pytest.approx(left.item(), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "moves"), [("pointers-8-0.005", True), ("pointers-8-frozen-0.005", False)]
)
def test_frozen_mixtures_stay_as_they_were(name, moves, monkeypatch):
    made = []
    reader = low_rank.Reader

    def keep(setting):
        made.append(reader(setting))
        made.append([p.clone() for p in mixtures(made[0])])
        return made[0]

    def mixtures(model):
        return [p for name, p in model.named_parameters() if ".attend." in name]

    monkeypatch.setattr(low_rank, "Reader", keep)
    values = low_rank.run(low_rank.settings()[name], 0, smoke=True)
    assert 0 <= values["right"] <= 1
    model, before = made
    assert len(before) == 2
    same = [now.equal(was) for now, was in zip(mixtures(model), before, strict=True)]
    assert same == [not moves] * 2
