"""Exact attention in pieces: each set of keys has its own call, and together they are one softmax.

A sparse pattern is rarely one rectangle. It is a band, and a few global keys, and every sixteenth
position. Each of these alone is a small dense attention that torch's fused kernel does well. The
kernel also returns the logarithm of each row's normaliser, and that is all one needs to join rows
whose keys were split: with ζₚ = log Σⱼ exp(sⱼ) over the keys of piece p, the joint output is
Σₚ exp(ζₚ)·outₚ / Σₚ exp(ζₚ). Backward, every piece is given the joint output and the joint
normaliser, from which the kernel rebuilds exactly its own columns of the joint softmax. No scores
are stored.

Blocks of keys are joined the same way inside the kernel itself: dao2022flashattention.

This is the one room that knows the kernel, which torch keeps private: `fused` and `fused_backward`.
Chapters: fixed-patterns, hashing, adaptive-spans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.checks import autocast_kind

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True)
class Piece:
    """Some queries and the keys they see.

    rows: takes (sequences, length, ...) and gives a *view* (sequences, groups, queries, ...) of the
    rows that this piece is about. k, v: (sequences, groups, keys, width); views are welcome.
    mask: broadcasts to (sequences, groups, queries, keys), True = may attend. causal: query i of
    the piece sees its keys up to i.
    joins: earlier pieces have filled these rows already; the keys of this one are added.
    """

    rows: Callable[[Tensor], Tensor]
    k: Tensor
    v: Tensor
    mask: Bool[Tensor, "..."] | None = None
    causal: bool = False
    joins: bool = False


def fused(
    q: Float[Tensor, "sequences groups queries width"],
    k: Float[Tensor, "sequences groups keys width"],
    v: Float[Tensor, "sequences groups keys width"],
    *,
    scale: float,
    causal: bool = False,
    bias: Float[Tensor, "..."] | None = None,
) -> tuple[Tensor, Tensor]:
    """softmax(scale·q kᵀ + bias) v on the CPU, and the logarithm of each row's normaliser.

    bias: four axes, broadcast to the scores. The logarithms are (sequences, groups, queries).
    """
    q, k, v = (_in_rows(x) for x in (q, k, v))
    return _forward(q, k, v, 0.0, causal, attn_mask=bias, scale=scale)


def fused_backward(
    grad: Float[Tensor, "sequences groups queries width"],
    q: Float[Tensor, "sequences groups queries width"],
    k: Float[Tensor, "sequences groups keys width"],
    v: Float[Tensor, "sequences groups keys width"],
    out: Float[Tensor, "sequences groups queries width"],
    logs: Float[Tensor, "sequences groups queries"],
    *,
    scale: float,
    causal: bool = False,
    bias: Float[Tensor, "..."] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v. out and logs may be those of a softmax over more keys than k."""
    grad, q, k, v, out = (_in_rows(x) for x in (grad, q, k, v, out))
    return _backward(grad, q, k, v, out, logs, 0.0, causal, attn_mask=bias, scale=scale)


def _in_rows(x: Tensor) -> Tensor:
    """x, or a copy where a row is not a run of memory of its own: the kernel reads it as one."""
    return x if x.stride(-1) == 1 and x.stride(-2) >= x.shape[-1] else x.contiguous()


def hidden(dtype: torch.dtype) -> float:
    """The score of a key that may not be seen: exp gives 0 beside any real score.

    Not -inf, so that a row without a key weighs nothing and is not NaN; half of the least number,
    so that adding to it is safe. Sums of products of float16 go beyond the least float16: there it
    is a number that only a product, or a float32, can hold.
    """
    return -(2.0**30) if dtype == torch.float16 else torch.finfo(dtype).min / 2


def hide_keys(
    q: Float[Tensor, "batch heads queries width"],
    k: Float[Tensor, "batch kv_heads keys width"],
    seen: Bool[Tensor, "batch keys"],
) -> tuple[Tensor, Tensor]:
    """q and k with one more channel, whose product hides the keys that are not `seen`.

    It says in one number a key what a mask would say in one for every query and key.
    """
    asks = 2.0**15 if k.dtype == torch.float16 else 1.0
    channel = torch.zeros(seen.shape, dtype=k.dtype, device=k.device)
    channel = channel.masked_fill(~seen, hidden(k.dtype) / asks)  # (batch, keys)
    channel = channel[:, None, :, None].expand(*k.shape[:3], 1)
    return F.pad(q, (0, 1), value=asks), torch.cat([k, channel], dim=-1)  # width + 1


