"""Run the test cases of a question against a notebook's namespace."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from otter.test_files import TestCase

from labtools.testing import Failure
from labtools.time_limit import TimeLimit, time_limit
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

    @property
    def said(self) -> str:
        """The advice and the words, as a student reads them."""
        return "\n".join(filter(None, (self.advice, self.words)))


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
    """Run one case. Nothing that the student's code does or raises leaves this function."""
    described = {
        "property": case.success_message or case.name,
        "points": case.points,
        "hidden": case.hidden,
    }
    try:
        with time_limit(seconds):
            _call(case.body.test_func, environment)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return CaseResult(
            **described,
            passed=False,
            advice=(case.failure_message or "") if isinstance(error, Failure) else "",
            words=explain(error, environment),
            unwritten=is_unwritten(error),
            error=type(error).__name__,
        )
    return CaseResult(**described, passed=True)


def _call(test: Any, environment: dict[str, Any]) -> None:
    arguments = {}
    for name in inspect.signature(test).parameters:
        if name not in environment:
            raise NotDefined(name)
        arguments[name] = environment[name]
    test(**arguments)
