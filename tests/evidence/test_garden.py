"""The garden of forking paths: shares of wins that follow by arithmetic."""

import numpy as np
import pytest

from frugal.evidence import Study, play, recorded_noise
from frugal.results import Result

NOISE = np.random.default_rng(0).normal(size=(5000, 2))
MANY = 20_000


def share(noise=NOISE, **options) -> float:
    return float(play(Study(**options), noise, studies=MANY).wins.mean())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1 / 2),
        ({"seeds": 5}, 1 / 2),
        ({"tries": 10}, 10 / 11),
        ({"tries": 10, "baseline_tries": 10}, 1 / 2),
        ({"tries": 3, "baseline_tries": 1, "chosen": "validation, run again"}, 1 / 2),
        ({"tries": 3, "chosen": "validation"}, 1 / 2),  # this noise has no luck in common
        ({"tasks": 8}, 1 - 1 / 2**8),
        ({"tasks": 8, "told": "mean"}, 1 / 2),
        ({"seeds": 5, "rule": "t test"}, 0.05),
        ({"seeds": 5, "rule": "t test", "tasks": 8}, 1 - 0.95**8),
        ({"seeds": 1, "rule": "t test", "tasks": 8}, 0),
    ],
)
def test_a_change_that_does_nothing_wins_as_often_as_it_must(options, expected):
    assert share(**options) == pytest.approx(expected, abs=0.012)


def test_a_sweep_inflates_a_t_test_and_equal_tries_take_that_back():
    fair = {"seeds": 5, "rule": "t test"}
    assert share(**fair, tries=10) > 0.2
    assert share(**fair, tries=10, baseline_tries=10) < 0.055
    assert share(**fair, tries=10, chosen="validation, run again") == pytest.approx(0.05, abs=0.01)


def test_luck_that_both_data_sets_share_passes_through_validation():
    lucky = np.repeat(NOISE[:, :1], 2, axis=1)
    assert share(lucky, tries=10, chosen="validation") == pytest.approx(10 / 11, abs=0.012)


def test_an_effect_is_added():
    same = np.zeros((2, 2))
    found = play(Study(effect=1.5), same, studies=10)
    assert found.differences.tolist() == [1.5] * 10
    assert found.wins.all()
    assert not play(Study(), same, studies=10).wins.any()  # a tie is no win


def test_the_nominal_rate_is_that_of_the_rule():
    assert Study().nominal == 0.5
    assert Study(rule="t test").nominal == 0.05


def test_recorded_noise_has_the_spread_of_single_runs():
    runs = [
        {"setting": name, "seed": seed, "values": {"valid": valid, "test": test}}
        for name, scores in {"a": [(0.5, 0.6), (0.7, 0.4)], "b": [(0.1, 0.1), (0.1, 0.1)]}.items()
        for seed, (valid, test) in enumerate(scores)
    ]
    record = Result("x", "?", {"a": {}, "b": {}}, runs, {})
    noise = recorded_noise(record, "test", "valid", ["a"])
    assert noise == pytest.approx(np.array([[-10, 10], [10, -10]]) * np.sqrt(2))
    assert noise.std(0) == pytest.approx(100 * np.std([0.5, 0.7], ddof=1))
    assert recorded_noise(record, "test", "valid").shape == (4, 2)
    with pytest.raises(ValueError, match="setting is 'c'; it must be one of 'a', 'b'"):
        recorded_noise(record, "test", "valid", ["a", "c"])
    with pytest.raises(ValueError, match="settings is empty"):
        recorded_noise(record, "test", "valid", [])
    del runs[0]["values"]["test"]
    del runs[1]["values"]["test"]
    with pytest.raises(ValueError, match="setting is 'a'; it must be one of 'b'"):
        recorded_noise(record, "test", "valid")


@pytest.mark.usefixtures("unchecked")
def test_input_that_does_not_fit_gets_one_sentence():
    with pytest.raises(ValueError, match="seeds is 0; it must be a whole number, 1 or more"):
        Study(seeds=0)
    with pytest.raises(ValueError, match="rule is 'luck'; it must be one of 'higher', 't test'"):
        Study(rule="luck")
    with pytest.raises(ValueError, match=r"noise has shape \(3,\); it must be of 2 or more"):
        play(Study(), np.zeros(3))
