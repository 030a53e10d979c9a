"""Benchmarks: turns, ratios, bars, and results that chapters can read."""

import time

import pytest

from experiments import bench
from experiments.bench import Case
from experiments.bench.__main__ import main
from frugal import results


class Work:
    """Moves the process's clock by a fixed time for each call, and remembers the order."""

    def __init__(self, monkeypatch):
        self.now, self.order = 0.0, []
        monkeypatch.setattr(bench.time, "process_time", lambda: self.now)

    def of(self, name, *seconds):
        turns = iter(seconds)

        def run():
            self.order.append(name)
            self.now += next(turns)

        return run


@pytest.fixture
def work(monkeypatch):
    return Work(monkeypatch)


def test_cases_take_turns_and_the_first_round_is_not_counted(work):
    cases = [
        Case("slow", work.of("slow", 99, 4, 8, 100)),
        Case("fast", work.of("fast", 99, 1, 2, 90), against="slow", bar=0.25),
    ]
    seconds = bench.race(cases, rounds=3, progress=False)
    assert work.order == ["slow", "fast"] * 4
    assert seconds == [{"slow": 4, "fast": 1}, {"slow": 8, "fast": 2}, {"slow": 100, "fast": 90}]
    frame = bench.table(cases, seconds)
    # the median of the ratios 0.25, 0.25 and 0.9, not the ratio of the medians
    assert frame.loc["fast", "ratio"] == 0.25
    assert frame.loc["fast", "ms"] == 2000
    assert frame["held"].all()


def test_a_bar_on_time_or_memory_that_is_missed_is_told():
    import torch

    def megabyte():
        return torch.zeros(250_000)

    cases = [
        Case("base", megabyte),
        Case("late", megabyte, against="base", bar=0.5),
        Case("large", megabyte, memory_bar=900_000),
        Case("small", megabyte, memory_bar=1_100_000),
    ]
    frame = bench.table(cases, [{"base": 1.0, "late": 0.6, "large": 1.0, "small": 1.0}])
    assert frame["held"].to_dict() == {"base": True, "late": False, "large": False, "small": True}
    assert frame.loc["large", "peak MB"] == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(
    ("cases", "rounds", "sentence"),
    [
        ([Case("a", time.time, against="b")], 1, "'a' is against 'b'"),
        ([Case("a", time.time)], 0, "rounds is 0"),
    ],
)
def test_bad_cases(cases, rounds, sentence):
    with pytest.raises(ValueError, match=sentence):
        bench.race(cases, rounds=rounds, progress=False)


def test_the_pattern_bench_runs_small_and_is_read_like_an_experiment(tmp_path):
    pytest.importorskip("transformers")
    frame, result = bench.bench("patterns", rounds=1, smoke=True)
    assert set(frame["against"]) - {""} <= set(frame.index)
    bench.write(result, tmp_path)
    read = results.load("bench_patterns", folder=tmp_path)
    assert read.smoke
    assert list(read.settings) == list(frame.index)
    assert read.mean_std("seconds")["n"].eq(1).all()
    assert read.mean_std("peak_bytes")["mean"].gt(0).all()


def test_an_unknown_bench_is_one_sentence(capsys):
    assert main(["nothing"]) == 1
    assert "name is 'nothing'; it needs to be one of" in capsys.readouterr().err
