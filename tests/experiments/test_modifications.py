"""The sweep over modifications: its settings, how curves are read, what a run gives and refuses."""

import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from experiments import runner
from experiments.transfer import modifications as experiment
from experiments.transfer.modifications import VANILLA, WINNERS, interpolated, world
from frugal import transfer
from frugal.transfer.counting import published


def test_every_row_is_a_setting_and_every_confounded_one_has_two():
    settings = experiment.settings()
    assert [name for name in settings if not name.endswith(".repaired")] == list(transfer.names())
    repaired = {name.removesuffix(".repaired") for name in settings if name.endswith(".repaired")}
    assert repaired == {name for name in transfer.names() if transfer.row(name).confounded}
    assert all(one["family"] for one in settings.values())
    assert set(experiment.SMOKE) <= set(settings)


def test_the_winners_are_those_that_beat_vanilla_in_all_columns_of_the_paper():
    columns = "n_of_5_metrics_better_than_vanilla"
    best = {name for name, entry in published().items() if int(entry[columns]) == 5}
    assert best == set(WINNERS)
    assert experiment.seeds() == dict.fromkeys((VANILLA, *WINNERS), 8)
    jobs = runner._wanted(experiment, 3, smoke=False)[1]
    assert jobs[: len(experiment.settings())] == [(name, 0) for name in experiment.settings()]
    assert len(jobs) == len(set(jobs)) == 3 * len(experiment.settings()) + 5 * 7


def test_a_loss_at_equal_seconds_lies_between_two_moments():
    assert interpolated(1.5, [0.0, 1.0, 2.0], [9.0, 5.0, 4.0]) == 4.5
    assert interpolated(2.0, [0.0, 1.0, 2.0], [9.0, 5.0, 4.0]) == 4.0
    assert interpolated(7.0, [0.0, 1.0, 2.0], [9.0, 5.0, 4.0]) == 4.0


def test_all_seeds_and_settings_read_the_same_data():
    shared = world(True)
    assert world(True) is shared
    assert set(shared.data["versions"]) >= {"numpy", "torch"}
    assert len(shared.data["fingerprint"]) == 12
    assert shared.valid.source.shape == (len(shared.valid), 57)
    assert shared.valid.labels.shape == (len(shared.valid), 14)
    one, same, other = (experiment._corrupted(shared, seed)() for seed in (0, 0, 1))
    assert torch.equal(one.labels, same.labels)
    assert not torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("name", ["summary", "library", "default", "dates"])
def test_the_right_answers_score_one_and_the_most_frequent_one_less(name):
    task = world(True).tasks[name]
    vocabulary = world(True).vocabulary
    right = [vocabulary.decode(row) for row in task.test.labels.tolist()]
    if name == "summary":  # the end of a long line is cut off
        assert task.score(right) > 0.8
    else:
        assert task.score(right) == 1
    assert task.baseline < 0.6
    assert task.score([""] * len(right)) == 0


def test_a_date_may_be_written_in_any_of_the_languages():
    task = world(True).tasks["dates"]
    written = ["1 January 1900"] * len(task.test)
    assert task.score(written) < 0.5


@pytest.mark.parametrize("name", ["Universal Transformer.repaired", "Synthesizer (random)"])
def test_a_run_gives_what_the_record_says(name):
    found = experiment.run(experiment.settings()[name], 0, smoke=True)
    record = experiment.__doc__.partition("The record")[2]
    for key in found:
        family = key.rpartition("_")[2]
        assert key in record or f"summary_{family}" in record, key
    assert found["moments"] == [0, 2, 4]
    assert found["curve"][-1] == found["final_loss"]
    assert found["curve"][1] == found["early_loss"]
    seconds = [at for at, _ in found["loss_by_seconds"]]
    assert seconds == sorted(seconds)
    assert found["speed"] == pytest.approx(
        found["updates_per_second"] / found["vanilla_per_second"], rel=1e-6
    )
    assert found["diverged"] == 0
    for task in experiment.ANSWERS:
        assert 0 <= found[task] <= 1
        assert 0 <= found[f"{task}_tokens"] <= 1


def test_a_loss_that_is_not_finite_ends_a_run_and_not_the_sweep(monkeypatch):
    real = transfer.build

    def broken(name, **options):
        model = real(name, **options)
        if name != VANILLA and "device" not in options:
            with torch.no_grad():
                next(iter(model.parameters()))[0, 0] = math.nan
        return model

    monkeypatch.setattr(experiment, "transfer", SimpleNamespace(build=broken))
    found = experiment.run({"row": "GeLU", "repaired": False}, 0, smoke=True)
    assert found["diverged"] == 1
    assert math.isnan(found["final_loss"])


def test_other_texts_are_refused(monkeypatch):
    """Runs that read other versions are of another table."""
    monkeypatch.setattr(experiment, "world", lambda smoke: world(True))
    with pytest.raises(ValueError, match=r"the docstrings here are .*; they must be .*: install"):
        experiment.run(experiment.settings()[VANILLA], 0, smoke=False)
    assert Counter(experiment.CORPUS).total() == 12
