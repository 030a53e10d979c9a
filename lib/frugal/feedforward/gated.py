"""A feed-forward network with a gate: one projection says how much of another passes.

Source: shazeer2020glu; the first of them, with a sigmoid, dauphin2017glu.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from frugal.checks import at_least, check_dropout, check_same_dtype, one_of
from frugal.feedforward.dense import ACTIVATIONS

Gate = Literal["linear", "sigmoid", "relu", "gelu", "swish"]

GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": nn.Identity(),
    **{name: ACTIVATIONS[name] for name in ("sigmoid", "relu", "gelu", "swish")},
}


class GatedFeedForward(nn.Module):
    """(gate(x W + b) ⊙ (x V + c)) W₂ + b₂ at every position alike (shazeer2020glu, equation 6).

    gate: one of linear, sigmoid, relu, gelu, swish, which the paper calls Bilinear, GLU, ReGLU,
    GEGLU and SwiGLU. Shapes: x and out (..., d_model); the hidden layer is d_ff wide.
    Cost: 6·d_model·d_ff FLOPs a position and 3·d_model·d_ff parameters, so that two thirds of a
    plain network's d_ff cost as much as that.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        gate: Gate = "sigmoid",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        one_of(GATES, gate=gate)
        at_least(1, d_model=d_model, d_ff=d_ff)
        check_dropout(dropout=dropout)
        self.to_gate = nn.Linear(d_model, d_ff, bias=bias)
        self.inner = nn.Linear(d_model, d_ff, bias=bias)
        self.outer = nn.Linear(d_ff, d_model, bias=bias)
        self.gate = GATES[gate]
        self.dropout = nn.Dropout(dropout)
        for layer in (self.to_gate, self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight)
            if bias:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Raises ValueError for an x of another width or dtype."""
        if x.shape[-1:] != self.inner.weight.shape[1:]:
            width = self.inner.in_features
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (..., {width}).")
        check_same_dtype(x, self.inner)
        return self.dropout(self.outer(self.gate(self.to_gate(x)) * self.inner(x)))
