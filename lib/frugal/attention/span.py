"""Attention whose heads learn how far back they look.

Every head has a span z, in tokens. Key j of query i is multiplied by the soft mask

    mask_ij = min(max((ρ + z - (i - j)) / ρ, 0), 1)

which is 1 up to the span, falls to 0 over the ρ tokens of the ramp, and is the only place where z
gets a gradient. The masked softmax mask·exp(s) / Σ mask·exp(s) is a softmax of s + log mask. Keys
beyond the longest span of the layer have a mask of 0 for all its heads; they are not read at all.

Source: sukhbaatar2019adaptive. Chapter: adaptive-spans. Cost for N tokens and a longest span z:
4·N·(z + ρ)·head_dim FLOPs per head, rounded up to blocks.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Num
from torch import Tensor, nn

from frugal.attention.cache import KeyValueCache
from frugal.attention.contract import Attention, rescaled
from frugal.attention.pieces import autocast_dtype, hide_keys, one_dtype
from frugal.attention.softmax import attention_weights, softmax_attention
from frugal.checks import (
    at_least,
    autocast_kind,
    between,
    check_bias,
    check_dropout,
    check_heads,
    check_mask,
    check_padding,
    check_scale,
    within,
)
from frugal.penalty import penalty
from frugal.telling import told

span_penalty = penalty  # what it was called while spans alone had one

BLOCK = 64
"""Queries that share one stretch of keys: a longer block reads keys that some of its queries do not
need, a shorter one makes matrices too small to be fast."""


class AdaptiveSpan(Attention):
    """An attention callable with one learned span a head, for `MultiHeadAttention(attend=...)`.

    n_heads: heads of q. max_span: the most keys a query sees to one side, itself included; so does
    Mistral's `sliding_window` count, and a `window` of `patterns` is one less. ramp: ρ.
    start: the spans at first, in tokens; max_span / 2 when None. A span that starts at 0 cannot
    learn to reach a key beyond the ramp: the mask is 0 there, and so is its gradient. Start above
    the distances that may matter and let the penalty shorten what is not needed.

    The spans are stored as shares of max_span, as in the paper, and put back into 0 ... 1 when they
    are next used in training after an update took them outside.
    """

    groups: ClassVar = "itself"
    shifts = True

    def __init__(
        self,
        n_heads: int,
        max_span: int,
        ramp: float | int = 32,
        *,
        start: float | int | None = None,
    ) -> None:
        super().__init__()
        at_least(1, n_heads=n_heads, max_span=max_span)
        between(0, math.inf, ramp=ramp, why=", or spans have no gradient")
        start = max_span / 2 if start is None else start
        within(0, max_span, start=start)
        self.n_heads, self.max_span, self.ramp = n_heads, max_span, ramp
        self.share = nn.Parameter(torch.full((n_heads,), start / max_span))

    def extra_repr(self) -> str:
        return told(self, "n_heads", "max_span", "ramp")

    @property
    def spans(self) -> Float[Tensor, " n_heads"]:
        """z of each head, in tokens: 0 ... max_span."""
        share = self.share.to(torch.promote_types(self.share.dtype, torch.float32))
        return self.max_span * share.clamp(0, 1)

    def new_cache(self, capacity: int) -> KeyValueCache:
        """Keys and values that a span may reach; older ones are forgotten."""
        return KeyValueCache(capacity, reach=self.max_span - 1)

    def keep_heads(self, kept: list[int]) -> None:
        """Only the heads at these places remain, each with its span."""
        self.share = nn.Parameter(self.share.detach()[kept])
        self.n_heads = len(kept)

    def penalty(self) -> Float[Tensor, ""]:
        """The mean span in tokens: Σ z_h / H for this layer, to be scaled by λ."""
        if self.training:  # here too: which of the two is asked first must not matter
            self._project()
        return self.spans.mean()

    def soft_mask(self, distance: Num[Tensor, "..."]) -> Float[Tensor, "n_heads ..."]:
        """The mask at a distance for each head, a number in 0 ... 1: (n_heads, *distance.shape)."""
        spans = self.spans.view(-1, *[1] * distance.ndim)
        return ((self.ramp + spans - distance) / self.ramp).clamp(0, 1)

    def reach(self) -> int:
        """How many distances 0, 1, ... the longest head sees: the keys that are read.

        A GPU is waited for here. A compiled graph, or a span on "meta", has no number to ask for:
        there it is `max_span`, with which the output is the same.
        """
        if torch.compiler.is_compiling() or self.share.device.type == "meta":
            return self.max_span
        return min(self.max_span, int((self.spans.detach().max() + self.ramp).ceil()))

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
        """Attend within the spans: to earlier keys when causal, else to both sides.

        The arguments are those of `softmax_attention`. With `mask` or `bias`, which hold a number
        for every query and key themselves, all keys are read; otherwise a block of queries reads
        only what its longest span reaches.
        """
        check_heads(q, k, v, grouped=True)
        check_distances(self.n_heads, q, k, causal)
        check_mask("mask", mask, (*q.shape[:3], k.shape[2]))
        check_padding(padding, (q.shape[0], k.shape[2]))
        if bias is not None:
            check_bias(bias, (*q.shape[:3], k.shape[2]))
        if self.training:
            self._project()
        check_scale(scale)
        check_dropout(dropout=dropout)
        asked = {"scale": scale, "dropout": dropout}
        if mask is None and bias is None:
            reach, sides = self.reach(), 1 if causal else 2
            if q.shape[2] == k.shape[2] > BLOCK + sides * (reach - 1):
                return self._banded(rescaled(q, scale), k, v, padding, causal, reach, dropout)
            if causal:  # when decoding with a cache, the oldest keys are out of reach
                kept = min(k.shape[2], q.shape[2] + reach - 1)
                k, v = k[:, :, -kept:], v[:, :, -kept:]
                padding = None if padding is None else padding[:, -kept:]
        return softmax_attention(q, k, v, **self._dense(q, k, mask, padding, causal, bias), **asked)

    def weights(self, q: Tensor, k: Tensor, **options: Any) -> Tensor:
        """The weights that `forward` uses: (batch, heads, queries, keys)."""
        causal = options.get("causal", False)
        check_distances(self.n_heads, q, k, causal)
        mask, padding, bias = (options.get(name) for name in ("mask", "padding", "bias"))
        dense = self._dense(q, k, mask, padding, causal, bias)
        return attention_weights(q, k, **dense, scale=options.get("scale"))

    def _project(self) -> None:
        # Past autograd's eyes: the same module may be called twice before the backward pass, and
        # the second time this changes nothing. To look first would make a GPU wait.
        self.share.data.clamp_(0, 1)

    def _log_mask(self, offset: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
        """log mask where it is finite and 0 elsewhere, and where that is: (n_heads, ...) each.

        offset: place of the query minus place of the key.
        """
        return log_mask(self.soft_mask(offset.abs()), offset, self.max_span, causal)

    def _dense(
        self,
        q: Tensor,
        k: Tensor,
        mask: Tensor | None,
        padding: Tensor | None,
        causal: bool,
        bias: Tensor | None,
    ) -> dict[str, Any]:
        """The options that make `softmax_attention` an attention with these spans."""
        logs, seen = self._log_mask(offsets(q, k), causal)  # (heads, queries, keys)
        return joined(logs, seen, mask, padding, bias)

    def _banded(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        padding: Tensor | None,
        causal: bool,
        reach: int,
        dropout: float | int = 0.0,
    ) -> Tensor:
        """Blocks of queries, each with the stretch of keys that the longest head reaches."""
        batch, heads, length, head_dim = q.shape
        blocks = math.ceil(length / BLOCK)
        left = reach - 1
        rest = blocks * BLOCK - length
        right = rest + (0 if causal else left)
        real = padding
        if real is None:
            real = torch.ones(batch, length, dtype=torch.bool, device=q.device)
        given = autocast_dtype(q)
        q, k, v = one_dtype(q, k, v)
        k, v = F.pad(k, (0, 0, left, right)), F.pad(v, (0, 1, left, right))
        q, k = hide_keys(F.pad(q, (0, 0, 0, rest)), k, F.pad(real, (left, right)))

        width = BLOCK + left + right - rest
        group = heads // k.shape[1]  # query heads that share the keys and values of one
        q = q.flatten(0, 1).unflatten(1, (blocks, BLOCK))  # (batch·heads, blocks, BLOCK, head_dim)
        if group > 1:  # their queries stand together: (batch·kv_heads, blocks, group·BLOCK, ...)
            q = q.unflatten(0, (-1, group)).transpose(1, 2).flatten(2, 3)
        k = k.flatten(0, 1).unfold(1, width, BLOCK).mT  # (batch·kv_heads, blocks, width, head_dim)
        v = v.flatten(0, 1).unfold(1, width, BLOCK).mT
        place = torch.arange(max(BLOCK, width), device=q.device)
        logs, seen = self._log_mask(place[:BLOCK, None] + left - place[None, :width], causal)
        scores = logs.masked_fill(~seen, -torch.inf).to(q.dtype)  # (heads, BLOCK, width)
        if group > 1:
            scores = scores.unflatten(0, (-1, group)).flatten(1, 2)  # (kv_heads, group·BLOCK, ...)
        with torch.autocast(autocast_kind(q.device), enabled=False):  # `one_dtype` has seen to it
            out = F.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=scores.repeat(batch, 1, 1)[:, None],
                scale=head_dim**-0.5,
                dropout_p=float(dropout),
            )
        if group > 1:
            out = out.unflatten(2, (group, BLOCK)).transpose(1, 2).flatten(0, 1)
        # (batch·heads, blocks, BLOCK, width + 1) to (batch, heads, length, width)
        out = out.flatten(1, 2).unflatten(0, (batch, heads))[:, :, :length, :-1].to(given)
        if padding is None:
            return out
        return out.masked_fill(~self._any_real(padding, causal)[..., None], 0.0)

    def _any_real(self, padding: Tensor, causal: bool) -> Bool[Tensor, "batch heads length"]:
        """Whether each query of each head has a real key within its span."""
        length = padding.shape[1]
        before = F.pad(padding.long().cumsum(1), (1, 0))  # real keys in front of each place
        far = (self.spans.detach() + self.ramp).ceil().long().clamp(max=self.max_span)[:, None]
        place = torch.arange(length, device=padding.device)[None, :]
        first = (place - far + 1).clamp(min=0)  # (heads, length)
        end = place + 1 if causal else (place + far).clamp(max=length)
        return before[:, end] > before[:, first]


def check_distances(n_heads: int, q: Tensor, k: Tensor, causal: bool) -> None:
    """One sentence where q has other heads than spans, or its distances to k are not known."""
    if q.shape[1] != n_heads:
        raise ValueError(f"q has {q.shape[1]} heads; it must have {n_heads}, one a span.")
    if not causal and q.shape[2] != k.shape[2]:
        raise ValueError(
            f"q has length {q.shape[2]} and k has {k.shape[2]}; they must be equal, or causal "
            "must be True, to give distances between them."
        )


def offsets(q: Tensor, k: Tensor) -> Tensor:
    """Place of each query minus place of each key, (queries, keys): the last stands at the last."""
    queries, keys = q.shape[2], k.shape[2]
    place = torch.arange(keys, device=q.device)
    asked = torch.arange(keys - queries, keys, device=q.device)
    return asked[:, None] - place


def joined(
    logs: Tensor, seen: Tensor, mask: Tensor | None, padding: Tensor | None, bias: Tensor | None
) -> dict[str, Any]:
    """What `log_mask` gave and what the caller gave, as options of `softmax_attention`."""
    return {
        "mask": seen if mask is None else seen & mask,
        "padding": padding,
        "bias": logs if bias is None else logs + bias,
    }


def log_mask(
    share: Float[Tensor, "... queries keys"],
    offset: Num[Tensor, "queries keys"],
    max_span: int,
    causal: bool,
) -> tuple[Float[Tensor, "... queries keys"], Bool[Tensor, "... queries keys"]]:
    """log m where it is finite and 0 elsewhere, and where that is, from the soft mask m (`share`).

    offset: place of the query minus place of the key.
    """
    seen = (share > 0) & (offset.abs() < max_span)
    if causal:
        seen = seen & (offset >= 0)
    return share.masked_fill(~seen, 1.0).log(), seen  # log 0 would have a gradient of NaN
