"""What a graded cell of the nbgrader export calls."""

from collections.abc import Callable
from typing import Any

from otter.test_files import test_case

from labtools.canary import canaries_are_caught
from labtools.running import run_case, run_cases
from labtools.tools import own_tools, remember_tools

_TOOLS = remember_tools()


class CheckFailed(AssertionError):
    """The check does not hold. The message says why."""


def run_test(
    test: Callable[..., Any],
    environment: dict[str, Any],
    failure_message: str,
    *,
    hidden: bool = False,
    salt: str = "",
) -> None:
    """Run one test on the notebook's variables, with the same words and time limit as elsewhere.

    What was seen of a notebook that changed its grader is printed; it takes no point away.

    Raises CheckFailed if it fails: nbgrader then gives the cell no points.
    """
    made = test_case(name=test.__name__, points=0, hidden=hidden, failure_message=failure_message)
    case = made(test).to_dataclass()
    with own_tools(_TOOLS) as replaced:
        result = run_case(case, environment, salt=salt, may_interrupt=True)
    if replaced.grader:
        print(f"For the teacher, to look at: the notebook replaced {replaced.grader[0]}.")
    if not canaries_are_caught(run_cases, [case]):
        print("For the teacher, to look at: a test that must fail was reported as passed.")
    if not result.passed:
        raise CheckFailed(result.said)
    print("✓ passed", result.told)
