"""The functions that tests rely on, as they were before a notebook ran.

A notebook may give `print`, `torch.softmax` or `Tensor.__repr__` another meaning, for a good reason
or a bad one. Tests see none of it: what was replaced is put back while they run, so that nobody has
to be asked why. Only whoever replaces the grader itself is named.
"""

import builtins
import collections
import dataclasses
import functools
import itertools
import json
import json.encoder
import math
import operator
import random
import re
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import numpy
import torch
import torch.utils.flop_counter
from otter.test_files import TestCase, exception_test

GRADER = "labtools"
_MODULES = (
    builtins,
    collections,
    dataclasses,
    functools,
    itertools,
    json,
    json.encoder,
    math,
    operator,
    random,
    re,
    statistics,
    time,
    numpy,
    numpy.linalg,
    numpy.testing,
    torch,
    torch.fft,
    torch.linalg,
    torch.nn.functional,
    torch.special,
    torch.testing,
    torch.utils.flop_counter,
    torch.utils._python_dispatch,
    torch.overrides,
    exception_test,
)
_CLASSES = (
    *torch.Tensor.__mro__[:-1],
    torch.Generator,
    json.JSONEncoder,
    TestCase,
    exception_test.test_case,
)
#: torch itself binds this anew when the default dtype changes.
_NOT_OURS_TO_KEEP = {("torch", "Storage")}
_MISSING = object()

Holder = ModuleType | type


@dataclass
class Tools:
    """What a name of a module or class meant, and the code behind it."""

    values: dict[Holder, dict[str, Any]] = field(default_factory=dict)
    codes: dict[FunctionType, tuple[Any, Any, Any]] = field(default_factory=dict)
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def remember(self, holder: Holder) -> None:
        """Keep what the names of `holder` mean now."""
        kept = {
            name: value for name, value in vars(holder).items() if _matters(holder, name, value)
        }
        self.values[holder] = kept
        for value in kept.values():
            if isinstance(value, FunctionType):
                self.codes[value] = _code(value)


@dataclass
class Replaced:
    """What the notebook had replaced: by name, tools of the grader and others."""

    grader: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def remember_tools() -> Tools:
    """What every function that a test may rely on means now. Call it before a notebook runs."""
    tools = Tools()
    ours = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] == GRADER and isinstance(module, ModuleType)
    }
    for holder in (*_MODULES, *_CLASSES, *ours.values()):
        tools.remember(holder)
    for module in ours.values():
        for value in list(vars(module).values()):
            if isinstance(value, type) and value.__module__ == module.__name__:
                tools.remember(value)
    tools.modules = {**{module.__name__: module for module in _MODULES}, **ours}
    return tools


@contextmanager
def own_tools(tools: Tools) -> Iterator[Replaced]:
    """In the body every tool is what it was; afterwards all but the grader is the notebook's again.

    Yields the names of what was replaced.
    """
    replaced, undo = Replaced(), []
    for name, module in tools.modules.items():
        if (found := sys.modules.get(name)) is not module:
            sys.modules[name] = module
            _note(replaced, name, None, found)
    for function, code in tools.codes.items():
        if _code(function) != code:
            _set_code(function, code)
            _note(replaced, f"{function.__module__}.{function.__qualname__}", code, None)
    for holder, name, value, found in _changes(tools):
        _bind(holder, name, value)
        _note(replaced, f"{_name(holder)}.{name}", value, found)
        if not _name(holder).startswith(GRADER):
            undo.append((holder, name, found))
    try:
        yield replaced
    finally:
        for holder, name, found in undo:
            _bind(holder, name, found)


@contextmanager
def untraced() -> Iterator[None]:
    """No trace that a notebook has set sees the body: it could jump over the lines of a test."""
    before = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(before)


def _changes(tools: Tools) -> list[tuple[Holder, str, Any, Any]]:
    """Each holder and name, what it meant, and what it means now; `_MISSING` for nothing."""
    found = []
    for holder, kept in tools.values.items():
        now = vars(holder)
        for name, value in kept.items():
            if (current := now.get(name, _MISSING)) is not value:
                found.append((holder, name, value, current))
        for name in now.keys() - kept.keys():
            if _hides(holder, name, now[name]):
                found.append((holder, name, _MISSING, now[name]))
    return found


def _matters(holder: Holder, name: str, value: Any) -> bool:
    if (_name(holder), name) in _NOT_OURS_TO_KEEP or isinstance(value, ModuleType):
        return False
    if name in ("__dict__", "__weakref__", "__builtins__"):
        return False
    described = isinstance(holder, type) and hasattr(type(value), "__get__")
    constant = _name(holder).startswith(GRADER) and name.lstrip("_").isupper()
    return callable(value) or described or constant


def _hides(holder: Holder, name: str, value: Any) -> bool:
    """Whether a name that is new in `holder` stands before one that a test would have found."""
    if (_name(holder), name) in _NOT_OURS_TO_KEEP:
        return False
    is_ours = _name(holder).startswith(GRADER)
    if isinstance(holder, type):
        is_inherited = any(name in vars(base) for base in holder.__mro__[1:])
        is_a_field = is_ours and not name.startswith("__")  # of the objects, as `passed`
        return (is_inherited or is_a_field) and _matters(holder, name, value)
    return is_ours and not name.startswith("__") and hasattr(builtins, name)


def _bind(holder: Holder, name: str, value: Any) -> None:
    try:
        if value is _MISSING:
            delattr(holder, name)
        else:
            setattr(holder, name, value)
    except (AttributeError, TypeError):
        return  # what cannot be set back, the notebook could not have set


def _note(replaced: Replaced, name: str, value: Any, found: Any) -> None:
    if not name.startswith(GRADER):
        replaced.others.append(name)
    elif not _says_the_same(value, found):  # a module that was only loaded again says the same
        replaced.grader.append(name)


def _says_the_same(one: Any, other: Any) -> bool:
    """Whether two values come from the same lines: the grader's, loaded twice."""
    if isinstance(one, FunctionType) and isinstance(other, FunctionType):
        return one.__code__ == other.__code__
    if isinstance(one, type) and isinstance(other, type):
        parts = [name for name, value in vars(one).items() if isinstance(value, FunctionType)]
        return one.__qualname__ == other.__qualname__ and all(
            _says_the_same(vars(one)[name], vars(other).get(name)) for name in parts
        )
    return one is not None and type(one) is type(other) and one == other


def _code(function: FunctionType) -> tuple[Any, Any, Any]:
    options = function.__kwdefaults__
    return function.__code__, function.__defaults__, dict(options) if options else None


def _set_code(function: FunctionType, code: tuple[Any, Any, Any]) -> None:
    function.__code__, function.__defaults__, function.__kwdefaults__ = code


def _name(holder: Holder) -> str:
    if isinstance(holder, type):
        return f"{holder.__module__}.{holder.__qualname__}"
    return holder.__name__
