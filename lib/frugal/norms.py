"""Normalisation by name; the layers are torch's own.

`nn.LayerNorm` divides by √(biased variance + eps). The Annotated Transformer divides by the
unbiased standard deviation + eps, which at width 16 is a visibly different function.
Sources: RMSNorm zhang2019rmsnorm; pre-norm against post-norm is a choice of `frugal.model`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": nn.LayerNorm,
    "rms": lambda d_model: nn.RMSNorm(d_model, eps=1e-6),
    "none": lambda d_model: nn.Identity(),
}


def norm(kind: str, d_model: int) -> nn.Module:
    """A norm over the last axis, `d_model` wide. kind: "layer", "rms" or "none"."""
    if kind not in NORMS:
        raise ValueError(f"norm is {kind!r}; it must be one of {', '.join(map(repr, NORMS))}.")
    return NORMS[kind](d_model)
