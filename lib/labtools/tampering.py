"""Notice a notebook that changed the tools it is graded with.

The notebook's code and its tests share one process, so nothing here can be proof against an
attacker. It notices what students try: a comparison that always agrees, an oracle replaced by
one's own function, a test runner that reports success.
"""

import builtins
import math
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import torch
import torch.utils.flop_counter
from otter.test_files import TestCase, test_case

from labtools import testing
from labtools.running import CaseResult

RunCases = Callable[..., list[CaseResult]]
Snapshot = dict[str, tuple[int, int]]

_TORCH = str(Path(torch.__file__).parent)

_WATCHED: tuple[ModuleType | type, ...] = (
    builtins,
    math,
    time,
    numpy,
    torch,
    torch.nn.functional,
    torch.testing,
    torch.Tensor,
    torch.utils.flop_counter,
)


def snapshot() -> Snapshot:
    """The identity of every function that a test may rely on."""
    return {name: _identity(value) for name, value in _functions().items()}


def replaced(before: Snapshot) -> list[str]:
    """The dotted names in `before` that now mean something else."""
    now = _functions()
    return sorted(
        name
        for name, identity in before.items()
        if _identity(now.get(name)) != identity and not _is_torchs_own(now.get(name))
    )


def _functions() -> dict[str, Any]:
    return {
        f"{holder.__name__}.{name}": value
        for holder in _watched()
        for scope in reversed(getattr(holder, "__mro__", (holder,)))
        for name, value in vars(scope).items()
        if callable(value)
    }


def _identity(value: Any) -> tuple[int, int]:
    return id(value), id(getattr(value, "__code__", None))


def _watched() -> list[ModuleType | type]:
    labtools = [module for name, module in sys.modules.items() if name.startswith("labtools.")]
    return [*_WATCHED, *labtools]


def _is_torchs_own(value: Any) -> bool:
    """Whether torch itself put `value` there: it wraps `manual_seed` when it loads its compiler."""
    code = getattr(value, "__code__", None)
    return code is not None and code.co_filename.startswith(_TORCH)


def canary_is_caught(run_cases: RunCases) -> bool:
    """Whether tests that must fail do fail, and one that must pass does.

    Each comparison is fed fresh random values, so that no answer can be prepared.
    """
    value = secrets.randbelow(10**6) + 1
    tensor = torch.full((2, 3), float(value))

    def refuse_plainly() -> None:
        raise AssertionError(value)

    def refuse_values() -> None:
        testing.expect_close(tensor + 1, tensor)

    def refuse_equal() -> None:
        testing.expect_equal(value + 1, value)

    def refuse_number() -> None:
        testing.expect_number(value + 1, value, relative=1e-9)

    def refuse_condition() -> None:
        testing.expect(value < 0, "a false condition")

    def refuse_call() -> None:
        with testing.forbid("torch.exp"):
            torch.exp(tensor)

    def accept() -> None:
        testing.expect_close(tensor, tensor.clone())

    must_fail = (
        refuse_plainly,
        refuse_values,
        refuse_equal,
        refuse_number,
        refuse_condition,
        refuse_call,
    )
    results = run_cases([_case(function) for function in (*must_fail, accept)], {})
    return [result.passed for result in results] == [False] * len(must_fail) + [True]


def _case(function: Callable[[], Any]) -> TestCase:
    return test_case(name=function.__name__, points=0)(function).to_dataclass()
