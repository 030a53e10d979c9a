"""Run the test cases of a question against a notebook's namespace."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
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
    cases: Iterable[TestCase], environment: dict[str, Any], *, seconds: float = CALL_SECONDS
) -> list[CaseResult]:
    """Run each case on what `environment` holds, at most `seconds` each.

    After one case has used up its time, the rest of the question gets little: a student should
    not wait for each of them.
    """
    results = []
    for case in cases:
        result = run_case(case, environment, seconds=seconds)
        if result.error == TimeLimit.__name__:
            seconds = min(seconds, SECONDS_AFTER_A_TIME_OUT)
        results.append(result)
    return results


def run_case(
    case: TestCase, environment: dict[str, Any], *, seconds: float = CALL_SECONDS
) -> CaseResult:
    """Run one case. Nothing that the student's code does or raises leaves this function.

    torch is as it starts, whatever the notebook's cells have set. A test that returns a sentence
    tells what it measured to whoever passes.
    """
    described = {
        "property": case.success_message or case.name,
        "points": case.points,
        "hidden": case.hidden,
    }
    try:
        salt = course_salt() if case.hidden else ""
        with torchs_own_state(), salted(salt), time_limit(seconds):
            told = _call(case.body.test_func, environment)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return CaseResult(
            **described,
            passed=False,
            advice=(case.failure_message or "") if _can_be_helped(error) else "",
            words=explain(error, environment),
            unwritten=is_unwritten(error),
            error=type(error).__name__,
        )
    return CaseResult(**described, passed=True, told=told)


def _can_be_helped(error: BaseException) -> bool:
    """Whether the author's advice on the property can apply to what went wrong."""
    return isinstance(error, Failure) and error.advice


def _call(test: Any, environment: dict[str, Any]) -> str:
    arguments = {}
    for name in inspect.signature(test).parameters:
        if name not in environment:
            raise NotDefined(name)
        arguments[name] = environment[name]
    told = test(**arguments)
    return told if isinstance(told, str) else ""
