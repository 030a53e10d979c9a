"""Scaled dot-product attention: the baseline that every other file here changes.

`MultiHeadAttention` owns the projections and the heads and takes any attention (`contract`), so a
variant never has to repeat them. Chapter: the-vanilla-transformer.

Source: vaswani2017attention. Cost for N queries and keys of width d: 4·N²·d FLOPs forward, and
N² numbers per head where the scores are stored (torch's fused kernel does not store them).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.cache import Cache, KeyValueCache, OwnCache
from frugal.attention.contract import Attend, check_attend
from frugal.attention.groups import (
    attend_grouped,
    fold_groups,
    grouped,
    groups_of,
    repeated,
    unfold_groups,
)
from frugal.attention.recording import Recorded, recording
from frugal.checks import (
    at_least,
    autocast_kind,
    check_bias,
    check_divides,
    check_dropout,
    check_heads,
    check_input,
    check_mask,
    check_options,
    check_padding,
    check_same_dtype,
    check_scale,
    name_of,
    options_of,
    takes_only,
)
from frugal.positions import skipped_in_front
from frugal.telling import told

__all__ = [
    "Attend",
    "KeyValueCache",
    "MultiHeadAttention",
    "attention_weights",
    "causal_mask",
    "recording",
    "softmax_attention",
    "visible",
]

Rotate = Callable[[Tensor, int], Tensor]


def causal_mask(queries: int, keys: int, *, device=None) -> Bool[Tensor, "queries keys"]:
    """True where query i may see key j: j <= i, the last query aligned with the last key.

    With `queries < keys` (decoding with a cache) the first query is the one that follows the
    `keys - queries` cached positions.
    """
    ones = torch.ones(queries, keys, dtype=torch.bool, device=device)
    return ones.tril(diagonal=keys - queries)


def visible(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch kv_heads keys head_dim"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    padding: Bool[Tensor, "batch keys"] | None = None,
    causal: bool = False,
) -> Bool[Tensor, "..."] | None:
    """Join mask, padding and causality into one mask, or None when everything may be seen."""
    batch, heads, queries, keys = *q.shape[:3], k.shape[2]
    check_mask("mask", mask, (batch, heads, queries, keys))
    mask = _four_axes(mask)
    if padding is not None:
        check_padding(padding, (batch, keys))
        padding = padding.expand(batch, keys)[:, None, None, :]  # (batch, 1, 1, keys)
        mask = padding if mask is None else mask & padding
    if causal and queries > 1:
        order = causal_mask(queries, keys, device=q.device)
        mask = order if mask is None else mask & order
    return mask


@grouped("itself")
def softmax_attention(
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
    """softmax(scale·q kᵀ + bias) v, by torch's fused kernel.

    mask: True = may attend, broadcast to (batch, heads, queries, keys). padding: True = real key.
    causal: query i sees keys up to its own place, the last query aligned with the last key.
    bias: added to the scores, broadcast the same way. scale: 1 / √head_dim when None. dropout: the
    share of the weights that become 0, whoever calls; the others are divided by 1 - dropout. A
    query that may attend to nothing gets zeros. k and v may have fewer heads than q; query head h
    reads head h // (heads / kv_heads). Raises ValueError for shapes or dtypes that do not
    fit, for a scale that is not above 0 and for a dropout outside 0 ... 1.

    Source: vaswani2017attention, equation 1.
    """
    check_heads(q, k, v, grouped=True)
    check_scale(scale)
    check_dropout(dropout=dropout)
    asked = {} if scale is None else {"scale": float(scale)}
    asked |= {"dropout_p": float(dropout)} if dropout else {}
    if q.shape[1] != k.shape[1]:
        asked["enable_gqa"] = True
    square = q.shape[2] == k.shape[2]
    if mask is None and padding is None and bias is None and (square or not causal):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, **asked)

    seen = visible(q, k, mask=mask, padding=padding, causal=causal)
    if seen is None and bias is None:
        return F.scaled_dot_product_attention(q, k, v, **asked)
    shown, empty = (None, None) if seen is None else _never_empty(seen)
    if bias is None:
        scores = shown
    else:
        check_bias(bias, (*q.shape[:3], k.shape[2]))
        scores = _four_axes(bias).to(q.dtype)
        scores = scores if shown is None else scores.masked_fill(~shown, -torch.inf)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=scores, **asked)
    return out if empty is None else out.masked_fill(empty, 0.0)


def _never_empty(seen: Bool[Tensor, "..."]) -> tuple[Tensor, Tensor]:
    """`seen`, but a query with nothing to see sees all; and which queries these are.

    What they find is thrown away. No kernel may be handed a row of -inf: they do not agree about
    its output, and its gradient is NaN in some, on a GPU in bfloat16 for one.
    """
    empty = ~seen.any(-1, keepdim=True)
    return seen | empty, empty


def _four_axes(x: Tensor | None) -> Tensor | None:
    """What is broadcast to the scores, with axes of 1 in front: torch's kernel asks for them."""
    return x if x is None or x.ndim >= 4 else x[(None,) * (4 - x.ndim)]


