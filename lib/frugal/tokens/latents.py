"""Read N inputs into N_z latents, think there, answer N_o queries: linear in inputs and outputs.

Attention among N inputs costs N². Here N_z learned vectors, the *latents*, attend to the inputs
once; all layers after that work on the latents alone; at last every output asks the latents with a
query of its own, so that there may be as many outputs as one likes, of any kind.

Source: jaegle2022perceiverio; the latents without the output queries: jaegle2021perceiver. Cost for
N inputs, N_z latents, L layers and N_o queries of width d: 4·d·(N·N_z + L·N_z² + N_z·N_o) FLOPs
beside the projections, where full attention takes 4·d·L·N². Chapter: latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.softmax import MultiHeadAttention
from frugal.checks import (
    at_least,
    check_divides,
    check_input,
    check_layers,
    check_same_dtype,
    given,
    refuse,
)
from frugal.feedforward.dense import Activation, DenseFeedForward
from frugal.norms import norm
from frugal.telling import told


class CrossAttention(MultiHeadAttention):
    """`MultiHeadAttention` from queries of one width to a context of another.

    d_query, d_context: widths of x and context. d_model: of all heads together.
    Shapes: x (batch, queries, d_query), context (batch, keys, d_context) -> as x.
    """

    def __init__(
        self, d_query: int, d_context: int, d_model: int, n_heads: int, *, dropout: float = 0.0
    ) -> None:
        super().__init__(d_model, n_heads, dropout=dropout)
        self.to_q = nn.Linear(d_query, d_model)
        self.to_k = nn.Linear(d_context, d_model)
        self.to_v = nn.Linear(d_context, d_model)
        self.to_out = nn.Linear(d_model, d_query)
        for projection in (self.to_q, self.to_k, self.to_v, self.to_out):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(
        self,
        x: Float[Tensor, "batch queries d_query"],
        context: Float[Tensor, "batch keys d_context"],
        **options: Any,
    ) -> Float[Tensor, "batch queries d_query"]:
        """options: passed on to the heads (mask, padding)."""
        check_input(x, None, d_model=self.to_q.in_features)
        check_input(context, None, d_model=self.to_k.in_features, name="context")
        check_same_dtype(x, self.to_q)
        check_same_dtype(context, self.to_k, name="context")
        q = self.split(self.to_q(x))  # (batch, heads, queries, head_dim)
        k, v = self.split(self.to_k(context)), self.split(self.to_v(context))
        return self.attended(q, k, v, options)


class LatentLayer(nn.Module):
    """Attend, to a context or to itself, then the feed-forward network, each around a residual.

    d_model: width of x. d_context: width of the context; None for self-attention. d_heads: of all
    heads together, d_model when None. d_ff: d_model when None, as in the paper.
    residual: add x to what the attention gives. Without it x is only asked, not answered with:
    for queries that are places where the answers are colors.

    Shapes: x (batch, queries, d_model), context (batch, keys, d_context) -> as x.
    Source: jaegle2022perceiverio, section 3.1; both sides are normalised before they meet.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        d_context: int | None = None,
        d_heads: int | None = None,
        d_ff: int | None = None,
        activation: Activation = "gelu",
        dropout: float = 0.0,
        residual: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, d_model=d_model, **given(d_context=d_context, d_heads=d_heads))
        self.d_model, self.residual = d_model, residual
        self.norm = norm("layer", d_model)
        self.context_norm = None if d_context is None else norm("layer", d_context)
        if d_context is None:
            self.attention = MultiHeadAttention(d_model, n_heads, dropout=dropout)
        else:
            heads = d_model if d_heads is None else d_heads
            self.attention = CrossAttention(d_model, d_context, heads, n_heads, dropout=dropout)
        hidden = d_model if d_ff is None else d_ff
        self.feed_forward_norm = norm("layer", d_model)
        self.feed_forward = DenseFeedForward(
            d_model, hidden, activation=activation, dropout=dropout
        )

    def extra_repr(self) -> str:
        return told(self, "d_model", "residual")

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        context: Float[Tensor, "batch keys d_context"] | None = None,
        *,
        padding: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries d_model"]:
        """padding: True = real key. Raises ValueError for an x of another width than d_model."""
        check_input(x, None, d_model=self.d_model)
        if (context is None) != (self.context_norm is None):
            raise ValueError(
                "context is None; it must be given, since this layer attends to one."
                if context is None
                else "context is given; it must be None, since this layer attends to itself."
            )
        check_input(x, None, d_model=self.attention.to_q.in_features)
        check_same_dtype(x, self.norm)
        if context is not None:
            check_input(context, None, d_model=self.attention.to_k.in_features, name="context")
            check_same_dtype(context, self.context_norm, name="context")
        sources = () if context is None else (self.context_norm(context),)
        out = self.attention(self.norm(x), *sources, padding=padding)
        x = x + out if self.residual else out
        return x + self.feed_forward(self.feed_forward_norm(x))


def new_latents(n_latents: int, d_latent: int) -> nn.Parameter:
    """(n_latents, d_latent), small and all different: equal ones would stay equal forever."""
    at_least(1, n_latents=n_latents, d_latent=d_latent)
    latents = nn.Parameter(torch.empty(n_latents, d_latent))
    nn.init.normal_(latents, std=0.02)
    return latents


