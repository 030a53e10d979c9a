"""Refuse named torch functions while a student's code runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode


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
        if getattr(func, "__name__", "") in self.names:
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
        for candidate in (name, name.lstrip("_"), name.removeprefix("_safe_")):
            if candidate in self.names:
                raise Forbidden(f"torch.{candidate}")
        return func(*args, **(kwargs or {}))


@contextmanager
def forbid(*names: str) -> Iterator[None]:
    """Raise `Forbidden` when the body calls one of `names`, as `forbid("torch.softmax")`.

    The last part of a name counts: `torch.softmax` also forbids `torch.Tensor.softmax`,
    `torch.nn.functional.softmax`, `torch.nn.Softmax` and the operator they all end in. An import
    under another name changes nothing.
    """
    last_parts = frozenset(name.rpartition(".")[2] for name in names)
    with _OperatorsByName(last_parts), _CallsByName(last_parts):
        yield
