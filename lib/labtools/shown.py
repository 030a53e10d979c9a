"""`grader.show("q1")`: the public tests of a question, and what they call your functions with."""

import copy
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from otter.test_files import TestCase

from labtools.fakes import shown
from labtools.running import run_case

_FUNCTION = re.compile(r"^def .*?(?=^@|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Call:
    """One call of a function of the notebook by a test. `again()` makes it once more."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]

    def again(self) -> Any:
        """What the function returns for a copy of these arguments."""
        return self.function(*_kept(self.args), **_kept(self.options))

    def __repr__(self) -> str:
        values = [shown(value) for value in self.args]
        values += [f"{name}={shown(value)}" for name, value in self.options.items()]
        return f"{self.name}({', '.join(values)})"


@dataclass(frozen=True)
class Shown:
    """The public tests of a question as text, and the calls they make.

    `calls[0].args` are the arguments of the first call, `calls[0].again()` repeats it.
    """

    question: str
    source: str
    calls: tuple[Call, ...] = field(default=())

    def __repr__(self) -> str:
        parts = [f"The public tests of {self.question}:\n", self.source]
        if self.calls:
            listed = [f"  calls[{i}]  {call!r}" for i, call in enumerate(self.calls)]
            parts += ["\nThey call", *listed, "\ncalls[0].args holds the inputs of the first call."]
        return "\n".join(parts)


def show(
    question: str,
    source: str,
    cases: Iterable[TestCase],
    environment: dict[str, Any],
    *,
    seconds: float,
) -> Shown:
    """The tests of `question`, and the calls they make of what `environment` holds."""
    cases = list(cases)
    calls: list[Call] = []
    recording = dict(environment)
    for name in {
        name for case in cases for name in inspect.signature(case.body.test_func).parameters
    }:
        if inspect.isfunction(environment.get(name)):
            recording[name] = _recorded(name, environment[name], calls)
    for case in cases:
        run_case(case, recording, seconds=seconds)
    tests = [match[0].rstrip() for match in _FUNCTION.finditer(source)]
    titled = [f"# {case.success_message}\n{test}" for case, test in zip(cases, tests, strict=True)]
    return Shown(question, "\n\n".join(titled), tuple(calls))


def _recorded(name: str, function: Callable[..., Any], calls: list[Call]) -> Callable[..., Any]:
    def record(*args: Any, **options: Any) -> Any:
        calls.append(Call(name, function, _kept(args), _kept(options)))
        return function(*args, **options)

    return record


def _kept(inputs: Any) -> Any:
    """A copy of the inputs, which a function may change in place; themselves if they have none."""
    try:
        return copy.deepcopy(inputs)
    except Exception:
        return inputs
