"""The bench of a step after a long text: its cases run, and its record is as flat as it says."""

import statistics

import pytest

from experiments.bench.decoding import LENGTHS, TOKENS, WAYS, Writing, cases
from frugal import results
from frugal.attention.cache import KeyValueCache
from frugal.attention.kernels.state import KernelState


def test_every_case_runs_and_is_against_one_that_is_there():
    found = cases(smoke=True)
    names = {case.name for case in found}
    assert len(names) == len(found) == 2 * len(WAYS)
    for case in found:
        case.run()
        assert case.against is None or case.against in names


@pytest.mark.parametrize(
    ("way", "kind", "reach"),
    [
        ("softmax", KeyValueCache, None),
        ("window", KeyValueCache, 32),
        ("linear", KernelState, None),
        ("Performer", KernelState, None),
        ("linear, keys kept", KeyValueCache, None),
    ],
)
def test_each_way_keeps_what_it_says(way, kind, reach):
    writing = Writing(way, 80)
    writing()
    for cache in writing.caches:
        assert cache.own.length == 80 + TOKENS
        assert isinstance(cache.own.kept, kind)
        assert getattr(cache.own.kept, "reach", None) == reach


def test_in_the_record_a_state_and_a_window_cost_the_same_after_any_text():
    record = results.load("bench_decoding").frame().query("metric == 'seconds'")
    seconds = record.groupby("setting")["value"].apply(list)
    for way in ("window", "linear", "Performer"):
        first = seconds[f"{way} {LENGTHS[0]}"]
        for length in (16384, 32768):
            gaps = [
                late - soon for late, soon in zip(seconds[f"{way} {length}"], first, strict=True)
            ]
            assert 1e3 * statistics.median(gaps) / TOKENS <= 0.5
