"""Tests that must fail, run beside the real ones: whoever makes everything pass is noticed."""

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import torch
from otter.test_files import TestCase, test_case

from labtools import testing
from labtools.running import CaseResult

RunCases = Callable[..., list[CaseResult]]

_FORBIDDEN = re.compile(r"forbid\(([^)]*)\)")
_X = torch.ones(1, 2, 2, 4)
#: How to call what a question forbids.
_CALLS: dict[str, Callable[[], Any]] = {
    "exp": lambda: torch.exp(_X),
    "softmax": lambda: torch.softmax(_X, -1),
    "log_softmax": lambda: torch.log_softmax(_X, -1),
    "logsumexp": lambda: torch.logsumexp(_X, -1),
    "cumsum": lambda: torch.cumsum(_X, -1),
    "sort": lambda: torch.sort(_X),
    "topk": lambda: torch.topk(_X, 1),
    "einsum": lambda: torch.einsum("ij->ji", _X[0, 0]),
    "scaled_dot_product_attention": lambda: torch.nn.functional.scaled_dot_product_attention(
        _X, _X, _X
    ),
    "multi_head_attention_forward": lambda: torch.nn.MultiheadAttention(4, 2)(_X[0], _X[0], _X[0]),
}


def canaries_are_caught(
    run_cases: RunCases, like: Iterable[TestCase] = (), source: str = ""
) -> bool:
    """Whether tests that must fail do fail, and one that must pass does.

    Each compares fresh random values, so that no answer can be prepared, and bears the name and the
    messages of one of the question's own cases, `like`. `source` is the text of those: what they
    forbid, the canaries call.
    """
    value = secrets.randbelow(10**6) + 1
    tensor = torch.full((2, 3), float(value), dtype=torch.float32, device="cpu")

    def refuse_plainly() -> None:
        raise AssertionError(value)

    def refuse_values() -> None:
        testing.expect_close(tensor + 1, tensor)

    def refuse_tensor() -> None:
        testing.expect_tensor(tensor, (3, 2))

    def refuse_equal() -> None:
        testing.expect_equal(value + 1, value)

    def refuse_whole() -> None:
        testing.expect_whole(value + 1, value)

    def refuse_number() -> None:
        testing.expect_number(value + 1, value, relative=1e-9)

    def refuse_condition() -> None:
        testing.expect(value < 0, "a false condition")

    def refuse_silence() -> None:
        testing.expect_raises(ValueError, int, value, what="a number")

    def accept() -> None:
        testing.expect_close(tensor, tensor.clone())

    must_fail = [
        refuse_plainly,
        refuse_values,
        refuse_tensor,
        refuse_equal,
        refuse_whole,
        refuse_number,
        refuse_condition,
        refuse_silence,
        *(_calls_forbidden(name) for name in ("exp", *_forbidden_in(source)) if name in _CALLS),
    ]
    templates = list(like)
    cases = [_case(function, templates) for function in (*must_fail, accept)]
    results = run_cases(cases, {})
    return [result.passed for result in results] == [False] * len(must_fail) + [True]


def _forbidden_in(source: str) -> list[str]:
    """The last part of each name that a test forbids."""
    names = re.findall(r"[\w.]+", " ".join(_FORBIDDEN.findall(source)))
    return list(dict.fromkeys(name.rpartition(".")[2] for name in names))


def _calls_forbidden(name: str) -> Callable[[], None]:
    def refuse_call() -> None:
        with testing.forbid(f"torch.{name}"):
            _CALLS[name]()

    return refuse_call


def _case(function: Callable[[], Any], templates: list[TestCase]) -> TestCase:
    if not templates:
        return test_case(name=function.__name__, points=1)(function).to_dataclass()
    like = secrets.choice(templates)
    return test_case(
        name=like.name,
        points=like.points,
        hidden=like.hidden,
        success_message=like.success_message,
        failure_message=like.failure_message,
    )(function).to_dataclass()
