"""Run the test cases of a question against a notebook's namespace."""

from collections.abc import Iterable
from dataclasses import dataclass
from inspect import signature
from typing import Any

from otter.test_files import TestCase

from labtools.failure import Failure
from labtools.state import torchs_own_state
from labtools.time_limit import TimeLimit, time_limit
from labtools.values import course_salt, salted
from labtools.words import NotDefined, explain, is_unwritten

CALL_SECONDS = 10.0
SECONDS_AFTER_A_TIME_OUT = 2.0


@dataclass(frozen=True)
class CaseResult:
    """What came of one test case."""

    property: str  # what the case tests, as a sentence
    points: float
    hidden: bool
    passed: bool
    advice: str = ""  # what the lab's author says to whoever fails it
    words: str = ""  # what went wrong this time
    unwritten: bool = False  # the code is not there yet
    error: str = ""  # the type of the exception
    told: str = ""  # what a test that passed has measured

    @property
    def said(self) -> str:
        """What a student reads: the fact, then the advice; or what was measured."""
        return "\n".join(filter(None, (self.words, self.advice, self.told)))


def run_cases(
    cases: Iterable[TestCase],
    environment: dict[str, Any],
    *,
    seconds: float = CALL_SECONDS,
    salt: str | None = None,
    may_interrupt: bool = False,
) -> list[CaseResult]:
    """Run each case on what `environment` holds, at most `seconds` of computing each.

    After one case has used up its time, the rest of the question gets little: a student should
    not wait for each of them. `salt` goes into the hidden ones, that of the course if not given.
    """
    results = []
    for case in cases:
        result = run_case(
            case, environment, seconds=seconds, salt=salt, may_interrupt=may_interrupt
        )
        if result.error == TimeLimit.__name__:
            seconds = min(seconds, SECONDS_AFTER_A_TIME_OUT)
        results.append(result)
    return results


def run_case(
    case: TestCase,
    environment: dict[str, Any],
    *,
    seconds: float = CALL_SECONDS,
    salt: str | None = None,
    may_interrupt: bool = False,
) -> CaseResult:
    """Run one case. Nothing that the student's code does or raises leaves this function.

    torch is as it starts, whatever the notebook's cells have set. A test that returns a sentence
    tells what it measured to whoever passes. Only where somebody sits at the keyboard does an
    interrupt end more than the case, `may_interrupt`.
    """
    described = {
        "property": case.success_message or case.name,
        "points": case.points,
        "hidden": case.hidden,
    }
    test = case.body.test_func
    salt = (course_salt() if salt is None else salt) if case.hidden else ""
    try:
        with torchs_own_state(), salted(salt), time_limit(seconds):
            told = _call(test, environment)
    except BaseException as error:
        if may_interrupt and isinstance(error, KeyboardInterrupt):
            raise
        return CaseResult(
            **described,
            passed=False,
            advice=(case.failure_message or "") if _can_be_helped(error) else "",
            words=explain(error, environment, getattr(test, "__globals__", None)),
            unwritten=is_unwritten(error, environment),
            error=type(error).__name__,
        )
    return CaseResult(**described, passed=True, told=told)


def _can_be_helped(error: BaseException) -> bool:
    """Whether the author's advice on the property can apply to what went wrong."""
    return isinstance(error, Failure) and error.advice


def _call(test: Any, environment: dict[str, Any]) -> str:
    arguments = {}
    for name in signature(test).parameters:
        if name not in environment:
            raise NotDefined(name)
        arguments[name] = environment[name]
    told = test(**arguments)
    return told if isinstance(told, str) else ""
