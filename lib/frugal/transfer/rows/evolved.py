"""The Evolved Transformer: the cell that a search found (so2019evolved, figure 3).

One of its layers stands for two of the vanilla model. Convolutions are separable: one kernel per
channel, then a matrix.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.checks import hide_padding
from frugal.transfer import parts
from frugal.transfer.config import Config, Place
from frugal.transfer.parts import Context, CrossAttention, Heads, Layer, PositionWise, SelfAttention
from frugal.transfer.relative_bias import RelativeBias

PADDED = (
    "Taps and matrices of the convolutions are counted as products here; whether the paper's "
    "framework counted all of them is not known."
)


def evolved(size: Config) -> dict[str, Any]:
    return {
        "n_layers": size.n_layers // 2,
        "layer": layer,
        "decoder": {"activation": "swish"},
    }


def layer(config: Config, place: Place) -> Layer:
    """The six sub-layers of an encoder, or of a decoder, each in a residual."""
    own, network = config.self_attention(config, place), config.feed_forward(config, place)
    if place.side == "encoder":
        first = PositionWise(GatedLinear(config.d_model))
        sublayers = [first, EncoderConvolution(config.d_model), own, network]
    else:
        cross = config.cross_attention(config, place)
        first = TwoAttentions(config, place)
        sublayers = [first, DecoderConvolution(config.d_model), own, cross, network]
    return Layer([config.residual(config, place, sublayer) for sublayer in sublayers])


class GatedLinear(nn.Module):
    """x W ⊙ sigmoid(x V)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.both = nn.Linear(d_model, 2 * d_model)

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.both(x), -1)


class Convolution(nn.Module):
    """A convolution over places, out of zeros at both ends; causal: no later places.

    separable: a kernel per channel and then a matrix, in the place of one matrix per tap.
    """

    def __init__(
        self, width: int, out: int, taps: int, *, causal: bool = False, separable: bool = True
    ) -> None:
        super().__init__()
        self.sides = (taps - 1, 0) if causal else (taps // 2, taps // 2)
        self.apart = nn.Conv1d(width, width, taps, groups=width, bias=False) if separable else None
        self.joined = nn.Conv1d(width, out, 1 if separable else taps)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x.mT, self.sides)  # (batch, width, length + taps - 1)
        x = x if self.apart is None else self.apart(x)
        return self.joined(x).mT


def widened(x: Tensor, width: int) -> Tensor:
    """x with zeros for the channels that it lacks."""
    return F.pad(x, (0, width - x.shape[-1]))


class EncoderConvolution(nn.Module):
    """ReLU(x W) to 4·d_model, plus ReLU of 3 taps to d_model / 2; then a norm and 9 taps."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.wide = nn.Linear(d_model, 4 * d_model, bias=False)
        self.near = Convolution(d_model, d_model // 2, 3, separable=False)
        self.norm = nn.LayerNorm(4 * d_model)
        self.far = Convolution(4 * d_model, d_model // 2, 9)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = hide_padding(x, context.padding)
        wide = self.wide(x).relu()
        found = self.norm(wide + widened(self.near(x).relu(), wide.shape[-1]))
        return widened(self.far(hide_padding(found, context.padding)), x.shape[-1])


class DecoderConvolution(nn.Module):
    """ReLU of 11 taps to 2·d_model, plus 7 taps to d_model / 2; then a norm and 7 taps."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.wide = Convolution(d_model, 2 * d_model, 11, causal=True)
        self.near = Convolution(d_model, d_model // 2, 7, causal=True)
        self.norm = nn.LayerNorm(2 * d_model)
        self.far = Convolution(2 * d_model, d_model, 7, causal=True)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = hide_padding(x, context.padding)
        wide = self.wide(x).relu()
        found = self.norm(wide + widened(self.near(x), wide.shape[-1]))
        return self.far(hide_padding(found, context.padding))


class TwoAttentions(nn.Module):
    """Self-attention of twice the heads plus attention to the encoder."""

    def __init__(self, config: Config, place: Place) -> None:
        super().__init__()
        n_heads = 2 * config.n_heads
        self.own = SelfAttention(Heads(config.d_model, n_heads, config.head_dim))
        self.bias = RelativeBias(n_heads, bidirectional=False)
        self.cross: CrossAttention = parts.cross_attention(config, place)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        own = self.own.heads(
            x, padding=context.padding, causal=True, bias=self.bias(x.shape[1]).to(x.dtype)
        )
        return torch.add(own, self.cross(x, context))
