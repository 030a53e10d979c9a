"""Expectations that fail in words.

Every function here raises `Failure` with a sentence a student can act on. `got` may be anything
a student's function returned: nothing here assumes that it is a tensor, or that it compares as a
tensor or a number does.
"""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labtools.failure import Failure
from labtools.fakes import shown
from labtools.pictures import beside

NONE = "{what} returned None. Is the `return` missing?"


def expect(condition: Any, message: str) -> None:
    """Fail with `message` unless `condition` is true."""
    if not bool(plain(condition) if isinstance(condition, Tensor) else condition):
        raise Failure(message)


def expect_raises(
    error: type[Exception], function: Any, *args: Any, what: str, in_words: bool = False
) -> None:
    """Fail unless `function(*args)` raises `error`. `what` names the bad input.

    Where the question asks for a sentence, `in_words` refuses an error that says nothing.
    """
    try:
        function(*args)
    except NotImplementedError:
        raise
    except error as raised:
        if in_words and not str(raised).strip():
            raise Failure(
                f"For {what} your {error.__name__} says nothing; it must say what is wrong."
            ) from raised
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
    """`got` as a plain tensor, or a failure that says how it is none of `shape` and `dtype`.

    Compute with what this returns: a subclass of Tensor may answer every comparison as it likes.
    """
    if got is None:
        raise Failure(NONE.format(what=what), advice=False)
    if not isinstance(got, Tensor):
        raise Failure(
            f"{what} returned a {type(got).__name__}; it must return a torch.Tensor.", advice=False
        )
    got = plain(got)
    if shape is not None and tuple(got.shape) != tuple(shape):
        raise Failure(
            f"{what}: expected shape {tuple(shape)}, got {tuple(got.shape)}.", advice=False
        )
    if dtype is not None and got.dtype != dtype:
        raise Failure(f"{what}: expected dtype {dtype}, got {got.dtype}.", advice=False)
    return got


def expect_pair(
    got: Any, *, what: str = "your function", names: tuple[str, str] = ("first", "second")
) -> tuple[Any, Any]:
    """The two values of `got`: a tuple, a list, a NamedTuple, any sequence of two.

    `names` says what they are, as `("keys", "values")`. Check each with another expectation.
    """
    if got is None:
        raise Failure(NONE.format(what=what), advice=False)
    pair = f"it must return a pair ({', '.join(names)})"
    if isinstance(got, str | bytes) or not isinstance(got, Sequence):
        raise Failure(f"{what} returned a {type(got).__name__}; {pair}.", advice=False)
    if len(got) != 2:
        raise Failure(f"{what} returned {len(got)} values; {pair}.", advice=False)
    return got[0], got[1]


def expect_close(
    got: Any,
    want: Tensor,
    *,
    atol: float = 1e-5,
    what: str = "your function",
) -> None:
    """Fail unless `got` is a tensor of the shape of `want`, finite, and within `atol` of it."""
    got = expect_tensor(got, tuple(want.shape), what=what)
    got, want = got.detach().to(torch.float64), plain(want).detach().to(torch.float64)
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


def expect_equal(
    got: Any, want: Any, *, what: str = "your function", may_be_none: bool = False
) -> None:
    """Fail unless `got == want`.

    Tensors are compared by shape, dtype and every value; two masks that differ are shown as
    pictures. A number may be of any type, numpy's or a tensor of one value, but True is no number.
    Tuples, lists and dicts are compared value by value, and a NamedTuple is a tuple. Where None is
    an answer like any other, `may_be_none` leaves the question about a missing `return` out.
    """
    if isinstance(want, Tensor):
        _equal_tensors(expect_tensor(got, tuple(want.shape), want.dtype, what=what), want, what)
        return
    if want is None and got is None:
        return
    if got is None and not may_be_none:
        raise Failure(NONE.format(what=what), advice=False)
    _equal_values(_plain_value(got), want, what, ())


def expect_whole(got: Any, want: int | Tensor, *, what: str = "your function") -> None:
    """Fail unless `got` equals `want` and is whole: an int, numpy's, or an integer tensor.

    A tensor may have any integer dtype: int32 positions are as right as int64 ones.
    """
    if isinstance(want, Tensor):
        got = expect_tensor(got, tuple(want.shape), what=what)
        if got.dtype.is_floating_point or got.dtype.is_complex or got.dtype == torch.bool:
            raise Failure(f"{what}: expected an integer dtype, got {got.dtype}.", advice=False)
        _equal_tensors(got.to(torch.int64), want.to(torch.int64), what)
        return
    if got is None:
        raise Failure(NONE.format(what=what), advice=False)
    got = _plain_value(got)
    if isinstance(got, bool) or not isinstance(got, Integral):
        raise Failure(
            f"{what}: expected a whole number, got a {type(got).__name__} ({shown(got)}).",
            advice=False,
        )
    if got != want:
        raise Failure(f"{what}: expected {want}, got {got}.")


