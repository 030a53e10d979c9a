"""Convolutions in the place of self-attention (wu2019pay), with learned positions.

The paper's runs had a kernel for each channel, since the option that ties channels was never passed
on, and one matrix more than the method; and the dynamic one had a feed-forward network a sixth as
wide as all other rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from frugal.mixing.convolution import DynamicConv, LightweightConv
from frugal.mixing.mixer import Mixer
from frugal.transfer.config import Config, Place
from frugal.transfer.parts import Context

LIGHTWEIGHT = "each channel had a kernel of its own, and a matrix was added behind the convolution"
DYNAMIC = f"the feed-forward network was six times narrower than in all other rows; {LIGHTWEIGHT}"


class Convolution(nn.Module):
    """A mixer as a sub-layer, and a matrix behind it, as in the paper's runs, or none."""

    def __init__(self, mixer: Mixer, behind: nn.Module | None = None) -> None:
        super().__init__()
        self.mixer, self.behind = mixer, behind

    def forward(self, x: Tensor, context: Context) -> Tensor:
        found = self.mixer(x, padding=context.padding)
        return found if self.behind is None else self.behind(found)


def _convolution(
    kind: Callable[..., Mixer], *, tied: bool
) -> Callable[[Config, Place], Convolution]:
    """tied: the channels of a head share one kernel."""

    def make(config: Config, place: Place) -> Convolution:
        mixer = kind(
            config.d_model,
            config.n_heads if tied else config.d_model,
            config.kernel_size,
            causal=place.side == "decoder",
        )
        return Convolution(mixer, None if tied else nn.Linear(config.d_model, config.d_model))

    return make


def lightweight(size: Config) -> dict[str, Any]:
    """As published: a kernel for each channel."""
    return {
        "self_attention": _convolution(LightweightConv, tied=False),
        "positions": "learned",
    }


def lightweight_tied(size: Config) -> dict[str, Any]:
    """As in its paper: a kernel for each head."""
    return {"self_attention": _convolution(LightweightConv, tied=True), "positions": "learned"}


def dynamic(size: Config) -> dict[str, Any]:
    """As published: kernels for each channel, and a narrow feed-forward network."""
    return {
        "self_attention": _convolution(DynamicConv, tied=False),
        "positions": "learned",
        "d_ff": size.d_ff // 6,
    }


def dynamic_tied(size: Config) -> dict[str, Any]:
    """As in its paper: a kernel for each head, and the feed-forward network of all rows."""
    return {"self_attention": _convolution(DynamicConv, tied=True), "positions": "learned"}
