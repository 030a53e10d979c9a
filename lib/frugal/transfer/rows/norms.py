"""Another norm, or none and a start at which every layer does nothing.

RMS Norm divides by the root of the mean square (zhang2019rmsnorm). Rezero multiplies what a
sub-layer finds by a number that starts at 0 (bachlechner2021rezero). Fixup has no norms: its last
matrices start at zero, the others the smaller the deeper the model, and single numbers stand where
norms had a vector (zhang2019fixup).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frugal.attention.softmax import MultiHeadAttention
from frugal.transfer.config import Config, Place
from frugal.transfer.modification import Change
from frugal.transfer.parts import (
    Context,
    CrossAttention,
    PositionWise,
    Residual,
    SelfAttention,
    scalar,
)

WITHIN_TWO, OF_ITS_SPREAD = 0.9545, 0.8796
"""The share of a normal distribution within two deviations, and what is left of its deviation when
it is cut there."""

FIXUP = "attention to the encoder kept its usual start, so that it did not begin at zero"


def rms(size: Config) -> dict[str, Any]:
    return {"norm": "rms"}


def rezero(norm: str) -> Change:
    """x + α f(norm(x)) with α = 0 at first; no norm at the end where there is none inside."""
    return lambda size: {"norm": norm, "residual": rezero_residual}


def rezero_residual(config: Config, place: Place, sublayer: nn.Module) -> Rezero:
    return Rezero(config, sublayer)


class Rezero(Residual):
    """x + α f(norm(x))."""

    def __init__(self, config: Config, sublayer: nn.Module) -> None:
        super().__init__(config, sublayer)
        self.share = scalar(0)

    def joined(self, x: Tensor, found: Tensor) -> Tensor:
        return x + self.share * found


def fixup(size: Config) -> dict[str, Any]:
    """As published: attention to the encoder starts as ever."""
    return {
        "norm": "none",
        "feed_forward_bias": False,
        "residual": partial(fixup_residual, also=(SelfAttention, PositionWise)),
        "final": fixup_final,
    }


def fixup_everywhere(size: Config) -> dict[str, Any]:
    """Every sub-layer starts at zero."""
    every = (SelfAttention, CrossAttention, PositionWise)
    return fixup(size) | {"residual": partial(fixup_residual, also=every)}


def fixup_residual(
    config: Config, place: Place, sublayer: nn.Module, *, also: tuple[type, ...]
) -> Fixup:
    if isinstance(sublayer, also):
        fixup_start(sublayer, 5 * config.n_layers)
    return Fixup(config, sublayer)


class Fixup(Residual):
    """x + β f(x + b), β a learned 1 and b a learned 0."""

    def __init__(self, config: Config, sublayer: nn.Module) -> None:
        super().__init__(config, sublayer)
        self.shift, self.scale = scalar(0), scalar(1)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        found = self.sublayer(self.norm(x) + self.shift, context)
        return x + self.scale * self.dropout(found)


class ShiftAndScale(nn.Module):
    """β (x + b), in the place of the last norm; a decoder has b alone."""

    def __init__(self, *, scaled: bool) -> None:
        super().__init__()
        self.shift = scalar(0)
        self.scale = scalar(1) if scaled else None

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.shift
        return x if self.scale is None else x * self.scale


def fixup_final(config: Config, place: Place) -> ShiftAndScale:
    return ShiftAndScale(scaled=place.side == "encoder")


def fixup_start(sublayer: nn.Module, n_branches: int) -> None:
    """He's start times L^(-1/(2m-2)) for the m matrices of a branch but its last, which is 0.

    m is 4 for attention and 2 for a feed-forward network; L is n_branches.
    """
    for module in sublayer.modules():
        if isinstance(module, MultiHeadAttention):
            first, last, power = (module.to_q, module.to_k, module.to_v), module.to_out, 1 / 6
        elif hasattr(module, "inner") and hasattr(module, "outer"):
            first, last, power = (module.inner,), module.outer, 1 / 2
        else:
            continue
        for linear in first:
            spread = (2 / linear.in_features) ** 0.5 * n_branches**-power / OF_ITS_SPREAD
            with torch.no_grad():  # a normal distribution, cut at two deviations
                linear.weight.uniform_(-WITHIN_TWO, WITHIN_TWO).erfinv_().mul_(2**0.5 * spread)
        nn.init.zeros_(last.weight)