def expect_number(
    got: Any, want: float, *, relative: float = 1e-6, what: str = "your function"
) -> None:
    """Fail unless `got` is a number within a share `relative` of `want`.

    The default suits exact arithmetic; a result that may honestly be computed in float32 needs
    about 1e-4.
    """
    if got is None:
        raise Failure(NONE.format(what=what), advice=False)
    got = _plain_value(got)
    if isinstance(got, bool) or not isinstance(got, Real):
        raise Failure(
            f"{what} returned a {type(got).__name__}; it must return a number.", advice=False
        )
    if math.isnan(got):
        raise Failure(f"{what} returned NaN; expected {want:.6g}.")
    if abs(got - want) > relative * max(abs(want), 1e-300):
        raise Failure(f"{what}: expected {want:.10g}, got {got:.10g}{_times_as_much(got, want)}.")


def plain(got: Tensor) -> Tensor:
    """`got` as a torch.Tensor and nothing else, whatever its class would rather answer."""
    if type(got) is Tensor:
        return got
    if type(got).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        raise Failure(
            f"Your function returned a {type(got).__name__}; it must return a torch.Tensor.",
            advice=False,
        )
    with torch._C.DisableTorchFunctionSubclass():
        return Tensor.as_subclass(got, Tensor)


def _plain_value(got: Any) -> Any:
    """A number, also one in a tensor or numpy's, as Python's own; anything else as it is."""
    if isinstance(got, Tensor) and got.numel() == 1:
        return plain(got).item()
    if isinstance(got, bool | np.bool_):
        return bool(got)
    for kind in (int, float):
        if isinstance(got, kind):
            return kind.__add__(got, 0)  # a subclass may compare as it likes
    return got.item() if isinstance(got, np.generic) else got


def _equal_tensors(got: Tensor, want: Tensor, what: str) -> None:
    wrong = got != plain(want)
    if not wrong.any():
        return
    first = tuple(int(i) for i in wrong.nonzero()[0])
    words = (
        f"{what}: {int(wrong.sum())} of {got.numel()} values differ. The first is at "
        f"{list(first)}: expected {want[first].item()}, got {got[first].item()}."
    )
    if want.dtype == torch.bool and want.dim() > 0:
        words += f" Here ■ is True:\n{beside(want, got)}"
    raise Failure(words)


def _equal_values(got: Any, want: Any, what: str, place: tuple[Any, ...]) -> None:
    """Compare two values and what is in them. `place` is the way from the whole to these two."""
    at = "".join(f"[{key!r}]" for key in place)
    at = f", at {at}" if at else ""
    got = _plain_value(got)
    if isinstance(want, Tensor):
        return expect_equal(got, want, what=f"{what}{at}")
    for kind in (tuple, list, dict):
        if isinstance(want, kind) and isinstance(got, kind):
            return _equal_containers(got, want, what, place)
    both_numbers = all(isinstance(x, Real) and not isinstance(x, bool) for x in (got, want))
    if type(got) is not type(want) and not both_numbers:
        kinds = f"a {type(want).__name__} ({shown(want)}), got a {type(got).__name__}"
        raise Failure(f"{what}{at}: expected {kinds}.", advice=False)
    if got != want:
        raise Failure(f"{what}{at}: expected {shown(want, 200)}, got {shown(got, 200)}.")
    return None


def _equal_containers(got: Any, want: Any, what: str, place: tuple[Any, ...]) -> None:
    keys = list(want) if isinstance(want, dict) else range(len(want))
    if len(got) != len(want) or (isinstance(want, dict) and set(got) != set(want)):
        raise Failure(
            f"{what}: expected {len(want)} values, {shown(want, 200)}; "
            f"got {len(got)}, {shown(got, 200)}."
        )
    if not place and (pictures := _as_masks(got, want)):
        raise Failure(f"{what}: the two differ. Here ■ is True:\n{beside(*pictures)}")
    for key in keys:
        _equal_values(got[key], want[key], what, (*place, key))


def _as_masks(got: Any, want: Any) -> tuple[Tensor, Tensor] | None:
    """Two lists of booleans that differ as tensors, to be drawn; None for anything else."""
    try:
        masks = torch.tensor(want), torch.tensor(got)
    except (TypeError, ValueError, RuntimeError):
        return None
    if {mask.dtype for mask in masks} != {torch.bool} or masks[0].shape != masks[1].shape:
        return None
    return masks if (masks[0] != masks[1]).any() else None


def _times_as_much(got: Real, want: float) -> str:
    """How far off the number is as a factor, where that says something."""
    factor = f"{got / want:.4g}" if want else "0"
    says_something = factor != "1" and 1e-3 < float(factor) < 1e3
    return f", {factor} times as much" if says_something else ""
