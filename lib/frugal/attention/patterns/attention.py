"""Attention in a fixed pattern, at a cost that grows with the keys seen and not with N².

A mask alone saves nothing: the masked products are computed, then thrown away. Here they are never
computed. On the CPU the pattern is cut into rectangles for torch's fused kernel (`pieces`): a block
of queries and the keys within its reach, read through a view that copies nothing. On other devices
`flex_attention` skips the blocks that the pattern leaves empty (`blocks`). In a compiled graph all
rectangles are one operation. What `torch.export` writes down is the pattern as a mask, right for
any device and length, without this library, and at the cost of all pairs.

Sources: beltagy2020longformer (window and global tokens), child2019sparse (strided and fixed).
Chapter: fixed-patterns.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.attention.cache import KeyValueCache
from frugal.attention.contract import Attention, rescaled
from frugal.attention.groups import grouped
from frugal.attention.patterns.blocks import (
    Named,
    block_sparse_attention,
    in_pieces,
    named,
)
from frugal.attention.patterns.global_tokens import (
    attend_with_constant_tokens,
    attend_with_global_tokens,
)
from frugal.attention.patterns.masks import (
    Pattern,
    Rule,
    pattern_mask,
    pattern_rule,
    random_seed,
)
from frugal.attention.patterns.rectangles import cut_into
from frugal.attention.pieces import Cut, attend_by_heads
from frugal.attention.softmax import attention_weights, softmax_attention
from frugal.checks import at_least, check_heads, check_mask

__all__ = [
    "PatternAttention",
    "fixed_attention",
    "pattern_mask",
    "sliding_window_attention",
    "strided_attention",
]


@grouped("in turns")
def sliding_window_attention(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    *,
    window: int,
    causal: bool = False,
    global_tokens: Bool[Tensor, "batch keys"] | None = None,
    padding: Bool[Tensor, "batch keys"] | None = None,
    scale: float | int | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Query i sees the keys j with |i - j| <= window; if causal, those with 0 <= i - j <= window.

    So the token itself is not counted: it sees 2·window + 1 keys, if causal window + 1. Mistral's
    `sliding_window` counts it and is one more; `window_from_sliding_window` converts.

    global_tokens: True = sees every key and is seen by every query (if causal: of those up to the
    query). padding: True = real key. scale: the scores are scale·q kᵀ; 1 / √head_dim when None. A
    query that may attend to nothing gets zeros. Any length and
    any window will do. With fewer queries than keys the last query is at the last key's place.

    Cost: 4·N·(2·window + 1 + g)·head_dim FLOPs forward for g global tokens; memory O(N).
    Raises ValueError for a negative window, and for shapes and dtypes that do not fit.
    Source: beltagy2020longformer, section 3.1.
    """
    _check(q, k, v, padding)
    q = rescaled(q, scale)
    at_least(0, window=window)
    if causal and q.shape[2] == 1 and global_tokens is None:  # a step of decoding: one rectangle
        k, v = k[:, :, -window - 1 :], v[:, :, -window - 1 :]
        padding = None if padding is None else padding[:, -window - 1 :]
        return softmax_attention(q, k, v, padding=padding)
    rule = pattern_rule("window", k.shape[2], window=window, causal=causal)
    _check_flags("global_tokens", global_tokens, (k.shape[0], k.shape[2]))
    if not in_pieces(q):
        options = {"global_tokens": global_tokens, "causal": causal, "padding": padding}
        key = named("window", causal=causal, window=window)
        return block_sparse_attention(q, k, v, rule, key=key, **options)

    cut = cut_into("window", window, causal)
    if global_tokens is None:
        return attend_by_heads(q, k, v, cut, seen=padding)
    return attend_with_global_tokens(q, k, v, cut, global_tokens, causal=causal, padding=padding)


