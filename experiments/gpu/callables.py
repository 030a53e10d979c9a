"""Every public callable, called as the tests call it on pretended CUDA tensors, with real numbers.

Small inputs; the same random numbers wherever the call runs. `correctness` has the larger ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

TESTS = Path(__file__).resolve().parents[2] / "tests"
SEED = 5
DRAWN = (torch.randn, torch.rand, torch.randint, torch.randperm)
FILLED = (Tensor.normal_, Tensor.uniform_, Tensor.exponential_, Tensor.random_)


class SameNumbers(TorchFunctionMode):
    """Draws on the CPU in float64, rounds to float32, and puts them where they are wanted."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if function in DRAWN:
            device, dtype = given.pop("device", None), given.pop("dtype", None)
            given.pop("generator", None)
            whole = function in (torch.randint, torch.randperm)
            wanted = dtype or (torch.int64 if whole else torch.get_default_dtype())
            drawn = function(*args, **given, dtype=torch.int64 if whole else torch.float64)
            return (drawn if whole else drawn.float()).to(device or "cpu", wanted)
        if function in FILLED or getattr(function, "__module__", "") == nn.init.__name__:
            given.pop("generator", None)
            target, *rest = [given.pop("tensor")] if "tensor" in given else args
            drawn = torch.empty(target.shape, dtype=torch.float64)
            with torch.no_grad():
                return target.copy_(function(drawn, *rest, **given).float())
        return function(*args, **given)


@cache
def calls() -> dict[str, Callable[[], Tensor]]:
    """By name, calls without arguments: each public callable, and each modification's loss.

    For a file of them that cannot be imported here one call that says why.
    """
    found: dict[str, Callable[[], Tensor]] = {}
    for path in sorted(TESTS.rglob("device_cases.py")):
        place = ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)
        try:
            cases = import_module(place).CASES
        except ImportError as error:
            found[place] = partial(_fail, error)
            continue
        found |= {f"{one.__module__}.{one.__qualname__}": call for one, call in cases.items()}
        if path.parent.name == "transfer":
            names = import_module("frugal.transfer").names()
            found |= {f"frugal.transfer, {name}": partial(_loss, name) for name in names}
    return found


def _fail(error: ImportError) -> Tensor:
    raise error


def _loss(name: str) -> Tensor:
    """Of a small model of this row."""
    ids, real = (getattr(import_module("tests.devices"), one) for one in ("ids", "real"))
    model = import_module("tests.transfer.device_cases").model(name)
    return model.loss(ids(), ids(), ids(), real(), real())


def outcome(
    name: str, device: torch.device, dtype: torch.dtype
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Output, nothing, and the gradients of the parameters, where there are any."""
    call, on = calls()[name], import_module("tests.devices").on
    torch.manual_seed(SEED)
    with on(str(device)), _default(dtype), _parameters() as made, SameNumbers():
        out = call()
    if not isinstance(out, Tensor):
        raise TypeError(f"{name} gave {type(out).__name__}, and no tensor")
    leaves = [one for one in made if one.requires_grad and one.is_leaf]
    if not (out.requires_grad and leaves):
        return [out.detach()], [], []
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(SEED))
    grads = torch.autograd.grad(out, leaves, weights.to(out), allow_unused=True)
    kept = [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, grads, strict=True)]
    return [out.detach()], [], kept


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _parameters() -> Iterator[list[nn.Parameter]]:
    """The parameters that are made meanwhile, in order."""
    made: list[nn.Parameter] = []
    register = nn.Module.register_parameter

    def keep(module: nn.Module, name: str, one: nn.Parameter | None) -> None:
        register(module, name, one)
        if one is not None and all(one is not other for other in made):
            made.append(one)

    with mock.patch.object(nn.Module, "register_parameter", keep):
        yield made
