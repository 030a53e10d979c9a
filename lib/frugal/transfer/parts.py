"""The parts of the vanilla model, which the rows put others in the place of.

A sub-layer is a module x -> x on (batch, length, d_model), called with a `Context`; a residual
stands around it. Layers normalise first; attention has no biases, the feed-forward network has.
Source: narang2021modifications, section 3.1; raffel2020t5. Chapter: the-modification-zoo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.softmax import Attend, MultiHeadAttention, softmax_attention
from frugal.checks import at_least
from frugal.embeddings import TokenEmbedding
from frugal.feedforward.dense import DenseFeedForward
from frugal.norms import norm
from frugal.transfer.config import Config, Place
from frugal.transfer.relative_bias import RelativeBias


@dataclass(frozen=True)
class Context:
    """What a sub-layer may know beside its input.

    causal: no position sees a later one. padding: True = real token. bias: of relative positions,
    (1, heads, length, length). memory: the encoder's output, (batch, source, d_model).
    """

    causal: bool
    padding: Bool[Tensor, "batch length"] | None = None
    bias: Tensor | None = None
    memory: Tensor | None = None
    memory_padding: Bool[Tensor, "batch source"] | None = None


class Heads(MultiHeadAttention):
    """Multi-head attention, n_heads · head_dim wide whatever d_model, without biases."""

    def __init__(
        self, d_model: int, n_heads: int, head_dim: int, attend: Attend = softmax_attention
    ) -> None:
        nn.Module.__init__(self)
        at_least(1, d_model=d_model, n_heads=n_heads, head_dim=head_dim)
        self.n_heads, self.head_dim = n_heads, head_dim
        self.kept_heads = tuple(range(n_heads))
        self.attend, self.rotate = attend, None
        inner = n_heads * head_dim
        self.to_q = nn.Linear(d_model, inner, bias=False)
        self.to_k = nn.Linear(d_model, inner, bias=False)
        self.to_v = nn.Linear(d_model, inner, bias=False)
        self.to_out = nn.Linear(inner, d_model, bias=False)
        self.dropout = nn.Identity()
        for projection in (self.to_q, self.to_k, self.to_v, self.to_out):
            nn.init.xavier_uniform_(projection.weight)


class SelfAttention(nn.Module):
    """Attention of a sequence to itself, with the relative biases of its side."""

    def __init__(self, heads: MultiHeadAttention) -> None:
        super().__init__()
        self.heads = heads

    def forward(
        self, x: Float[Tensor, "batch length d_model"], context: Context
    ) -> Float[Tensor, "batch length d_model"]:
        return self.heads(x, padding=context.padding, causal=context.causal, bias=context.bias)


class CrossAttention(nn.Module):
    """Attention of the decoder to the encoder's output."""

    def __init__(self, heads: MultiHeadAttention) -> None:
        super().__init__()
        self.heads = heads

    def forward(
        self, x: Float[Tensor, "batch length d_model"], context: Context
    ) -> Float[Tensor, "batch length d_model"]:
        return self.heads(x, context.memory, padding=context.memory_padding)


class PositionWise(nn.Module):
    """A network that treats every position alike, as a sub-layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, x: Float[Tensor, "batch length d_model"], context: Context
    ) -> Float[Tensor, "batch length d_model"]:
        return self.network(x)


class Residual(nn.Module):
    """x + f(norm(x)); a row that joins them otherwise says how in `joined`."""

    def __init__(self, config: Config, sublayer: nn.Module) -> None:
        super().__init__()
        self.norm = norm(config.norm, config.d_model)
        self.sublayer = sublayer
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "batch length d_model"], context: Context
    ) -> Float[Tensor, "batch length d_model"]:
        return self.joined(x, self.dropout(self.sublayer(self.norm(x), context)))

    def joined(self, x: Tensor, found: Tensor) -> Tensor:
        """What becomes of x when the sub-layer has found something."""
        return x + found


class Layer(nn.Module):
    """Sub-layers in their residuals, one after the other."""

    def __init__(self, residuals: Sequence[nn.Module]) -> None:
        super().__init__()
        self.residuals = nn.ModuleList(residuals)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        for residual in self.residuals:
            x = residual(x, context)
        return x


class Stack(nn.Module):
    """The layers of one side, with the relative biases that they share and a norm at the end.

    forward(x, context): x (batch, length, d_model) -> the same, or what a row makes of it.
    """

    def __init__(self, config: Config, side: str, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.bias = None
        if config.positions == "relative":
            heads = config.relative_heads
            heads = config.n_heads if heads is None else heads
            self.bias = RelativeBias(heads, bidirectional=side == "encoder")
        self.dropout = nn.Dropout(config.dropout)
        self.final = config.final(config, Place(side))

    def forward(self, x: Float[Tensor, "batch length d_model"], context: Context) -> Tensor:
        return self.final(self.run(self.dropout(x), self.with_bias(x, context)))

    def with_bias(self, x: Tensor, context: Context) -> Context:
        """The context with the biases of this length."""
        return context if self.bias is None else replace(context, bias=self.bias(x.shape[1]))

    def run(self, x: Tensor, context: Context) -> Tensor:
        """The layers, one after the other."""
        for layer in self.layers:
            x = layer(x, context)
        return x


def table(config: Config) -> TokenEmbedding:
    """A vector of width d_model for each token."""
    return TokenEmbedding(config.vocab_size, config.d_model)


def self_attention(config: Config, place: Place) -> SelfAttention:
    """n_heads heads of head_dim."""
    return SelfAttention(Heads(config.d_model, config.n_heads, config.head_dim))


def cross_attention(config: Config, place: Place) -> CrossAttention:
    """The same to the encoder's output."""
    return CrossAttention(Heads(config.d_model, config.n_heads, config.head_dim))


def feed_forward(config: Config, place: Place) -> PositionWise:
    """Two matrices and `activation` between them."""
    network = DenseFeedForward(
        config.d_model,
        config.d_ff,
        activation=config.activation,
        bias=config.feed_forward_bias,
    )
    return PositionWise(network)


def residual(config: Config, place: Place, sublayer: nn.Module) -> Residual:
    """x + f(norm(x))."""
    return Residual(config, sublayer)


def layer(config: Config, place: Place) -> Layer:
    """Self-attention, in a decoder attention to the encoder, and the feed-forward network."""
    kinds = [config.self_attention, config.feed_forward]
    if place.side == "decoder":
        kinds.insert(1, config.cross_attention)
    return Layer([config.residual(config, place, kind(config, place)) for kind in kinds])


def final(config: Config, place: Place) -> nn.Module:
    """The norm after the last layer."""
    return norm(config.norm, config.d_model)


def stack(config: Config, side: str, layers: Sequence[nn.Module]) -> Stack:
    """The layers, one after the other."""
    return Stack(config, side, layers)


def scalar(value: float | int) -> nn.Parameter:
    """One learned number."""
    return nn.Parameter(torch.tensor(float(value)))
