"""One layer, again and again (dehghani2019universal).

The paper's configuration asks for recurrence_type "basic": 24 steps for every token, and the
halting that its other options describe never ran. The layer stood in three more places than in the
method: twice before the steps and twice after them, with the same weights, and around every
sub-layer a gate of three matrices decided what to keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal.transfer.config import Config, Place
from frugal.transfer.parts import Context, Residual, Stack

BEFORE = AFTER = 2
EPSILON = 0.05
GATED = (
    "no token could halt, the layer ran two times more on either side of the steps, and each of "
    "its sub-layers had a gate of three matrices"
)


def gated(size: Config) -> dict[str, Any]:
    """As published: a gated layer, two times, then in steps, then two times."""
    return {
        "n_layers": 1,
        "tied": "inputs",
        "residual": gated_residual,
        "stack": SteppedStack,
    }


def halting(size: Config) -> dict[str, Any]:
    """As intended: a plain layer in steps, until each token has had enough."""
    return {"n_layers": 1, "tied": "inputs", "stack": HaltingStack}


def gated_residual(config: Config, place: Place, sublayer: nn.Module) -> Gated:
    return Gated(config, sublayer)


class Gated(Residual):
    """x + (1 - u)·y + u·c, for y = f(norm(x)).

    u, r = sigmoid([norm(x), norm(y)] U), sigmoid([norm(x), norm(y)] R) and c = sigmoid([norm(r·x),
    norm(y)] C): a gated recurrent unit, but for the sigmoid in c and the x in front.
    """

    def __init__(self, config: Config, sublayer: nn.Module) -> None:
        super().__init__(config, sublayer)
        d_model = config.d_model
        self.update, self.reset, self.candidate = (
            nn.Linear(2 * d_model, d_model) for _ in range(3)
        )

    def joined(self, x: Tensor, found: Tensor) -> Tensor:
        y = self.norm(found)
        both = torch.cat([self.norm(x), y], dim=-1)  # (batch, length, 2·d_model)
        update, reset = self.update(both).sigmoid(), self.reset(both).sigmoid()
        again = torch.cat([self.norm(reset * x), y], dim=-1)
        return x + torch.lerp(found, self.candidate(again).sigmoid(), update)


class SteppedStack(Stack):
    """The layer twice, then n_steps times with a learned vector for each step, then twice."""

    def __init__(self, config: Config, side: str, layers: Sequence[nn.Module]) -> None:
        super().__init__(config, side, layers)
        self.steps = nn.Parameter(torch.randn(config.n_steps, config.d_model))

    def run(self, x: Tensor, context: Context) -> Tensor:
        for _ in range(BEFORE):
            x = super().run(x, context)
        for step in self.steps:
            x = super().run(x + step, context)
        for _ in range(AFTER):
            x = super().run(x, context)
        return x


class HaltingStack(Stack):
    """The layer up to n_steps times; each token stops by itself (graves2016act).

    After each step a state gives h = sigmoid(w·s + b). A token stops when these sum to 1 - ε, or at
    the last step, and its output is Σ p·s with p = h before that and the remainder at it. All
    tokens are computed in all steps, those that have stopped without a change.
    """

    def __init__(self, config: Config, side: str, layers: Sequence[nn.Module]) -> None:
        super().__init__(config, side, layers)
        self.steps = nn.Parameter(torch.randn(config.n_steps, config.d_model))
        self.halt = nn.Linear(config.d_model, 1)
        nn.init.zeros_(self.halt.weight)
        nn.init.zeros_(self.halt.bias)
        self._cost: Tensor | None = None

    def run(self, x: Tensor, context: Context) -> Tensor:
        total = torch.zeros_like(x[..., 0])  # (batch, length)
        runs = torch.ones_like(total, dtype=torch.bool)
        out, cost = torch.zeros_like(x), torch.zeros_like(total)
        last = len(self.steps) - 1
        for index, step in enumerate(self.steps):
            new = super().run(x + step, context)
            x = torch.where(runs[..., None], new, x)
            h = self.halt(x).squeeze(-1).sigmoid().to(total.dtype)
            stops = runs & ((total + h >= 1 - EPSILON) | (index == last))
            p = torch.where(stops, 1 - total, h) * runs
            out = out + (p[..., None] * x).to(out.dtype)
            cost = cost + runs + p * stops
            total, runs = total + h * runs, runs & ~stops
        real = torch.ones_like(total) if context.padding is None else context.padding.to(total)
        self._cost = (cost * real).sum() / real.sum().clamp(min=1)
        return out

    def penalty(self) -> Float[Tensor, ""]:
        """Steps plus remainder, the mean over real tokens of the latest pass; to be scaled by λ."""
        if self._cost is None:
            raise ValueError("no token has run yet; penalty must follow a forward pass.")
        return self._cost

    def __getstate__(self) -> dict[str, Any]:
        """A copy begins without a forward pass: what belongs to a graph cannot be copied."""
        return self.__dict__ | {"_cost": None}