class PerceiverIO(nn.Module):
    """Encode inputs into latents, process the latents, decode them with output queries.

    d_input: width of the inputs, positions included: attention is blind to order, so the caller
    adds or concatenates them. d_latent, n_latents: of the array that everything passes through.
    d_query: width of the output queries and of the outputs, d_latent when None.
    n_layers: self-attention layers on the latents. n_blocks: how often these layers are run, with
    the same weights. n_heads: of those layers. n_cross_heads: of encode and decode.
    widening: hidden width of every feed-forward network, over the width of its input.
    query_residual: whether a query is added to its answer (see `LatentLayer`).

    Shapes: inputs (batch, inputs, d_input), queries (batch or 1, outputs, d_query), padding (batch,
    inputs), True = real input -> (batch, outputs, d_query). An output depends on its own query and
    the inputs, not on the other queries.

    `frugal.attention.softmax.recording(model)` gives what the latents look at: the weights named
    "encoder.attention", (batch, n_cross_heads, n_latents, inputs); "decoder.attention" likewise.

    Source: jaegle2022perceiverio, section 3.
    """

    def __init__(
        self,
        d_input: int,
        d_latent: int,
        n_latents: int,
        *,
        d_query: int | None = None,
        n_layers: int = 4,
        n_blocks: int = 1,
        n_heads: int = 4,
        n_cross_heads: int = 1,
        widening: int = 1,
        activation: Activation = "gelu",
        dropout: float = 0.0,
        query_residual: bool = True,
    ) -> None:
        super().__init__()
        d_query = d_latent if d_query is None else d_query
        at_least(1, d_input=d_input, d_query=d_query, n_blocks=n_blocks, widening=widening)
        at_least(0, n_layers=n_layers)
        self.d_input, self.d_query, self.n_blocks = d_input, d_query, n_blocks
        self.latents = new_latents(n_latents, d_latent)
        options: dict[str, Any] = {"activation": activation, "dropout": dropout}
        self.encoder = LatentLayer(
            d_latent,
            n_cross_heads,
            d_context=d_input,
            d_heads=d_latent,
            d_ff=widening * d_latent,
            **options,
        )
        self.layers = nn.ModuleList(
            LatentLayer(d_latent, n_heads, d_ff=widening * d_latent, **options)
            for _ in range(n_layers)
        )
        self.decoder = LatentLayer(
            d_query,
            n_cross_heads,
            d_context=d_latent,
            d_heads=d_latent,
            d_ff=widening * d_query,
            residual=query_residual,
            **options,
        )

    def encode(
        self,
        inputs: Float[Tensor, "batch inputs d_input"],
        padding: Bool[Tensor, "batch inputs"] | None = None,
    ) -> Float[Tensor, "batch n_latents d_latent"]:
        """The latents after they read the inputs and were processed; the only step that sees M."""
        check_input(inputs, padding, d_model=self.d_input, name="inputs")
        latents = self.latents.expand(len(inputs), -1, -1)
        latents = self.encoder(latents, inputs, padding=padding)
        for _ in range(self.n_blocks):
            for layer in self.layers:
                latents = layer(latents)
        return latents

    def decode(
        self,
        latents: Float[Tensor, "batch n_latents d_latent"],
        queries: Float[Tensor, "#batch outputs d_query"],
    ) -> Float[Tensor, "batch outputs d_query"]:
        """An answer to each query; queries of batch 1 are asked of every example."""
        fit = queries.ndim == 3 and queries.shape[0] in (1, len(latents))
        if not fit or queries.shape[-1] != self.d_query:
            raise ValueError(
                f"queries have shape {tuple(queries.shape)}; they must be (batch, outputs, "
                f"{self.d_query}) with batch 1 or {len(latents)}."
            )
        return self.decoder(queries.expand(len(latents), -1, -1), latents)

    def forward(
        self,
        inputs: Float[Tensor, "batch inputs d_input"],
        queries: Float[Tensor, "#batch outputs d_query"],
        padding: Bool[Tensor, "batch inputs"] | None = None,
    ) -> Float[Tensor, "batch outputs d_query"]:
        return self.decode(self.encode(inputs, padding), queries)


class LatentStack(nn.Module):
    """The layers of an `Encoder`, run on latents: for `TransformerConfig(make_stack=...)`.

    layers: what `make_stack` is given. d_model, n_heads: of the configuration. n_latents: N.

    The embedded tokens are the inputs, and again the output queries, so that token in and vector
    out keep their places: (batch, length, d_model) -> (batch, length, d_model). The encoder around
    it adds the positions. Every position sees every other, so causal=True and a memory are refused.
    """

    def __init__(
        self, layers: Sequence[nn.Module], *, d_model: int, n_heads: int, n_latents: int
    ) -> None:
        super().__init__()
        check_divides(n_heads, d_model)
        check_layers(layers)
        self.latents = new_latents(n_latents, d_model)
        self.encoder = LatentLayer(d_model, n_heads, d_context=d_model)
        self.layers = nn.ModuleList(layers)
        self.decoder = LatentLayer(d_model, n_heads, d_context=d_model)

    def extra_repr(self) -> str:
        return told(self, n_latents=self.latents.shape[0])

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: Tensor | None = None,
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        refuse("latents mix all positions, so it must not be.", memory=memory, **options)
        check_input(x, padding, d_model=self.latents.shape[1])
        check_same_dtype(x, self.decoder.norm)
        latents = self.encoder(self.latents.expand(len(x), -1, -1), x, padding=padding)
        for layer in self.layers:
            latents = layer(latents)
        return self.decoder(x, latents)