@grouped("in turns")
def strided_attention(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    *,
    stride: int,
    padding: Bool[Tensor, "batch keys"] | None = None,
    scale: float | int | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Causal: query i sees itself, the `stride` keys before it, and every `stride`-th before those.

    One softmax over both sets, the "merged" head of the paper. Any length will do. padding, scale
    and fewer queries than keys: as in `sliding_window_attention`.

    Cost: 4·N·(stride + N / stride)·head_dim FLOPs forward, least at stride = √N; memory O(N).
    Raises ValueError for a stride below 1, and for shapes and dtypes that do not fit.
    Source: child2019sparse, section 4.3.
    """
    _check(q, k, v, padding)
    q = rescaled(q, scale)
    rule = pattern_rule("strided", k.shape[2], stride=stride)

    cut = cut_into("strided", stride)
    key = named("strided", stride=stride)
    return _in_strides(q, k, v, cut, rule, key=key, stride=stride, padding=padding)


@grouped("in turns")
def fixed_attention(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    *,
    stride: int,
    summary: int,
    padding: Bool[Tensor, "batch keys"] | None = None,
    scale: float | int | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Causal: query i sees its block of `stride` positions and the last `summary` of every block.

    One softmax over both sets, the "merged" head of the paper. Any length will do. padding, scale
    and fewer queries than keys: as in `sliding_window_attention`.

    Cost: 4·N·(stride + summary·N / stride)·head_dim FLOPs forward at most; memory O(N).
    Raises ValueError for a stride below 1, a summary outside 1 … stride, and for shapes and dtypes
    that do not fit. Source: child2019sparse, section 4.3.
    """
    _check(q, k, v, padding)
    q = rescaled(q, scale)
    rule = pattern_rule("fixed", k.shape[2], stride=stride, summary=summary)

    cut = cut_into("fixed", stride, summary)
    key = named("fixed", stride=stride, summary=summary)
    return _in_strides(q, k, v, cut, rule, key=key, stride=stride, padding=padding)


class PatternAttention(Attention):
    """A pattern as an attention callable: `PatternAttention("window+global", window=16, ...)`.

    name and options: those of `pattern_mask`. Windows, with or without global tokens, "strided" and
    "fixed" take the fast forms above; any other pattern is a block mask on CUDA and a dense mask,
    which saves nothing, on the CPU. window counts the keys to each side and not the token itself,
    as in `sliding_window_attention`; Mistral's `sliding_window` is one more. generator: gives the
    seed of a random pattern, once, when the module is made. `weights` gives the attention matrix,
    for `recording`. Raises ValueError, when it is made, if the options do not fit the pattern.
    """

    refuses: ClassVar = {
        "mask": "the pattern is the mask, and pairs outside it are never computed",
        "bias": "only the pairs of the pattern are computed, not all that a bias has",
        "dropout": "the pattern is computed in pieces that are joined by the sums of their weights",
    }
    groups: ClassVar = "in turns"

    def __init__(self, name: Pattern | str, **options: Any) -> None:
        super().__init__()
        if "generator" in options and "random" in name.split("+"):  # the seed is drawn once
            options["seed"] = random_seed(options.get("seed"), options.pop("generator"))
        pattern_rule(name, 1, **options)  # tells at once what does not fit
        self.name, self.options = name, options
        self._key = {causal: named(name, causal=causal, **options) for causal in (False, True)}

    @property
    def shifts(self) -> bool:
        """Whether the pattern is one of distances, the same wherever a text begins."""
        return set(self.name.split("+")) <= {"full", "window", "dilated", "strided"}

    def new_cache(self, capacity: int) -> KeyValueCache:
        """Keys and values: those in the reach of a window, else all."""
        if not set(self.name.split("+")) <= {"window", "dilated"}:
            return KeyValueCache(capacity)
        reach = self.options["window"] * self.options.get("dilation", 1)
        return KeyValueCache(capacity, reach=reach)

    def mask(self, queries: int, keys: int, *, causal: bool, device: torch.device) -> Tensor:
        """(queries, keys), True = may attend, the last query at the last key's place."""
        rule = pattern_rule(self.name, keys, causal=causal, **self.options)
        return _matrix(rule, queries, keys, device)

    def extra_repr(self) -> str:
        return ", ".join([repr(self.name), *(f"{n}={v!r}" for n, v in self.options.items())])

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch heads keys head_dim"],
        v: Float[Tensor, "batch heads keys value_dim"],
        *,
        causal: bool = False,
        padding: Bool[Tensor, "batch keys"] | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        _check(q, k, v, padding)
        q = rescaled(q, scale)
        keys, options = k.shape[2], dict(self.options)
        parts = set(self.name.split("+"))
        if parts == {"window"}:
            given = {"causal": causal, "padding": padding, **options}
            return sliding_window_attention(q, k, v, **given)
        if not in_pieces(q):  # one rule, global tokens and all: its block mask can be kept
            rule = pattern_rule(self.name, keys, causal=causal, **options)
            given = {"key": self._key[causal], "padding": padding}
            return block_sparse_attention(q, k, v, rule, **given)
        if parts == {"window", "global"}:
            places, given = options.pop("global_tokens"), {"causal": causal, "padding": padding}
            return attend_with_constant_tokens(q, k, v, places, **given, **options)
        if self.name in ("strided", "fixed"):
            attend = strided_attention if self.name == "strided" else fixed_attention
            return attend(q, k, v, padding=padding, **options)
        mask = self.mask(q.shape[2], keys, causal=causal, device=q.device)
        return softmax_attention(q, k, v, mask=mask, padding=padding)

    def weights(
        self,
        q: Tensor,
        k: Tensor,
        *,
        causal: bool = False,
        padding: Tensor | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """What each query gives to each key: zero outside the pattern."""
        _check(q, k, k, padding)
        mask = self.mask(q.shape[2], k.shape[2], causal=causal, device=q.device)
        return attention_weights(q, k, mask=mask, padding=padding, scale=scale)


def _in_strides(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cut: Cut,
    rule: Rule,
    *,
    key: Named | None,
    stride: int,
    padding: Tensor | None,
) -> Tensor:
    """Causal attention in pieces that `cut` makes of a length that is a multiple of `stride`."""
    queries, keys = q.shape[2], k.shape[2]
    if not in_pieces(q):
        return block_sparse_attention(q, k, v, rule, key=key, padding=padding)
    if queries < keys:  # one step of decoding: a few rows of the matrix
        mask = _matrix(rule, queries, keys, q.device)
        return softmax_attention(q, k, v, mask=mask, padding=padding)
    missing = -keys % stride
    if missing:  # keys after every query, which causality hides
        q, k, v = (F.pad(x, (0, 0, 0, missing)) for x in (q, k, v))
        padding = None if padding is None else F.pad(padding, (0, missing))
    return attend_by_heads(q, k, v, cut, seen=padding)[:, :, :queries]


def _matrix(rule: Rule, queries: int, keys: int, device: torch.device) -> Tensor:
    """The rule as a mask (queries, keys) whose last query is at the last key's place."""
    i = torch.arange(keys - queries, keys, device=device)[:, None]
    j = torch.arange(keys, device=device)[None, :]
    return rule(i, j).expand(queries, keys)


def _check(q: Tensor, k: Tensor, v: Tensor, padding: Tensor | None) -> None:
    check_heads(q, k, v)
    if q.shape[2] > k.shape[2]:
        raise ValueError(
            f"q has length {q.shape[2]} and k has {k.shape[2]}; in a pattern every query must have "
            "a place among the keys."
        )
    _check_flags("padding", padding, (k.shape[0], k.shape[2]))


def _check_flags(name: str, flags: Tensor | None, shape: tuple[int, int]) -> None:
    check_mask(name, flags, shape)
    if flags is not None and tuple(flags.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(flags.shape)}; it must be {shape}.")
