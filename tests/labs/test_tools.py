"""The parts under a check: expectations, forbidden calls, time limits, words, tamper detection."""

import math
import re
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from otter.test_files import test_case as case

import frugal
from labtools import testing
from labtools.canary import canaries_are_caught
from labtools.clock import FakeClock
from labtools.forbid import Forbidden, forbid
from labtools.process import Outcome, _take_in
from labtools.report import Report, points_in_words
from labtools.running import CaseResult, run_case, run_cases
from labtools.testing import Failure
from labtools.time_limit import TimeLimit, time_limit

X = torch.arange(12.0).reshape(3, 4)


def silent() -> None:
    raise ValueError


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: testing.expect(False, "no good"), "no good"),
        (lambda: testing.expect(torch.tensor(False), "no good"), "no good"),
        (
            lambda: testing.expect_tensor(None, what="f"),
            "f returned None. Is the `return`",
        ),
        (lambda: testing.expect_tensor(np.ones(3), what="f"), "f returned a ndarray; it must"),
        (lambda: testing.expect_tensor(X, (4, 3)), r"expected shape (4, 3), got (3, 4)"),
        (lambda: testing.expect_tensor(X, dtype=torch.bool), "expected dtype torch.bool, got"),
        (lambda: testing.expect_close(X / 0 * 0, X), "100 % of the values are NaN (12 of 12)"),
        (
            lambda: testing.expect_close(X + (X == 5), X),
            "1 of 12 values are off by more than 1e-05. The worst is at [1, 1]: expected 5, got 6.",
        ),
        (lambda: testing.expect_close(X, X * torch.inf), "are off by more than"),
        (lambda: testing.expect_equal(X == 5, X == 6), "2 of 12 values differ. The first is at [1"),
        (lambda: testing.expect_equal(None, 3), "returned None"),
        (lambda: testing.expect_equal("3", 3), "expected a int (3), got a str"),
        (lambda: testing.expect_equal(4, 3), "expected 3, got 4"),
        (lambda: testing.expect_number(6, 3), "expected 3, got 6, 2 times as much"),
        (lambda: testing.expect_number(math.nan, 3), "returned NaN; expected 3"),
        (lambda: testing.expect_number(True, 1), "returned a bool; it must return a number"),
        (lambda: testing.expect_number(X, 1), "returned a Tensor; it must return a number"),
        (lambda: testing.expect_number(1e-3, 0), "expected 0, got 0.001."),
        (
            lambda: testing.expect_raises(ValueError, lambda: 1 / 0, what="x"),
            "For x your code raised ZeroDivisionError (division by zero); it must raise ValueError",
        ),
        (lambda: testing.expect_raises(ValueError, int, what="x"), "it returned a value"),
        (
            lambda: testing.expect_raises(ValueError, silent, what="x", in_words=True),
            "For x your ValueError says nothing; it must say what is wrong.",
        ),
    ],
)
def test_expectations_fail_in_words(call, sentence: str) -> None:
    with pytest.raises(Failure) as caught:
        call()
    assert sentence in str(caught.value)


def test_expectations_hold() -> None:
    testing.expect(X[0, 1], "1 is true")
    assert testing.expect_tensor(X, (3, 4), torch.float32) is X
    testing.expect_close(X + 9e-6, X)
    testing.expect_close(X.masked_fill(X > 5, torch.inf), X.masked_fill(X > 5, torch.inf))
    testing.expect_close(X.requires_grad_(), X.detach().double())
    testing.expect_equal(np.float64(3), 3)
    testing.expect_number(torch.tensor(3), 3)
    testing.expect_raises(ZeroDivisionError, lambda: 1 / 0, what="x", in_words=True)
    testing.expect_raises(ValueError, silent, what="x")
    with pytest.raises(NotImplementedError):
        testing.expect_raises(ValueError, Student.unwritten, what="x")
    assert torch.equal(testing.normal(2, 3, seed=5), testing.normal(2, 3, seed=5))
    assert not torch.equal(testing.normal(2, 3, seed=5), testing.normal(2, 3, seed=6))
    assert testing.integers(2, 4, 50, seed=1).unique().tolist() == [2, 3]


class Student:
    @staticmethod
    def unwritten() -> None:
        raise NotImplementedError


