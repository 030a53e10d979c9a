"""One sentence for input that does not fit: what every room of the library asks of its arguments.

Each check returns nothing when the input fits and raises ValueError when it does not, with the
argument's name, what it is and what it must be.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import torch
from torch import Tensor


def at_least(minimum: int, **values: Any) -> None:
    """Each of the values is a whole number, `minimum` or more."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"{name} is {value!r}; it must be a whole number, {minimum} or more.")


def within(low: float | int, high: float | int, **values: Any) -> None:
    """Each of the values is a number from `low` to `high`, both allowed."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; it must be from {low} to {high}.")


def one_of(known: Iterable[Any], **values: Any) -> None:
    """Each of the values is one of those that are known."""
    known = list(known)
    for name, value in values.items():
        if value not in known:
            listed = ", ".join(map(repr, known))
            raise ValueError(f"{name} is {value!r}; it must be one of {listed}.")


def check_heads(q: Tensor, k: Tensor, v: Tensor) -> None:
    """One sentence when q, k and v do not fit together; nothing when they do."""
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.ndim != 4:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}; attention needs four axes: "
                "(batch, heads, length, head_dim)."
            )
        if tensor.shape[2] == 0:
            raise ValueError(f"{name} has length 0; attention needs at least one position.")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"q has head_dim {q.shape[-1]} and k has {k.shape[-1]}; their products need the same."
        )
    if k.shape[2] != v.shape[2]:
        raise ValueError(f"k has length {k.shape[2]} and v has {v.shape[2]}; each key has a value.")
    if q.shape[:2] != k.shape[:2] or k.shape[:2] != v.shape[:2]:
        raise ValueError(
            "q, k and v have (batch, heads) "
            f"{tuple(q.shape[:2])}, {tuple(k.shape[:2])} and {tuple(v.shape[:2])}; they must agree."
        )


def check_mask(name: str, mask: Tensor | None, shape: tuple[int, ...]) -> None:
    """One sentence when `mask` is not boolean or does not broadcast to `shape`."""
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ValueError(
            f"{name} has dtype {mask.dtype}; it must be torch.bool, where True means 'may attend'."
        )
    try:
        fits = torch.broadcast_shapes(mask.shape, shape) == torch.Size(shape)
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"{name} has shape {tuple(mask.shape)}, which does not fit {shape}.")


def check_padding(padding: Tensor | None, shape: tuple[int, int]) -> None:
    """One sentence when `padding` is not boolean of `shape`, (batch, keys), or (1, keys)."""
    check_mask("padding", padding, shape)
    if padding is not None and padding.ndim != 2:
        raise ValueError(f"padding has shape {tuple(padding.shape)}, which does not fit {shape}.")


def check_input(x: Tensor, padding: Tensor | None, *, d_model: int | None = None) -> None:
    """One sentence when x is not (batch, length, d_model), or padding not boolean of its shape."""
    if x.ndim != 3 or 0 in x.shape[1:] or d_model not in (None, x.shape[-1]):
        width = "d_model" if d_model is None else d_model
        raise ValueError(
            f"x has shape {tuple(x.shape)}; it must be (batch, length, {width}) with a length of "
            "at least 1."
        )
    check_padding(padding, tuple(x.shape[:2]))


def check_divides(n_heads: int, d_model: int) -> None:
    """One sentence when the heads do not share the width evenly."""
    if n_heads < 1 or d_model % n_heads:
        raise ValueError(f"n_heads is {n_heads}; it must be at least 1 and divide {d_model=}.")


def hide_padding(x: Tensor, padding: Tensor | None) -> Tensor:
    """x with zeros where `padding` says that there is no real token."""
    return x if padding is None else x.masked_fill(~padding[..., None], 0.0)
