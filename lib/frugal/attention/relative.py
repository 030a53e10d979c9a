"""Attention whose scores know how far query and key lie apart, wherever each of them stands.

To the product of query and key it adds a product of the query with an encoding of the distance:

    score(i, j) = ((q_i + u)·k_j + (q_i + w)·r(p_i - p_j)) / √head_dim

with learned u, w and a learned projection r of sines and cosines of the distance. Queries and keys
have places of their own, p_i and p_j, so that a query which stands for several tokens can look at
single ones. The sine of a difference is made of sines and cosines of both places, so no encoding
is stored for a pair.

Sources: dai2019transformerxl; for pooled queries, and this factorised form, dai2020funnel, appendix
A.2. Chapter: pooling-tokens. Cost for N keys and H heads: 2·queries·N·d_model
FLOPs per head beside those of `softmax_attention`, H times as many as a product of queries and
keys, and queries·N stored scores per head.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugal.attention.contract import Attention
from frugal.attention.softmax import attention_weights, softmax_attention
from frugal.checks import check_bias, check_divides, check_heads, check_options, check_scale
from frugal.telling import told


class RelativeAttention(Attention):
    """An attention callable with Transformer-XL's positions, for `MultiHeadAttention(attend=...)`.

    n_heads, d_model: of the heads together. first_apart: the first query and the first key have no
    distance to anything, which suits a [CLS] token. Options of a call beside those of
    `softmax_attention`: query_places (queries,) and key_places (keys,), integers. Where they are
    not given, keys stand at 0, 1, ... and the last query at the last key's place, as with a cache.
    A bias comes on top of the scores of the distance.
    """

    groups: ClassVar = "itself"

    def __init__(self, n_heads: int, d_model: int, *, first_apart: bool = False) -> None:
        super().__init__()
        check_divides(n_heads, d_model)
        if d_model % 2:
            raise ValueError(f"d_model is {d_model}; it must be even, for a sine with each cosine.")
        self.first_apart = first_apart
        head_dim = d_model // n_heads
        self.content_bias = nn.Parameter(torch.zeros(n_heads, head_dim))  # u
        self.place_bias = nn.Parameter(torch.zeros(n_heads, head_dim))  # w
        self.to_distance = nn.Parameter(torch.empty(d_model, n_heads, head_dim))
        nn.init.normal_(self.to_distance, std=d_model**-0.5)

    def extra_repr(self) -> str:
        return told(self, "first_apart", n_heads=self.content_bias.shape[0])

    @property
    def shifts(self) -> bool:
        """Whether only distances count: not where the first token stands apart."""
        return not self.first_apart

    def keep_heads(self, kept: list[int]) -> None:
        """Only the heads at these places remain, each with what it had learned."""
        self.content_bias = nn.Parameter(self.content_bias.detach()[kept])
        self.place_bias = nn.Parameter(self.place_bias.detach()[kept])
        self.to_distance = nn.Parameter(self.to_distance.detach()[:, kept])

    def distance_scores(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        query_places: Int[Tensor, " queries"],
        key_places: Int[Tensor, " keys"],
        *,
        offset: int = 0,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """(q + w)·r(distance) / √head_dim for every query and key; `offset` queries came before."""
        d_model = self.to_distance.shape[0]
        asked = torch.einsum(  # how much each head of each query wants of each sine and cosine
            "bhqc,dhc->bhqd",
            q + self.place_bias[:, None].to(q.dtype),
            (self.to_distance / math.sqrt(q.shape[-1])).to(q.dtype),
        )
        of_sine, of_cosine = asked.tensor_split([d_model // 2], dim=-1)
        sine, cosine = self.waves(query_places, q.dtype)
        key_sine, key_cosine = (
            (sine, cosine) if key_places is query_places else self.waves(key_places, q.dtype)
        )
        # s·sin(a - b) + c·cos(a - b) = (s·sin a + c·cos a)·cos b + (c·sin a - s·cos a)·sin b
        turned = torch.cat(
            [of_sine * sine + of_cosine * cosine, of_cosine * sine - of_sine * cosine], dim=-1
        )
        keys = torch.cat([key_cosine, key_sine], dim=-1)  # (keys, d_model)
        scores = turned @ keys.mT  # (batch, heads, queries, keys)
        if self.first_apart:
            later = torch.arange(offset, offset + len(query_places), device=q.device)[:, None] != 0
            later = later & (torch.arange(len(key_places), device=q.device) > 0)
            scores = scores.masked_fill(~later, 0.0)  # (batch, heads, queries, keys)
        return scores

    def waves(self, places: Int[Tensor, " length"], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Sines and cosines of the places, (length, d_model / 2) each."""
        d_model = self.to_distance.shape[0]
        pair = torch.arange(0, d_model, 2, device=places.device, dtype=torch.float32)
        angle = places[:, None] * 10000.0 ** (-pair / d_model)
        return angle.sin().to(dtype), angle.cos().to(dtype)

    def options(
        self,
        q: Tensor,
        k: Tensor,
        query_places: Tensor | None,
        key_places: Tensor | None,
        options: dict[str, Any],
    ) -> tuple[Tensor, dict[str, Any]]:
        """The query of the first product, and the options with the second one as a bias."""
        check_heads(q, k, k, grouped=True)
        n_heads, head_dim = self.content_bias.shape
        if q.shape[1] != n_heads or q.shape[-1] != head_dim:
            raise ValueError(
                f"q has {q.shape[1]} heads of {q.shape[-1]}; it must have {n_heads} of {head_dim}."
            )
        options = check_options(softmax_attention, options)
        offset = 0
        if query_places is None:
            offset = k.shape[2] - q.shape[2]
            query_places = torch.arange(offset, k.shape[2], device=q.device)
        if key_places is None:
            key_places = torch.arange(k.shape[2], device=k.device)
        if len(query_places) != q.shape[2] or len(key_places) != k.shape[2]:
            raise ValueError(
                f"query_places has {len(query_places)} places and key_places {len(key_places)}; "
                f"they must have {q.shape[2]}, one a query, and {k.shape[2]}, one a key."
            )
        check_scale(scale := options.get("scale"))
        bias = self.distance_scores(q, query_places, key_places, offset=offset)
        if scale is not None:  # which is of both products
            bias = bias * (scale * head_dim**0.5)
        if (given := options.get("bias")) is not None:
            check_bias(given, tuple(bias.shape))
            bias = bias + given
        return q + self.content_bias[:, None].to(q.dtype), options | {"bias": bias}

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch kv_heads keys head_dim"],
        v: Float[Tensor, "batch kv_heads keys value_dim"],
        *,
        query_places: Int[Tensor, " queries"] | None = None,
        key_places: Int[Tensor, " keys"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        q, options = self.options(q, k, query_places, key_places, options)
        return softmax_attention(q, k, v, **options)

    def weights(
        self,
        q: Tensor,
        k: Tensor,
        *,
        query_places: Tensor | None = None,
        key_places: Tensor | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """The weights of `forward`, for `recording`."""
        q, options = self.options(q, k, query_places, key_places, options)
        return attention_weights(q, k, **options)
