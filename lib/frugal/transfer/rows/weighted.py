"""A feed-forward network behind every head, and learned weights of the heads (ahmed2017weighted).

    Σ_i α_i FFN(κ_i head_i W_i)

with κ and α each at least 0 and of sum 1. In the paper's configuration the network is as wide as
the vanilla one, is shared by the heads of an attention, and stands in all attentions, those to the
encoder too, instead of the layer's own; the row includes the file that turns the relative biases
off and learned positions on. Its weights κ and α stood still for the last 10,000 steps, which is
the optimiser's matter.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from frugal.attention.softmax import softmax_attention
from frugal.feedforward.dense import DenseFeedForward
from frugal.transfer.config import Config, Place
from frugal.transfer.parts import Context, Heads, Layer

POSITIONS = "learned positions stood in the place of the relative biases of the other rows"


def weighted(size: Config) -> dict[str, Any]:
    """As published: with learned positions."""
    return {"layer": layer, "positions": "learned"}


def weighted_relative(size: Config) -> dict[str, Any]:
    """With the relative biases of all rows."""
    return {"layer": layer}


def layer(config: Config, place: Place) -> Layer:
    """Attention in branches, in a decoder also to the encoder, and nothing else."""
    kinds = [False, True] if place.side == "decoder" else [False]
    return Layer([config.residual(config, place, Branched(config, cross=kind)) for kind in kinds])


class Branched(nn.Module):
    """Σ_i α_i FFN(κ_i head_i W_i), a sub-layer. Cost: n_heads times the network's."""

    def __init__(self, config: Config, *, cross: bool) -> None:
        super().__init__()
        self.cross = cross
        self.heads = Heads(config.d_model, config.n_heads, config.head_dim)
        self.network = DenseFeedForward(
            config.d_model,
            config.d_ff,
            activation=config.activation,
            bias=config.feed_forward_bias,
        )
        self.kappa = nn.Parameter(torch.rand(config.n_heads))
        self.alpha = nn.Parameter(torch.rand(config.n_heads))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        heads = self.heads
        source = context.memory if self.cross else x
        q, k, v = heads.to_q(x), heads.to_k(source), heads.to_v(source)
        q, k, v = heads.split(q), heads.split(k), heads.split(v)
        if self.cross:
            found = softmax_attention(q, k, v, padding=context.memory_padding)
        else:
            found = softmax_attention(
                q, k, v, padding=context.padding, causal=context.causal, bias=context.bias
            )
        back = heads.to_out.weight.unflatten(1, (heads.n_heads, heads.head_dim))
        branches = torch.einsum("bhnk,dhk->bhnd", found, back.to(found.dtype))
        branches = self.network(branches * on_simplex(self.kappa)[:, None, None])
        return torch.einsum("bhnd,h->bnd", branches, on_simplex(self.alpha).to(branches.dtype))


def on_simplex(weights: Tensor) -> Tensor:
    """Weights of at least 0 and of sum 1, or nearly: relu(w) / Σ (relu(w) + 10⁻⁴)."""
    weights = weights.relu()
    return weights / (weights + 1e-4).sum()
