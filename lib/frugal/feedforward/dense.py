"""The position-wise feed-forward network: two matrices and a nonlinearity between them.

Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from frugal.checks import at_least, check_dropout, check_same_dtype, one_of
from frugal.telling import told

Activation = Literal["relu", "gelu", "swish", "elu", "selu", "sigmoid", "softplus"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": nn.functional.relu,
    "gelu": nn.functional.gelu,
    "swish": nn.functional.silu,
    "elu": nn.functional.elu,
    "selu": nn.functional.selu,
    "sigmoid": nn.functional.sigmoid,
    "softplus": nn.functional.softplus,
}


class DenseFeedForward(nn.Module):
    """activation(x W₁ + b₁) W₂ + b₂ at every position alike (vaswani2017attention, equation 2).

    Shapes: x and out (..., d_model); the hidden layer is d_ff wide.
    Cost: 4·d_model·d_ff FLOPs a position, linear in the length, and 2·d_model·d_ff parameters.
    activation: one of relu, gelu, swish, elu, selu, sigmoid, softplus.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: Activation = "relu",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        one_of(ACTIVATIONS, activation=activation)
        at_least(1, d_model=d_model, d_ff=d_ff)
        check_dropout(dropout=dropout)
        self.inner = nn.Linear(d_model, d_ff, bias=bias)
        self.outer = nn.Linear(d_ff, d_model, bias=bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)
        for layer in (self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight)
            if bias:
                nn.init.zeros_(layer.bias)

    def extra_repr(self) -> str:
        return told(self, "activation")

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Raises ValueError for an x of another width or dtype."""
        if x.shape[-1:] != self.inner.weight.shape[1:]:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; it must be (..., {self.inner.in_features})."
            )
        check_same_dtype(x, self.inner)
        return self.dropout(self.outer(self.activation(self.inner(x))))