def attention_weights(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch kv_heads keys head_dim"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    padding: Bool[Tensor, "batch keys"] | None = None,
    causal: bool = False,
    bias: Float[Tensor, "..."] | None = None,
    scale: float | int | None = None,
) -> Float[Tensor, "batch heads queries keys"]:
    """The matrix that `softmax_attention` never stores: each row sums to 1, or to 0 if masked.

    The arguments are those of `softmax_attention`. A bias of -inf hides a key as a mask does.
    Scores of half precision are made in float32, as the kernel makes them: products of float16 may
    be too large for it. Memory: batch·heads·queries·keys numbers.
    """
    check_heads(q, k, k, grouped=True)
    check_scale(scale)
    wide = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(autocast_kind(q.device), enabled=False):
        scores = products(q.to(wide), k.to(wide))  # (batch, heads, queries, keys)
    scores = scores / math.sqrt(q.shape[-1]) if scale is None else scores * scale
    seen = visible(q, k, mask=mask, padding=padding, causal=causal)
    if bias is not None:
        check_bias(bias, tuple(scores.shape))
        bias = bias.to(scores.dtype)
        scores, hidden = scores + bias, bias == -torch.inf
        seen = ~hidden if seen is None else seen & ~hidden
    if seen is None:
        return scores.softmax(-1).to(q.dtype)
    shown, _ = _never_empty(seen)
    scores = scores.masked_fill(~shown, -torch.inf)
    scores = scores if bias is None else scores.masked_fill(shown & ~seen, 0.0)
    return scores.softmax(-1).masked_fill(~seen, 0.0).to(q.dtype)


def kv_heads(n_heads: int, n_kv_heads: int | None) -> int:
    """Heads of keys and values: n_heads for None. ValueError where they do not divide n_heads."""
    if n_kv_heads is None:
        return n_heads
    at_least(1, n_kv_heads=n_kv_heads)
    if n_heads % n_kv_heads:
        raise ValueError(f"n_kv_heads is {n_kv_heads}; it must divide {n_heads=}.")
    return n_kv_heads


def products(
    q: Float[Tensor, "batch heads queries width"], k: Float[Tensor, "batch kv_heads keys width"]
) -> Float[Tensor, "batch heads queries keys"]:
    """q kᵀ, where k may have fewer heads than q; their keys are not copied."""
    if q.shape[1] == k.shape[1]:
        return q @ k.mT
    return unfold_groups(fold_groups(q, k.shape[1]) @ k.mT, q.shape[1])


def shifts(attend: Attend) -> bool:
    """Whether `attend` gives the same to a text that begins later (`Attention.shifts`)."""
    return attend is softmax_attention or bool(getattr(attend, "shifts", False))


def _shifts_in(rotate: Rotate | None) -> bool:
    """Whether a rotation can count from each row's first real token."""
    return rotate is None or bool(getattr(rotate, "shifts", False))