alias = F.softmax


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.softmax(X, -1),
        lambda: X.softmax(-1),
        lambda: alias(X, -1),
        lambda: torch.nn.Softmax(-1)(X),
        lambda: torch.special.softmax(X, -1),
        lambda: F.gumbel_softmax(X),  # a function that calls it inside
        lambda: torch.ops.aten._safe_softmax(X, -1),
        lambda: torch.nn.MultiheadAttention(4, 2)(X, X, X),
    ],
)
def test_forbid_sees_every_way_to_call(call) -> None:
    call()
    with pytest.raises(Forbidden, match="do not call"), forbid("torch.softmax"):
        call()


def test_forbid_leaves_the_rest_alone() -> None:
    with forbid("torch.softmax"):
        weights = X.exp() / X.exp().sum(-1, keepdim=True)
    assert torch.allclose(weights, torch.softmax(X, -1))


def test_forbid_sees_the_books_own_library() -> None:
    home = Path(frugal.__file__).parent / "attention" / "entmax.py"  # not in site-packages
    library: dict = {}
    exec(compile("def entmax(x):\n    return x\n", str(home), "exec"), library)
    of_a_cell: dict = {}
    exec(compile("def entmax(x):\n    return x\n", "<cell>", "exec"), of_a_cell)
    with pytest.raises(Forbidden, match="do not call"), forbid("entmax"):
        library["entmax"](X)
    with forbid("entmax"):
        of_a_cell["entmax"](X)


@pytest.mark.parametrize("name", ["bootstrap", "rank", "spearmanr", "ttest_rel"])
def test_forbid_sees_what_a_package_decorates(name: str) -> None:
    cell = {"stats": pytest.importorskip("scipy.stats"), "pd": pd, "x": X[0].detach().numpy()}
    calls = {
        "bootstrap": "stats.bootstrap((x,), lambda x, axis: x.mean(axis), n_resamples=20)",
        "rank": "pd.Series(x).rank()",
        "spearmanr": "stats.spearmanr(x, x)",
        "ttest_rel": "stats.ttest_rel(x, x[::-1])",
    }
    exec(compile(f"def call():\n    return {calls[name]}", "<cell>", "exec"), cell)
    cell["call"]()
    with pytest.raises(Forbidden, match=f"do not call `.*{name}`"), forbid(name):
        cell["call"]()


def busy() -> None:
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


def stubborn() -> None:
    try:
        busy()
    except BaseException:
        busy()


def sleepy() -> None:
    time.sleep(1000)


@pytest.mark.parametrize("function", [busy, stubborn, sleepy])
def test_time_limit_ends_it(function) -> None:
    start = time.monotonic()
    with pytest.raises(TimeLimit, match=r"stopped after 0.2 s"):  # noqa: SIM117
        with time_limit(0.2, on_the_clock=0.2 if function is sleepy else 19):
            function()
    assert time.monotonic() - start < 20
    with time_limit(0.05):
        pass
    time.sleep(0.1)  # an alarm that was not switched off would strike here


@pytest.mark.parametrize(("share", "is_stopped"), [(0.1, False), (0.01, True)])
@pytest.mark.parametrize("of_the_main_thread", [True, False])
def test_a_busy_machine_makes_nobody_late(
    monkeypatch, share: float, is_stopped: bool, of_the_main_thread: bool
) -> None:
    """What has a processor for a tenth of the clock computes; for a hundredth, it waits."""

    def worked() -> float:
        return share * time.monotonic()

    clock = SimpleNamespace(monotonic=time.monotonic, thread_time=worked, process_time=worked)
    monkeypatch.setattr("labtools.time_limit.time", clock)
    if not of_the_main_thread:
        monkeypatch.setattr("labtools.time_limit._alarm_is_usable", lambda: False)
    with pytest.raises(TimeLimit) if is_stopped else nullcontext(), time_limit(0.2):
        started = time.monotonic()
        while time.monotonic() - started < 1.0:  # what waits has 0.8
            pass
    with pytest.raises(TimeLimit), time_limit(0.05):
        busy()


def nested() -> None:
    with time_limit(30):
        time.sleep(0.1)
    sleepy()


