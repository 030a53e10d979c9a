"""The experiment on cost and quality: what is asked, and what is equal for all."""

import pytest
import torch

from experiments.interactions import cost_quality
from frugal.data.sequences import IGNORE
from tests.experiments.small import small, values_of


def test_every_mixer_has_as_many_parameters_and_the_same_rates():
    counts = {name: cost_quality.count(cost_quality.model_of(name)) for name in cost_quality.MIXERS}
    for name, count in counts.items():
        assert count == pytest.approx(counts["softmax"], rel=0.03), name
    tried = {}
    for one in cost_quality.settings().values():
        tried.setdefault(one["mixer"], []).append(one["lr"])
    assert set(map(tuple, tried.values())) == {cost_quality.RATES}
    assert len(tried) >= 10


def test_a_question_is_answered_by_the_token_of_its_mark():
    batch = cost_quality.draw(20, torch.Generator().manual_seed(0))
    noise, symbols, marks = cost_quality.NOISE, cost_quality.SYMBOLS, cost_quality.MARKS
    first = noise + symbols * marks
    for ids, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        told = {(one - noise) // symbols: one for one in ids if noise <= one < first}
        assert len(told) == marks
        asked = [(one, want) for one, want in zip(ids, targets, strict=True) if want != IGNORE]
        assert len(asked) == cost_quality.ASKED
        assert all(told[one - first] == want for one, want in asked)
        assert sum(one >= first for one in ids) == cost_quality.ASKED


def test_every_run_tells_quality_and_times_at_one_length():
    result = small("cost_quality")
    for name in cost_quality.settings():
        values = values_of(result, name)
        assert 0 <= values["right"] <= 1
        assert values["reading_ms"] > 0
        assert values["update_ms"] > 0
        assert len(values["right_curve"]) == len(values["moments"])
