"""Answers that do nothing. No question may give a point for one."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from labtools.running import CaseResult

#: What a function that has done nothing may return, made anew for each question.
NOTHING: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "1.0": lambda: 1.0,
    "an empty tensor": lambda: torch.empty(0),
    "a tensor of one zero": lambda: torch.zeros(()),
    "an empty tuple": lambda: (),
    "an empty list": lambda: [],
    "an empty dict": lambda: {},
    "two Nones": lambda: (None, None),
    "two empty tensors": lambda: (torch.empty(0), torch.empty(0)),
    "three zeros": lambda: (0.0, 0.0, 0.0),
    "an empty string": lambda: "",
}


def try_nothing(
    functions: list[str],
    run: Callable[[dict[str, Any]], list[CaseResult]],
    environment: dict[str, Any],
) -> Iterator[tuple[str, list[CaseResult]]]:
    """Let every one of a question's `functions` return each kind of nothing, and `run` its tests.

    What a class of that name would be returns nothing too.
    """
    for name, make in NOTHING.items():
        changed = dict(environment)
        for function in functions:
            changed[function] = lambda *_, make=make, **__: make()
        yield name, run(changed)
