"""Normalisation by name; the layers are torch's own.

`nn.LayerNorm` divides by √(biased variance + eps). The Annotated Transformer divides by the
unbiased standard deviation + eps, which at width 16 is a visibly different function.
Sources: RMSNorm zhang2019rmsnorm; pre-norm against post-norm is a choice of `frugal.model`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from frugal.checks import one_of

Norm = Literal["layer", "rms", "none"]

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": nn.LayerNorm,
    "rms": lambda d_model: nn.RMSNorm(d_model, eps=1e-6),
    "none": lambda d_model: nn.Identity(),
}


def norm(kind: Norm, d_model: int) -> nn.Module:
    """A norm over the last axis, `d_model` wide. kind: "layer", "rms" or "none".

    Raises ValueError for another kind.
    """
    one_of(NORMS, norm=kind)
    return NORMS[kind](d_model)