def test_an_outer_time_limit_goes_on() -> None:
    with pytest.raises(TimeLimit, match=r"stopped after 0\.4 s"):  # noqa: SIM117
        with time_limit(0.1, on_the_clock=0.4):
            nested()


def test_time_limit_works_on_another_thread() -> None:
    outcomes = []

    def work() -> None:
        try:
            with time_limit(0.2):
                busy()
        except TimeLimit as error:
            outcomes.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert len(outcomes) == 1


def make_case(function, **options):
    return case(name=function.__name__, points=1, **options)(function).to_dataclass()


def test_a_question_does_not_wait_for_each_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labtools.running.SECONDS_AFTER_A_TIME_OUT", 0.1)
    first, second, third = run_cases([make_case(busy)] * 3, {}, seconds=0.5)
    assert first.error == second.error == third.error == "TimeLimit"
    # of computing, or four times as much on the clock of a busy machine
    assert re.match(r"Stopped after (0\.5 s|2 s on the clock)", first.words)
    assert re.match(r"Stopped after (0\.1 s|0\.4 s on the clock)", second.words)
    assert re.match(r"Stopped after (0\.1 s|0\.4 s on the clock)", third.words)


class Weird(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_no_exception_leaves_a_case() -> None:
    def quits() -> None:
        raise SystemExit

    def weird() -> None:
        raise Weird

    def long() -> None:
        raise ValueError("x" * 10**6)

    results = run_cases([make_case(quits), make_case(weird), make_case(long)], {})
    assert [result.passed for result in results] == [False] * 3
    assert "SystemExit" in results[0].words
    assert "Weird" in results[1].words
    assert len(results[2].words) < 2100


def test_advice_goes_with_a_failed_property_only() -> None:
    def fails() -> None:
        raise Failure("x is 3")

    def crashes() -> None:
        raise KeyError("x")

    options = {"failure_message": "Think of y."}
    assert run_case(make_case(fails, **options), {}).said == "x is 3\nThink of y."
    assert "Think" not in run_case(make_case(crashes, **options), {}).said


def test_report_in_text_and_html() -> None:
    results = (
        CaseResult("a < b", 1, False, True),
        CaseResult("c", 0.5, False, False, advice="Do.", words="<b>"),
    )
    report = Report("q1", results)
    assert repr(report).splitlines() == [
        "q1: 1 of 1.5 public points",
        "  ✓ a < b (1 point)",
        "  ✗ c (0.5 points)",
        "      <b>",
        "      Do.",
    ]
    html = report._repr_html_()
    assert "a &lt; b" in html
    assert "&lt;b&gt;" in html
    assert points_in_words(1) == "1 point"


def test_canaries() -> None:
    assert canaries_are_caught(run_cases)

    def always_passes(cases, environment, **_):
        return [CaseResult(case.name, 1, False, True) for case in cases]

    def always_fails(cases, environment, **_):
        return [CaseResult(case.name, 1, False, False) for case in cases]

    assert not canaries_are_caught(always_passes)
    assert not canaries_are_caught(always_fails)


@pytest.mark.parametrize(
    "name", ["expect", "expect_close", "expect_equal", "expect_number", "expect_tensor"]
)
def test_canaries_see_a_comparison_that_always_agrees(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(testing, name, lambda *arguments, **options: None)
    assert not canaries_are_caught(run_cases)


@pytest.mark.parametrize(
    "line", [b"{}", b"x", b"3", b'{"kind": "question", "name": "q1", "results": []}']
)
def test_a_line_that_no_worker_writes_is_noticed_and_earns_nothing(line: bytes) -> None:
    outcome = Outcome()
    _take_in(line, outcome)
    assert outcome.tampered == ["the notebook wrote to the channel of the results"]
    assert outcome.results == {}


def test_a_line_of_the_worker_is_taken_in() -> None:
    outcome = Outcome()
    _take_in(b'{"kind": "cell", "index": 2, "words": "w"}', outcome)
    assert outcome.cell_errors == [(2, "w")]
    assert outcome.tampered == []


def test_fake_clock() -> None:
    clock = FakeClock(start=3.0)
    assert clock() == clock() == 3.0
    clock.advance(2.5)
    assert clock() == 5.5
    assert clock.readings == 3
