"""Attention whose every query says how far back it looks.

A head has a row of weights W_z and a number β instead of one span. A token's span is read from it,

    z_i = max_span · sigmoid(W_z q_i + β),

and used in the soft mask of `span`. The paper reads it from x_i, the token as the layer gets it; an
attention is handed heads, so W_z reads the query q_i, which is a linear map of x_i. Rotary
positions turn queries before they arrive: only their slow pairs say the same at every place.

Source: sukhbaatar2019adaptive, section 2. Chapter: adaptive-spans. Cost: all pairs. Spans that
differ from query to query save nothing in this form; `spans` says what could be saved.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.cache import KeyValueCache
from frugal.attention.contract import Attention
from frugal.attention.softmax import attention_weights, softmax_attention
from frugal.attention.span import check_distances, joined, log_mask, offsets
from frugal.checks import at_least, between, check_bias, check_heads, check_mask, check_padding
from frugal.replays import in_backward_pass
from frugal.telling import told

OFFSET = -4.0
"""b at first, as in the paper: a span of 1.8 % of S."""


class DynamicSpan(Attention):
    """An attention callable with a span for each query and head.

    n_heads, head_dim: of q. max_span: the most keys a query sees to one side, itself included, as
    in `AdaptiveSpan`. ramp: ρ. start: the spans at first, in tokens, above 0 and below max_span; β
    = -4 when None, as in the paper. W_z starts at 0, so at first all tokens have the same span.
    """

    groups: ClassVar = "itself"
    shifts = True

    def __init__(
        self,
        n_heads: int,
        head_dim: int,
        max_span: int,
        ramp: float | int = 32,
        *,
        start: float | int | None = None,
    ) -> None:
        super().__init__()
        at_least(1, n_heads=n_heads, head_dim=head_dim, max_span=max_span)
        between(0, math.inf, ramp=ramp, why=", or spans have no gradient")
        if start is not None:
            between(0, max_span, start=start)
        offset = OFFSET if start is None else math.log(start / (max_span - start))
        self.n_heads, self.max_span, self.ramp = n_heads, max_span, ramp
        self.vector = nn.Parameter(torch.zeros(n_heads, head_dim))
        self.offset = nn.Parameter(torch.full((n_heads,), offset))
        self._mean: Tensor | None = None  # of the latest forward pass

    def extra_repr(self) -> str:
        return told(self, "n_heads", "max_span", "ramp")

    def new_cache(self, capacity: int) -> KeyValueCache:
        """Keys and values that a span may reach; older ones are forgotten."""
        return KeyValueCache(capacity, reach=self.max_span - 1)

    def keep_heads(self, kept: list[int]) -> None:
        """Only the heads at these places remain, each with its W_z and β."""
        self.vector = nn.Parameter(self.vector.detach()[kept])
        self.offset = nn.Parameter(self.offset.detach()[kept])
        self.n_heads = len(kept)

    def spans(
        self, q: Float[Tensor, "batch heads queries head_dim"]
    ) -> Float[Tensor, "batch heads queries"]:
        """z_i of each query and head, in tokens: 0 ... max_span."""
        dtype = torch.promote_types(q.dtype, torch.float32)
        read = (q.to(dtype) * self.vector.to(dtype)[:, None]).sum(-1)  # (batch, heads, queries)
        return self.max_span * torch.sigmoid(read + self.offset.to(dtype)[:, None])

    def penalty(self) -> Float[Tensor, ""]:
        """The mean span, in tokens, of the latest forward pass, to be scaled by λ.

        Padding is not counted. Raises ValueError when there was no forward pass, and where that
        kept no gradient though one is wanted.
        """
        if self._mean is None:
            raise ValueError("no query has a span yet; penalty must follow a forward pass.")
        wanted = torch.is_grad_enabled() and self.offset.requires_grad
        if wanted and not self._mean.requires_grad:
            raise ValueError(
                "the latest forward pass kept no gradient; penalty must follow one that does."
            )
        return self._mean

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch kv_heads keys head_dim"],
        v: Float[Tensor, "batch kv_heads keys value_dim"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        padding: Bool[Tensor, "batch keys"] | None = None,
        causal: bool = False,
        bias: Float[Tensor, "..."] | None = None,
        scale: float | int | None = None,
        dropout: float | int = 0.0,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        """Attend within each query's span: to earlier keys when causal, else to both sides.

        The arguments are those of `softmax_attention`.
        """
        check_heads(q, k, v, grouped=True)
        options = self._options(q, k, mask, padding, causal, bias)
        return softmax_attention(q, k, v, **options, scale=scale, dropout=dropout)

    def weights(self, q: Tensor, k: Tensor, **options: Any) -> Tensor:
        """The weights that `forward` uses: (batch, heads, queries, keys)."""
        mask, padding, bias = (options.get(name) for name in ("mask", "padding", "bias"))
        causal, mean, scale = options.get("causal", False), self._mean, options.get("scale")
        options = self._options(q, k, mask, padding, causal, bias)
        self._mean = mean  # to look changes nothing
        return attention_weights(q, k, **options, scale=scale)

    def _options(
        self,
        q: Tensor,
        k: Tensor,
        mask: Tensor | None,
        padding: Tensor | None,
        causal: bool,
        bias: Tensor | None,
    ) -> dict[str, Any]:
        """The options that make `softmax_attention` an attention with these spans."""
        check_distances(self.n_heads, q, k, causal)
        check_mask("mask", mask, (*q.shape[:3], k.shape[2]))
        check_padding(padding, (q.shape[0], k.shape[2]))
        if bias is not None:
            check_bias(bias, (*q.shape[:3], k.shape[2]))
        spans = self.spans(q)
        if not torch.compiler.is_exporting():  # a graph has nothing to look at afterwards
            mean = self._mean_of(spans, padding)
            if not in_backward_pass():  # no pass that runs again
                self._mean = mean
        offset = offsets(q, k)
        share = ((self.ramp + spans[..., None] - offset.abs()) / self.ramp).clamp(0, 1)
        logs, seen = log_mask(share, offset, self.max_span, causal)  # (batch, heads, queries, keys)
        return joined(logs, seen, mask, padding, bias)

    def _mean_of(self, spans: Tensor, padding: Tensor | None) -> Tensor:
        """Over the heads and the queries that are real."""
        if padding is None or padding.shape[1] < spans.shape[2]:
            return spans.mean()
        real = padding[:, None, -spans.shape[2] :].expand_as(spans).to(spans.dtype)
        return (spans * real).sum() / real.sum().clamp(min=1)

    def __getstate__(self) -> dict[str, Any]:
        """A copy begins without a forward pass: what belongs to a graph cannot be copied."""
        return self.__dict__ | {"_mean": None}
