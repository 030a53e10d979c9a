"""Linformer: keys and values are mixed along the length into a few, then attended to.

A matrix E of r x N numbers, learned, turns N keys into r, and F does so for values:

    out = softmax(q (E K)ᵀ / √head_dim) (F V)

Each of the r is a mixture of all positions, so nothing can be hidden from a query: there is no
causal form, and the longest sequence is fixed beforehand.

Source: wang2020linformer. Chapter: low-rank. Cost for N tokens: 4·N·r·head_dim FLOPs per head to
mix and as many to attend; r·N parameters per matrix.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.contract import Attention
from frugal.attention.softmax import MultiHeadAttention, attention_weights, softmax_attention
from frugal.checks import (
    at_least,
    check_dtypes,
    check_heads,
    check_input,
    check_options,
    check_padding,
    check_same_dtype,
    hide_padding,
    one_of,
)
from frugal.telling import told

Sharing = Literal["none", "heads", "kv", "layers"]
SHARING: tuple[Sharing, ...] = get_args(Sharing)


class LinformerAttention(Attention):
    """An attention callable with learned length projections, for `MultiHeadAttention(attend=...)`.

    n_heads: heads of q. length: the longest sequence, N; a shorter one uses the first columns.
    rank: r, at most length. sharing: "none", E and F for each head; "heads", one E and one F for
    all heads; "kv", one E that is F too; "layers", one E for all layers, which takes `like`, the
    first layer's attention, in all others.
    """

    refuses: ClassVar = {
        "causal": "Linformer mixes all positions into each key before a query sees any, and so it "
        "cannot hide the future",
        "mask": "Linformer mixes the keys before a mask could hide one; use padding",
        "bias": "Linformer mixes the keys, and a bias has a number for each before that",
    }
    groups: ClassVar = "itself"

    def __init__(
        self,
        n_heads: int,
        length: int,
        rank: int,
        *,
        sharing: Sharing = "heads",
        like: LinformerAttention | None = None,
    ) -> None:
        super().__init__()
        at_least(1, n_heads=n_heads, length=length, rank=rank)
        if rank > length:
            raise ValueError(f"rank is {rank}; it must be at least 1 and at most {length=}.")
        one_of(SHARING, sharing=sharing)
        if like is not None and sharing != "layers":
            raise ValueError(f"like is given with sharing={sharing!r}; only 'layers' takes it.")
        if like is not None and like.sharing != "layers":
            raise ValueError(
                f"like has sharing={like.sharing!r}; only one with 'layers' has a matrix for all."
            )
        if like is not None and like.to_keys.shape[1:] != (rank, length):
            raise ValueError(
                f"like projects {like.to_keys.shape[2]} to {like.to_keys.shape[1]}, and this layer "
                f"{length} to {rank}; they must be equal."
            )
        self.n_heads, self.length, self.rank, self.sharing = n_heads, length, rank, sharing
        copies = n_heads if sharing == "none" else 1
        shape = (copies, rank, length)
        # a mixture of N independent keys then has the size of one
        self.to_keys = nn.Parameter(torch.randn(shape) / math.sqrt(length))
        self.to_values = nn.Parameter(torch.randn(shape) / math.sqrt(length))
        if sharing in ("kv", "layers"):
            self.to_keys = self.to_keys if like is None else like.to_keys
            self.to_values = self.to_keys

    def extra_repr(self) -> str:
        return told(self, "n_heads", "length", "rank", "sharing")

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch kv_heads keys head_dim"],
        v: Float[Tensor, "batch kv_heads keys value_dim"],
        *,
        padding: Bool[Tensor, "batch keys"] | None = None,
        scale: float | int | None = None,
        dropout: float | int = 0.0,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        """padding: True = real key; the others are left out before they are mixed.

        scale and dropout are of the scores and the weights of the r mixtures. Raises ValueError for
        any other option, for more than `length` keys, and for shapes that do not fit.
        """
        check_heads(q, k, v, grouped=True)
        self.check(q, k)
        k, v = (hidden(x, padding) for x in (k, v))
        keys = k.shape[2]
        to_keys, to_values = self.to_keys[..., :keys], self.to_values[..., :keys]
        mixed = self.mixed(to_keys, k), self.mixed(to_values, v)
        return softmax_attention(q, *mixed, scale=scale, dropout=dropout)

    def mixed(self, mixers: Tensor, x: Tensor) -> Tensor:
        """E x: for one E the heads that x has, for one a head all heads of the queries."""
        own = x.shape[1]
        if len(mixers) == 1 or len(mixers) == own:
            return mixers @ x  # (batch, heads of x, rank, width)
        by_group = mixers.unflatten(0, (own, -1)).flatten(1, 2)  # (heads of x, group·rank, keys)
        return (by_group @ x).unflatten(2, (-1, mixers.shape[1])).flatten(1, 2)

    def weights(
        self,
        q: Tensor,
        k: Tensor,
        *,
        padding: Tensor | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """What each query gives to each *position* through the values' mixture: A F, not a
        distribution; entries may be negative."""
        check_heads(q, k, k, grouped=True)
        self.check(q, k)
        mixed = self.mixed(self.to_keys[..., : k.shape[2]], hidden(k, padding))
        weights = attention_weights(q, mixed, scale=scale) @ self.to_values[..., : k.shape[2]]
        return weights if padding is None else weights * padding[:, None, None, :]

    def check(self, q: Tensor, k: Tensor) -> None:
        """One sentence for heads, a length or a dtype that the projections were not made for."""
        check_dtypes(k=k, to_keys=self.to_keys)
        if q.shape[1] != self.n_heads:
            raise ValueError(
                f"q has {q.shape[1]} heads; it must have {self.n_heads}, as these projections have."
            )
        if k.shape[2] > self.length:
            raise ValueError(
                f"k has length {k.shape[2]}; it must be at most {self.length}, which these "
                "projections reach."
            )


class LinformerSelfAttention(MultiHeadAttention):
    """`MultiHeadAttention` with `LinformerAttention`, mixed before it is projected.

    E (X W) is (E X) W: with one E for all heads, the length is shortened first, and keys and
    values are projected for r positions instead of N. The weights are those of
    `MultiHeadAttention(d_model, n_heads, LinformerAttention(...))`, and so is the output. What
    stands in place of `to_k` and `to_v` must be affine, as a linear layer is.

    Shapes: x (batch, length, d_model). Cost for N tokens: 4·N·d_model² FLOPs for queries and
    output, 4·N·r·d_model to mix, 4·N·r·d_model to attend.
    """

    causal = False
    takes_padding = True

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        length: int,
        rank: int,
        *,
        sharing: Sharing = "heads",
        like: LinformerAttention | None = None,
        bias: bool = True,
        dropout: float | int = 0.0,
        attention_dropout: float | int = 0.0,
    ) -> None:
        if sharing == "none":
            raise ValueError("sharing is 'none'; mixing first needs one E for all heads.")
        attend = LinformerAttention(n_heads, length, rank, sharing=sharing, like=like)
        dropped = {"dropout": dropout, "attention_dropout": attention_dropout}
        super().__init__(d_model, n_heads, attend, bias=bias, **dropped)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        """Raises ValueError as `LinformerAttention` does."""
        check_input(x, padding, d_model=self.to_q.in_features)
        check_same_dtype(x, self.to_q)
        attend, length = self.attend, x.shape[1]
        options = check_options(attend, options)
        q = self.split(self.to_q(x))  # (batch, heads, length, head_dim)
        attend.check(q, q)
        scale = options.get("scale")
        self.record(
            lambda: attend.weights(q, self.split(self.to_k(x)), padding=padding, scale=scale)
        )
        real = x.new_ones(length, 1) if padding is None else padding[..., None].to(x.dtype)
        source = hide_padding(x, padding)
        one = attend.to_values is attend.to_keys
        mixers = attend.to_keys[0] if one else torch.cat([attend.to_keys[0], attend.to_values[0]])
        mixed = mixers[:, :length] @ source  # (batch, r or 2 r, d_model)
        shares = mixers[:, :length] @ real  # what the mixtures sum to: (batch or none, r or 2 r, 1)
        parts = [(mixed, shares)] * 2
        if not one:
            parts = list(zip(mixed.chunk(2, 1), shares.chunk(2, -2), strict=True))
        k, v = (
            self.split(_of_mixtures(layer, *part))
            for layer, part in zip((self.to_k, self.to_v), parts, strict=True)
        )
        if self.training and self.attention_dropout:
            options = {"dropout": self.attention_dropout} | options
        out = softmax_attention(q, k, v, **options)
        return self.dropout(self.to_out(out.transpose(1, 2).flatten(2)))


def hidden(x: Tensor, padding: Tensor | None) -> Tensor:
    """x (batch, heads, length, width) with zeros at padded positions."""
    if padding is None:
        return x
    check_padding(padding, (x.shape[0], x.shape[2]))
    return x.masked_fill(~padding[:, None, :, None], 0.0)


def _of_mixtures(
    layer: nn.Module, mixed: Float[Tensor, "batch rank d_model"], shares: Tensor
) -> Float[Tensor, "batch rank d_model"]:
    """E applied to what an affine `layer` gives at every position.

    It gives X W + β there, so E (X W + β) = (E X) W + (E 1) β; β is what it gives for zeros.
    """
    out = layer(F.pad(mixed, (0, 0, 0, 1)))  # (batch, rank + 1, d_model), zeros in the last row
    return out[:, :-1] + (shares - 1) * out[:, -1:]
