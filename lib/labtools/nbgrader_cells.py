"""What a graded cell of the nbgrader export calls."""

from collections.abc import Callable
from typing import Any

from otter.test_files import test_case

from labtools.running import run_case


class CheckFailed(AssertionError):
    """The check does not hold. The message says why."""


def run_test(test: Callable[..., None], environment: dict[str, Any], failure_message: str) -> None:
    """Run one test on the notebook's variables, with the same words and time limit as elsewhere.

    Raises:
        CheckFailed: if it fails. nbgrader then gives the cell no points.
    """
    case = test_case(name=test.__name__, points=0, failure_message=failure_message)(test)
    result = run_case(case.to_dataclass(), environment)
    if not result.passed:
        raise CheckFailed(result.said)
    print("✓ passed")
