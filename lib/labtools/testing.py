"""What the tests of a lab are written with: expectations that fail in words.

Every function here raises `Failure` with a sentence a student can act on. `got` may be anything
a student's function returned: nothing here assumes that it is a tensor.
"""

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from labtools.clock import FakeClock
from labtools.forbid import Forbidden, forbid

__all__ = [
    "Failure",
    "FakeClock",
    "Forbidden",
    "expect",
    "expect_close",
    "expect_equal",
    "expect_number",
    "expect_raises",
    "expect_tensor",
    "forbid",
    "integers",
    "normal",
]


class Failure(AssertionError):
    """A property that does not hold, said in words."""


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal values of `shape` from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def integers(low: int, high: int, *shape: int, seed: int) -> Tensor:
    """Integers in `[low, high)` of `shape` from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, shape, generator=generator)


def expect(condition: Any, message: str) -> None:
    """Fail with `message` unless `condition` is true."""
    if not bool(condition):
        raise Failure(message)


def expect_raises(error: type[Exception], function: Any, *args: Any, what: str) -> None:
    """Fail unless `function(*args)` raises `error`. `what` names the bad input."""
    try:
        function(*args)
    except NotImplementedError:
        raise
    except error:
        return
    except Exception as other:
        raise Failure(
            f"For {what} your code raised {type(other).__name__} ({other}); "
            f"it must raise {error.__name__} with a sentence of its own."
        ) from other
    raise Failure(f"For {what} your code must raise {error.__name__}; it returned a value.")


def expect_tensor(
    got: Any,
    shape: tuple[int, ...] | None = None,
    dtype: torch.dtype | None = None,
    *,
    what: str = "your function",
) -> Tensor:
    """`got`, or a failure that says how it is not a tensor of `shape` and `dtype`."""
    if got is None:
        raise Failure(f"{what} returned None. Is the `return` missing?")
    if not isinstance(got, Tensor):
        raise Failure(f"{what} returned a {type(got).__name__}; it must return a torch.Tensor.")
    if shape is not None and tuple(got.shape) != tuple(shape):
        raise Failure(f"{what}: expected shape {tuple(shape)}, got {tuple(got.shape)}.")
    if dtype is not None and got.dtype != dtype:
        raise Failure(f"{what}: expected dtype {dtype}, got {got.dtype}.")
    return got


def expect_close(
    got: Any,
    want: Tensor,
    *,
    atol: float = 1e-5,
    what: str = "your function",
) -> None:
    """Fail unless `got` is a tensor of the shape of `want`, finite, and within `atol` of it."""
    got = expect_tensor(got, tuple(want.shape), what=what)
    got, want = got.detach().to(torch.float64), want.detach().to(torch.float64)
    missing = int(got.isnan().sum())
    if missing:
        share = 100 * missing / got.numel()
        raise Failure(f"{what}: {share:.0f} % of the values are NaN ({missing} of {got.numel()}).")
    difference = (got - want).abs()
    difference = torch.where(got == want, 0.0, difference)  # equal infinities differ by NaN
    wrong = ~(difference <= atol)
    if not wrong.any():
        return
    index = tuple(int(i) for i in torch.unravel_index(difference.argmax(), difference.shape))
    raise Failure(
        f"{what}: {int(wrong.sum())} of {got.numel()} values are off by more than {atol:g}. "
        f"The worst is at {list(index)}: expected {want[index]:.6g}, got {got[index]:.6g}."
    )


def expect_equal(got: Any, want: Any, *, what: str = "your function") -> None:
    """Fail unless `got == want`; tensors are compared by shape, dtype and every value."""
    if isinstance(want, Tensor):
        got = expect_tensor(got, tuple(want.shape), want.dtype, what=what)
        wrong = got != want
        if wrong.any():
            first = tuple(int(i) for i in wrong.nonzero()[0])
            raise Failure(
                f"{what}: {int(wrong.sum())} of {got.numel()} values differ. "
                f"The first is at {list(first)}: "
                f"expected {want[first].item()}, got {got[first].item()}."
            )
        return
    if got is None and want is not None:
        raise Failure(f"{what} returned None. Is the `return` missing?")
    if type(got) is not type(want) and not (isinstance(got, Real) and isinstance(want, Real)):
        raise Failure(
            f"{what}: expected a {type(want).__name__} ({want}), got a {type(got).__name__}."
        )
    if got != want:
        raise Failure(f"{what}: expected {want}, got {got}.")


def expect_number(
    got: Any, want: float, *, relative: float = 1e-6, what: str = "your function"
) -> None:
    """Fail unless `got` is a number within a share `relative` of `want`."""
    if got is None:
        raise Failure(f"{what} returned None. Is the `return` missing?")
    if isinstance(got, Tensor) and got.numel() == 1:
        got = got.item()
    if isinstance(got, bool) or not isinstance(got, Real):
        raise Failure(f"{what} returned a {type(got).__name__}; it must return a number.")
    if math.isnan(got):
        raise Failure(f"{what} returned NaN; expected {want:.6g}.")
    if abs(got - want) > relative * max(abs(want), 1e-300):
        ratio = got / want if want else 0
        times = f", {ratio:.4g} times as much" if 1e-3 < ratio < 1e3 else ""
        raise Failure(f"{what}: expected {want:.10g}, got {got:.10g}{times}.")
