"""Refuse named torch functions while a student's code runs."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode

#: What torch calls inside a function and offers beside it, where the name alone does not tell.
_FAMILIES = {
    "scaled_dot_product_attention": re.compile(r"scaled_dot_product_\w*attention"),
    "multi_head_attention_forward": re.compile(
        r"(native_)?multi_?head_attention|transformer_encoder_layer_fwd"
    ),
}
_PACKAGES = ("site-packages", "dist-packages")
#: The book's own library, which is no code of a cell either, wherever it lies.
_LIBRARY = f"{Path(__file__).resolve().parents[1] / 'frugal'}{os.sep}"


class Forbidden(AssertionError):
    """The code called a function that the question asks to write."""

    def __init__(self, name: str) -> None:
        super().__init__(f"This question is about writing it: do not call `{name}`.")


class _CallsByName(TorchFunctionMode):
    """Sees every call of torch's Python interface, however the function was imported."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self.names = names

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if _is_one_of(getattr(func, "__name__", ""), self.names):
            raise Forbidden(resolve_name(func) or func.__name__)
        return func(*args, **(kwargs or {}))


class _OperatorsByName(TorchDispatchMode):
    """Sees the operators that actually run, also those called inside another torch function."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is compiled. True would import the compiler at the first call: seconds."""
        return False

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self.names = names

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if _is_one_of(name.removeprefix("_safe_"), self.names):
            raise Forbidden(f"torch.{name}")
        return func(*args, **(kwargs or {}))


class _CallsInPython:
    """Sees calls where torch's modes do not: other packages, other threads, modes switched off.

    It is a profile function, which Python tells of every call. torch's own Python code is left to
    the modes: it calls functions of these names for reasons of its own.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.seen: Forbidden | None = None

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            name, home = getattr(arg, "__name__", ""), "torch"
            refused = (
                _is_one_of(name, self.names)
                and _is_torchs(arg)
                and not _is_installed(frame.f_code)  # a thread calls it from Python's own lines
            )
        elif event == "call":
            name, home = frame.f_code.co_name, frame.f_globals.get("__name__", "")
            caller = _caller(frame)
            refused = (
                _is_one_of(name, self.names)
                and not _is_code_of_a_cell(frame.f_code)
                and caller is not None
                and _is_code_of_a_cell(caller.f_code)
            )
        else:
            return
        if refused:
            self.seen = Forbidden(f"{home.partition('.')[0]}.{name}")
            raise self.seen


def _caller(frame: FrameType) -> FrameType | None:
    """Who calls: not a wrapper of a package's own decorator, as around `scipy.stats.bootstrap`."""
    caller = frame.f_back
    while caller and "wrap" in caller.f_code.co_name and _is_installed(caller.f_code):
        caller = caller.f_back
    return caller


def _is_one_of(name: str, names: frozenset[str]) -> bool:
    """Whether a function is one of `names`, or one of torch's private forms of it."""
    bare = name.lstrip("_")
    if name in names or bare in names:
        return True
    return any(_FAMILIES[family].match(bare) for family in names & _FAMILIES.keys())


def _is_torchs(function: Any) -> bool:
    """Whether a compiled function is torch's, and not `list.sort` or `math.exp`."""
    owner = getattr(function, "__self__", None)
    places = (getattr(function, "__module__", None), getattr(owner, "__module__", None))
    return isinstance(owner, Tensor) or any(str(place).startswith("torch") for place in places)


def _is_code_of_a_cell(code: CodeType) -> bool:
    """Whether code stands in a notebook, and not in a package, the book's library or Python."""
    elsewhere = (_LIBRARY, sys.base_prefix)
    return not _is_installed(code) and not code.co_filename.startswith(elsewhere)


def _is_installed(code: CodeType) -> bool:
    """Whether code stands in an installed package."""
    return any(part in code.co_filename for part in _PACKAGES)


@contextmanager
def forbid(*names: str) -> Iterator[None]:
    """Raise `Forbidden` when the body calls one of `names`, as `forbid("torch.softmax")`.

    The last part of a name counts: `torch.softmax` also forbids `torch.Tensor.softmax`,
    `torch.nn.functional.softmax`, `torch.nn.Softmax`, `scipy.special.softmax` and the operator they
    all end in. An import under another name changes nothing, nor does another thread that the body
    starts.
    """
    last_parts = frozenset(name.rpartition(".")[2] for name in names)
    calls = _CallsInPython(last_parts)
    before = sys.getprofile(), threading.getprofile()
    threading.setprofile(calls)
    sys.setprofile(calls)
    try:
        with _OperatorsByName(last_parts), _CallsByName(last_parts):
            yield
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])
    if calls.seen is not None:
        raise calls.seen
