"""An encoder that halves its sequence twice, after a third and two thirds of its layers.

Neighbours are averaged after the residual of the first attention of a block, and the places are
counted anew. In the method only the queries are pooled (dai2020funnel); the decoder is the usual.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from frugal.tokens.pooling import pool, pool_padding
from frugal.transfer.config import Config
from frugal.transfer.parts import Context, Stack

N_BLOCKS = 3
RMS = "the encoder had another norm, RMS, than the decoder and all other rows"
QUARTER = (
    "These layers take 7.8 where the table has 1.9. A quarter of ours is 1.9, as if 32 pairs had "
    "been counted and not 128; the configuration does not say so."
)


def funnel(size: Config) -> dict[str, Any]:
    """As published: with RMS norm in the encoder alone."""
    return {"encoder": {"stack": FunnelStack, "norm": "rms"}}


def funnel_repaired(size: Config) -> dict[str, Any]:
    """The norm of all rows."""
    return {"encoder": {"stack": FunnelStack}}


class FunnelStack(Stack):
    """Three blocks of layers: (batch, length, d_model) to (batch, ⌈length / 4⌉, d_model)."""

    def run(self, x: Tensor, context: Context) -> Tensor:
        size = -(-len(self.layers) // N_BLOCKS)
        for index, layer in enumerate(self.layers):
            if not index or index % size:
                x = layer(x, context)
                continue
            first, *others = layer.residuals
            x, context = shortened(first(x, context), context)
            for residual in others:
                x = residual(x, context)
        return x


def shortened(x: Tensor, context: Context) -> tuple[Tensor, Context]:
    """The means of neighbours, with padding and relative biases of the new length."""
    padding, bias = context.padding, context.bias
    x = pool(x, padding)
    if padding is not None:
        padding = pool_padding(padding)
    if bias is not None:  # as if they were neighbours: place i is the i-th pair
        bias = bias[..., : x.shape[1], : x.shape[1]]
    return x, replace(context, padding=padding, bias=bias)