def attend_by_heads(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    cut: Cut | Callable[[Tensor, Tensor], Sequence[Piece]],
    *,
    seen: Bool[Tensor, "batch keys"] | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """`attend_in_pieces` for heads: `cut` makes pieces of k and v, as (sequences, keys, width).

    seen: False hides a key from every query. In a compiled graph, which takes a `Cut` alone, this
    is one operation: there is nothing to fuse.
    """
    shape, scale, value_dim = q.shape[:2], q.shape[-1] ** -0.5, v.shape[-1]
    given = autocast_dtype(q)
    q, k, v = one_dtype(q, k, v)
    if seen is not None:
        q, k = hide_keys(q, k, seen)
    # (batch·heads, length, width), copied here once and not again for every piece
    q, k, v = (_in_rows(x.flatten(0, 1)) for x in _one_width(q, k, v))
    if torch.compiler.is_compiling():
        out, _ = torch.ops.frugal.attend_in_pieces(q, k, v, cut.name, cut.numbers, scale)
    else:
        pieces = cut(k, v, q.shape[1]) if isinstance(cut, Cut) else cut(k, v)
        out = attend_in_pieces(q, pieces, scale=scale)  # (batch·heads, queries, width)
    return out[..., :value_dim].unflatten(0, shape).to(given)


def autocast_dtype(x: Tensor) -> torch.dtype:
    """The dtype in which autocast would hand x to an operation that it knows."""
    kind = autocast_kind(x.device)
    if x.dtype == torch.float64 or not torch.is_autocast_enabled(kind):
        return x.dtype
    return torch.get_autocast_dtype(kind)


def one_dtype(*tensors: Tensor) -> list[Tensor]:
    """The tensors in the dtype of `autocast_dtype`, but float32 for float16 on the CPU.

    There float16 is slower, and float32 hides a key beside whatever products of float16 reach.
    """
    dtype = autocast_dtype(tensors[0])
    if dtype == torch.float16 and tensors[0].device.type == "cpu":
        dtype = torch.float32
    return [tensor.to(dtype) for tensor in tensors]


def _one_width(*tensors: Tensor) -> list[Tensor]:
    """The tensors with zeros added to the last axis, up to the widest: products stay the same."""
    widest = max(tensor.shape[-1] for tensor in tensors)
    return [F.pad(x, (0, widest - x.shape[-1])) if x.shape[-1] < widest else x for x in tensors]


def attend_in_pieces(
    q: Float[Tensor, "sequences length width"], pieces: Sequence[Piece], *, scale: float
) -> Float[Tensor, "sequences length width"]:
    """softmax(scale·q kᵀ) v, where the keys of a query are those of all pieces it is in.

    For tensors on the CPU. Every row of q must be in a piece; q, k and v have the same width. A row
    whose keys are all hidden, by masks or by `hide_keys`, is zeros.
    """
    keys_and_values = [tensor for piece in pieces for tensor in (piece.k, piece.v)]
    return _InPieces.apply(q, pieces, scale, *keys_and_values)


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, pieces: Sequence[Piece], scale: float, *kv: Tensor) -> Tensor:
        out, logs, ctx.empty = _together(q, pieces, scale)
        ctx.save_for_backward(q, out, logs, *kv, *(p.mask for p in pieces if p.mask is not None))
        # The pieces without their tensors, which autograd keeps itself.
        ctx.pieces = [(piece.rows, piece.causal, piece.mask is not None) for piece in pieces]
        ctx.scale = scale
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, out, logs, *rest = ctx.saved_tensors
        kv, masks = rest[: 2 * len(ctx.pieces)], iter(rest[2 * len(ctx.pieces) :])
        pieces = [
            Piece(rows, k, v, next(masks) if masked else None, causal)
            for (rows, causal, masked), k, v in zip(ctx.pieces, kv[::2], kv[1::2], strict=True)
        ]
        grad_q, *grads = _apart(grad, q, out, logs, ctx.empty, pieces, ctx.scale)
        return grad_q, None, None, *grads


