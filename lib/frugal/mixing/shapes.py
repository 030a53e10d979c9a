"""What every mixer checks and does with its input."""

from __future__ import annotations

from torch import Tensor

from frugal.attention.softmax import check_padding


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