class MultiHeadAttention(Recorded):
    """Project to heads, attend, join the heads, project back (vaswani2017attention, section 3.2.2).

    d_model: width of the input and output. n_heads: must divide d_model. attend: what the heads do,
    any attention callable or module of this package; options given to `forward` reach it. rotate:
    applied to queries and keys with their first position (rotary embeddings). n_kv_heads: heads of
    keys and values, n_heads when None; fewer must divide n_heads, and each is read by
    n_heads / n_kv_heads query heads (ainslie2023gqa; one alone, shazeer2019mqa). A cache then holds
    n_kv_heads heads. An attention that cannot share keys gets copies (`groups`). bias: on the four
    projections. dropout: on the output. attention_dropout: on the weights, while training, of an
    attention that takes it, and refused for any other. kept_heads: the numbers of the heads, by
    which they are still known when others have been pruned (`frugal.attention.heads`).

    Shapes: x (batch, queries, d_model), context (batch, keys, d_model) or None for self-attention.
    Cost: 8·N·d_model² FLOPs for the projections beside what `attend` costs.
    """

    attention_dropout: float | int = 0.0

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        attend: Attend = softmax_attention,
        *,
        bias: bool = True,
        dropout: float | int = 0.0,
        rotate: Rotate | None = None,
        attention_dropout: float | int = 0.0,
        n_kv_heads: int | None = None,
    ) -> None:
        super().__init__()
        check_divides(n_heads, d_model)
        check_dropout(dropout=dropout, attention_dropout=attention_dropout)
        check_attend(attend, takes="dropout" if attention_dropout else None)
        self.n_heads, self.head_dim = n_heads, d_model // n_heads
        self.n_kv_heads = kv_heads(n_heads, n_kv_heads)
        kv_width = self.n_kv_heads * self.head_dim
        self.kept_heads = tuple(range(n_heads))
        self.attend, self.rotate = attend, rotate
        self.to_q = nn.Linear(d_model, d_model, bias=bias)
        self.to_k = nn.Linear(d_model, kv_width, bias=bias)
        self.to_v = nn.Linear(d_model, kv_width, bias=bias)
        self.to_out = nn.Linear(d_model, d_model, bias=bias)
        self.dropout, self.attention_dropout = nn.Dropout(dropout), attention_dropout
        for projection in (self.to_q, self.to_k, self.to_v, self.to_out):
            nn.init.xavier_uniform_(projection.weight)
            if bias:
                nn.init.zeros_(projection.bias)

    @classmethod
    def from_torch(
        cls, module: nn.MultiheadAttention, attend: Attend = softmax_attention
    ) -> MultiHeadAttention:
        """A layer with the weights of torch's, copied, whose heads do what `attend` does.

        With `softmax_attention` it gives what torch's layer gives. Its input is (batch, length,
        d_model), also where torch's layer has batch_first=False; `frugal.adapters.torch` keeps
        torch's order and masks. Torch's dropout is `attention_dropout` here. Raises ValueError for
        what this layer has no place for: kdim or vdim of their own, add_bias_kv, add_zero_attn, and
        dropout for an attention that takes none.
        """
        return _copied(cls, module, attend)

    def extra_repr(self) -> str:
        return told(self, "n_heads", "head_dim", "attend")

    @property
    def shifts(self) -> bool:
        """Whether the attention and the rotation ask for distances alone (`Attention.shifts`)."""
        return _shifts_in(self.rotate) and shifts(self.attend)

    def split(self, x: Float[Tensor, "batch length width"]) -> Tensor:
        """(batch, length, heads·head_dim) to (batch, heads, length, head_dim)."""
        return x.unflatten(-1, (x.shape[-1] // self.head_dim, self.head_dim)).transpose(1, 2)

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        context: Float[Tensor, "batch keys d_model"] | None = None,
        *,
        cache: Cache | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch queries d_model"]:
        """Attend from x to context (to x itself when None).

        cache: for self-attention, x holds only the new positions and the cache the earlier ones;
        for attention to a context, the cache keeps its keys and values from the first call.
        options: passed on to `attend` (mask, padding, causal, scale, ...). Raises ValueError for
        one that `attend` does not take, and for an x or a context of another width than d_model.
        """
        check_input(x, None, d_model=self.to_q.in_features)
        check_same_dtype(x, self.to_q)
        if context is not None:
            check_same_dtype(context, self.to_k, name="context")
            check_input(context, None, d_model=self.to_k.in_features, name="context")
        q = self.split(self.to_q(x))  # (batch, heads, queries, head_dim)
        if context is not None and cache is not None and cache.length:
            k, v = cache.k[:, :, : cache.length], cache.v[:, :, : cache.length]
        else:
            source = x if context is None else context
            k, v = self.split(self.to_k(source)), self.split(self.to_v(source))
            start = cache.length if cache is not None else 0
            if self.rotate is not None:
                placed = self._placed(q, start, cache, options)
                q, k = self.rotate(q, start, **placed), self.rotate(k, start, **placed)
            if context is None:
                return self.attended(q, k, v, options, cache)
            if cache is not None:
                k, v = cache.append(k, v)
        return self.attended(q, k, v, options)

    def _placed(
        self, q: Tensor, start: int, cache: Cache | None, options: dict[str, Any]
    ) -> dict[str, Tensor]:
        """For a rotation that can count from each row's first real token: where that stands.

        With a bare `KeyValueCache` padding may hide other keys at every step, and says nothing of
        where the text begins.
        """
        padding = options.get("padding")
        if padding is None or isinstance(cache, KeyValueCache) or not _shifts_in(self.rotate):
            return {}
        check_padding(padding, (q.shape[0], start + q.shape[2]))
        return {"skipped": skipped_in_front(padding)}

    def attended(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch kv_heads keys head_dim"],
        v: Float[Tensor, "batch kv_heads keys head_dim"],
        options: dict[str, Any],
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """Attend, record if asked to, and project what the heads found.

        cache: what is known of the positions before; k and v are then those of the new ones alone.
        """
        options = check_options(self.attend, options)
        if isinstance(cache, OwnCache):
            whole = bool(self.recorders) or not options.get("causal") or not self.n_heads
            cache = cache.made_for(self.attend, whole=whole)
        if isinstance(cache, KeyValueCache):
            k, v = cache.append(k, v)
            options = cache.for_keys(k.shape[2], options)
        if not self.n_heads:  # all are pruned: what is left of them is the bias of `to_out`
            return self.dropout(self.to_out(q.transpose(1, 2).flatten(2)))
        dropped = {}
        if self.training and self.attention_dropout and "dropout" not in options:
            dropped = {"dropout": self.attention_dropout}
        if cache is None or isinstance(cache, KeyValueCache):
            out = attend_grouped(self.attend, q, k, v, options | dropped)
        else:
            if self.recorders:
                raise ValueError(
                    "a recording began after the first step, and the keys of that are not kept; it "
                    "must begin before."
                )
            out = cache.attend(self.attend, q, k, v, options | dropped)
        # after `attend`, which may have drawn what is recorded
        self.record(lambda: self.weights(q, k, options))
        return self.dropout(self.to_out(out.transpose(1, 2).flatten(2)))

    def weights(self, q: Tensor, k: Tensor, options: dict[str, Any]) -> Tensor:
        """The weights `attend` uses: its own `weights` method if it has one, else softmax's.

        They are those before dropout. Where that draws random numbers, torch's generators are put
        back afterwards.
        """
        options = {name: value for name, value in options.items() if name != "dropout"}
        own = getattr(self.attend, "weights", None)
        if own is None:
            return attention_weights(q, k, **options)
        if groups_of(self.attend) != "itself":
            k = repeated(k, q.shape[1])
        with_cuda = q.device.type == "cuda" and torch.cuda.is_available()
        generator = getattr(self.attend, "generator", None)
        before = None if generator is None else generator.get_state()
        with torch.random.fork_rng(devices=[q.device] if with_cuda else []):
            found = own(q, k, **options)
        if before is not None:
            generator.set_state(before)
        return found


def _copied(
    cls: type[MultiHeadAttention], module: nn.MultiheadAttention, attend: Attend
) -> MultiHeadAttention:
    """`MultiHeadAttention.from_torch`."""
    if not isinstance(module, nn.MultiheadAttention):
        raise ValueError(f"module is {type(module).__name__}; it must be nn.MultiheadAttention.")
    width = module.embed_dim
    if not (module.kdim == module.vdim == width):
        raise ValueError(
            f"module has kdim {module.kdim} and vdim {module.vdim}; both must be embed_dim, "
            f"{width}."
        )
    if module.bias_k is not None or module.add_zero_attn:
        raise ValueError(
            "module has add_bias_kv or add_zero_attn; it must have neither, since they add a key "
            "that belongs to no place."
        )
    check_attend(attend)
    takes = options_of(attend)
    if module.dropout and takes is not None and "dropout" not in takes:
        why = getattr(attend, "refuses", {}).get("dropout") or takes_only(attend)
        raise ValueError(
            f"module.dropout is {module.dropout}; it must be 0 for {name_of(attend)}: {why}."
        )
    given = module.in_proj_bias is not None
    with torch.device("meta"):  # no random numbers are drawn for weights that are copied
        made = cls(width, module.num_heads, bias=given)
    biases = module.in_proj_bias.chunk(3) if given else (None,) * 3
    sources = [
        *zip(module.in_proj_weight.chunk(3), biases, strict=True),
        (module.out_proj.weight, module.out_proj.bias),
    ]
    layers = (made.to_q, made.to_k, made.to_v, made.to_out)
    for layer, (weight, bias) in zip(layers, sources, strict=True):
        layer.weight = nn.Parameter(weight.detach().clone(), weight.requires_grad)
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().clone(), bias.requires_grad)
    made.attend, made.attention_dropout = attend, module.dropout
    return made.train(module.training)