def _together(
    q: Tensor, pieces: Sequence[Piece], scale: float
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The joint output, its normalisers' logarithms, and which rows are empty, None for none."""
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    logs = torch.empty(q.shape[:2], dtype=_log_dtype(q), device=q.device)
    for piece in pieces:
        bias = None if piece.mask is None else as_bias(~piece.mask, q.dtype)
        part, part_logs = fused(
            piece.rows(q), piece.k, piece.v, scale=scale, causal=piece.causal, bias=bias
        )
        _join(piece.rows(out), piece.rows(logs), part, part_logs, fresh=not piece.joins)
    empty = _empty(logs, q.dtype, scale)
    if empty is not None:
        out.masked_fill_(empty[..., None], 0.0)
    return out, logs, empty


def _apart(
    grad: Tensor,
    q: Tensor,
    out: Tensor,
    logs: Tensor,
    empty: Tensor | None,
    pieces: Sequence[Piece],
    scale: float,
) -> list[Tensor]:
    """The gradients of q, and of each piece's k and v, from what `_together` gave."""
    grad = grad.contiguous()
    if empty is not None:
        grad = grad.masked_fill(empty[..., None], 0.0)
    grads = [torch.zeros(q.shape, dtype=q.dtype, device=q.device)]
    for piece in pieces:
        rows = piece.rows
        part, grad_k, grad_v = fused_backward(
            *(rows(grad), rows(q), piece.k, piece.v, rows(out), rows(logs)),
            scale=scale,
            causal=piece.causal,
            bias=None if piece.mask is None else as_bias(~piece.mask, q.dtype),
        )
        rows(grads[0]).add_(part)
        grads += [grad_k, grad_v]
    return grads


def _log_dtype(q: Tensor) -> torch.dtype:
    return torch.float64 if q.dtype == torch.float64 else torch.float32


def _empty(logs: Tensor, dtype: torch.dtype, scale: float) -> Tensor | None:
    """Rows whose normaliser is made of hidden scores, or None where there is none such."""
    empty = logs < scale * hidden(dtype) / 2
    return empty if empty.any() else None


# In a compiled graph all pieces are one operation, so that the graph has no break there and is good
# for any length. A graph knows a name and whole numbers, and no functions: hence `Cut`.

CUTS: dict[str, Callable[..., list[Piece]]] = {}
"""How keys and values are cut, by name: functions of k, v, the number of queries, and numbers."""


class Cut(NamedTuple):
    """A way to cut k and v, (sequences, keys, width), and its numbers."""

    name: str
    numbers: tuple[int, ...]

    def __call__(self, k: Tensor, v: Tensor, queries: int) -> list[Piece]:
        return CUTS[self.name](k, v, queries, *self.numbers)


def _forward_op(
    q: Tensor, k: Tensor, v: Tensor, name: str, numbers: Sequence[int], scale: float
) -> tuple[Tensor, Tensor]:
    return _together(q, Cut(name, tuple(numbers))(k, v, q.shape[1]), scale)[:2]


def _backward_op(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    logs: Tensor,
    name: str,
    numbers: Sequence[int],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    cut, empty = Cut(name, tuple(numbers)), _empty(logs, q.dtype, scale)
    grad_q, *grads = _apart(grad, q, out, logs, empty, cut(k, v, q.shape[1]), scale)
    # Autograd, which would bring back to k and v what each piece gets, does not look in here.
    places = torch.arange(k.shape[1])[None, :, None]
    rows = [piece.k.flatten() for piece in cut(places, places, q.shape[1])]
    grad_k, grad_v = torch.zeros_like(k), torch.zeros_like(v)
    for row, of_k, of_v in zip(rows, grads[::2], grads[1::2], strict=True):
        grad_k.index_add_(1, row, of_k.flatten(1, 2))
        grad_v.index_add_(1, row, of_v.flatten(1, 2))
    return grad_q, grad_k, grad_v


_numbers = "str name, int[] numbers, float scale"
_in_graph = torch.library.custom_op(
    "frugal::attend_in_pieces",
    _forward_op,
    mutates_args=(),
    schema=f"(Tensor q, Tensor k, Tensor v, {_numbers}) -> (Tensor, Tensor)",
)
_in_graph_backward = torch.library.custom_op(
    "frugal::attend_in_pieces_backward",
    _backward_op,
    mutates_args=(),
    schema="(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor out, Tensor logs, "
    f"{_numbers}) -> (Tensor, Tensor, Tensor)",
)


@_in_graph.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *numbers: Any) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=_log_dtype(q))


@_in_graph_backward.register_fake
def _(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *output)
    ctx.rest = inputs[3:]


def _pull_back(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    return *_in_graph_backward(grad, *ctx.saved_tensors, *ctx.rest), None, None, None


_in_graph.register_autograd(_pull_back, setup_context=_keep)


def as_bias(hides: Bool[Tensor, "..."], dtype: torch.dtype) -> Float[Tensor, "..."]:
    """What hides keys from queries as numbers to add to the scores, with four axes."""
    kept = torch.float32 if dtype == torch.float16 else dtype
    bias = torch.zeros(hides.shape, dtype=kept, device=hides.device)
    return bias.masked_fill_(hides, hidden(dtype))[(None,) * (4 - hides.ndim)]


def _join(out: Tensor, logs: Tensor, part: Tensor, part_logs: Tensor, *, fresh: bool) -> None:
    """Write `part` to the view `out`, or weigh it against what is there by the normalisers."""
    if fresh:
        out.copy_(part)
        logs.copy_(part_logs)
        return
    joint = torch.logaddexp(logs, part_logs)
    out.mul_((logs - joint).exp_()[..., None])
    out.add_(part * (part_logs - joint).exp_()[..., None])
    logs.copy_(joint)
