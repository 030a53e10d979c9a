"""Benchmarks: turns, ratios, bars, and results that chapters can read."""

import sys
import time
from types import SimpleNamespace

import pytest
import torch

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


def test_a_bench_is_written_and_read_like_an_experiment(tmp_path, monkeypatch):
    def numbers(count):
        return lambda: torch.zeros(count)

    def cases(smoke):
        count = 1000 if smoke else 10**9
        base = Case("base", numbers(count))
        return [base, Case("half", numbers(count // 2), "base", 0.5, memory_bar=2000)]

    module = SimpleNamespace(__doc__="Which is faster?\n\nMore.", cases=cases)
    monkeypatch.setitem(sys.modules, "experiments.bench.fake", module)
    monkeypatch.setattr(bench, "names", lambda: ["fake"])
    monkeypatch.setattr(bench.runner, "fingerprint_of", lambda name: f"of {name}")
    frame, result = bench.bench("fake", rounds=2, smoke=True)
    assert list(frame.index) == ["base", "half"]
    bench.write(result, tmp_path)
    read = results.load("bench_fake", folder=tmp_path)
    assert read.smoke
    assert (read.question, read.unit) == ("Which is faster?", "round")
    assert read.settings["half"] == {"against": "base", "bar": 0.5, "memory_bar": 2000}
    assert read.mean_std("seconds")["n"].eq(2).all()
    assert read.values("peak_bytes") == {"half": [2000, 2000]}
    assert {run["fingerprint"] for run in read.runs} == {"of bench_fake"}


def test_an_unknown_bench_is_one_sentence(capsys):
    assert main(["nothing"]) == 1
    assert "name is 'nothing'; it must be one of" in capsys.readouterr().err
