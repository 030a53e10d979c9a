"""Rounds of chunked attention over sorted tokens, joined to one softmax.

A round sorts the tokens by bucket and cuts them into chunks; a chunk attends to itself and to the
chunk before it. What an earlier round has shown already is hidden, so over all rounds every pair
counts once, and the rounds are parts of one softmax over the union of their keys. As in `pieces`,
the fused kernel gives each part with the logarithm of its normaliser. Backward, every round is
given the joint output and the joint normaliser, from which the kernel rebuilds its own share.

Chapter: hashing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from frugal.attention.lsh.hash import LAST
from frugal.attention.pieces import as_bias, fused, fused_backward, hidden


@dataclass(frozen=True)
class Layout:
    """Where the tokens of all sequences stand in every round.

    sequences: batch x heads, each of `length` tokens, a multiple of `chunk`; a token's row is its
    sequence x length + its position. order: (rounds, rows) the row at each sorted place.
    place: (rounds, rows) the inverse. hides: for every round, (chunks, chunk, 2 chunk) True where a
    query must not see a key: the keys are those of the chunk before, then those of its own.
    """

    chunk: int
    order: Int64[Tensor, "rounds rows"]
    place: Int64[Tensor, "rounds rows"]
    hides: tuple[Bool[Tensor, "chunks chunk keys"], ...]

    def windows(self, x: Tensor, turn: int) -> Float[Tensor, "chunks keys width"]:
        """For each chunk of a round the rows of x that it may read, as a view of sorted rows."""
        rows = self.order[turn]
        # The very first chunk has none before it; any rows will do, they are hidden.
        rows = torch.cat([rows[: self.chunk], rows])
        return x.index_select(0, rows).unfold(0, 2 * self.chunk, self.chunk).mT

    def chunks(self, x: Tensor, turn: int) -> Tensor:
        """The rows of x in a round's order, (chunks, chunk, ...)."""
        return x.index_select(0, self.order[turn]).unflatten(0, (-1, self.chunk))

    def restore(self, x: Float[Tensor, "chunks chunk width"], turn: int) -> Tensor:
        """Undo `chunks`."""
        return x.flatten(0, 1).index_select(0, self.place[turn])

    def __len__(self) -> int:
        return len(self.order)


def layout_of(
    buckets: Int64[Tensor, "sequences rounds length"],
    *,
    chunk: int,
    causal: bool,
    real: Bool[Tensor, "sequences length"] | None = None,
    within_buckets: bool = False,
) -> Layout:
    """Sort by bucket, then by position, and work out who is hidden from whom.

    The length must be a multiple of `chunk`. Tokens that are not `real` go to the end of the order.
    within_buckets: keys of another bucket than the query's are hidden as well.
    """
    sequences, rounds, length = buckets.shape
    device = buckets.device
    position = torch.arange(length, device=device)
    if real is not None:
        buckets = buckets.masked_fill(~real[:, None], LAST)
    order = (buckets * length + position).argsort(-1)  # (sequences, rounds, length)
    place = torch.empty_like(order).scatter_(-1, order, position.expand_as(order))
    first = length * torch.arange(sequences, device=device)[:, None, None]

    hides = []
    chunks = place // chunk
    n_chunks = length // chunk
    chunks = chunks.to(torch.uint8 if n_chunks < 256 else torch.int32)
    for turn in range(rounds):
        sort = order[:, turn]
        blind = _unseen_alone(sort.unflatten(-1, (n_chunks, chunk)), causal)
        if real is not None:
            blind |= ~_with_previous(real.gather(-1, sort), n_chunks)[..., None, :]
        if within_buckets:
            blind |= ~_same(buckets[:, turn].gather(-1, sort), n_chunks)
        for earlier in range(turn):
            stood = chunks[:, earlier].gather(-1, sort)
            queries = stood.unflatten(-1, (n_chunks, chunk))[..., None]
            shown = _own_or_next(queries - _with_previous(stood, n_chunks)[..., None, :])
            if within_buckets:
                shown &= _same(buckets[:, earlier].gather(-1, sort), n_chunks)
            blind |= shown
        hides.append(blind.flatten(0, 1))
    rows = (order + first).transpose(0, 1).flatten(1)
    return Layout(chunk, rows, (place + first).transpose(0, 1).flatten(1), tuple(hides))


def _with_previous(x: Tensor, n_chunks: int) -> Tensor:
    """(sequences, length) to (sequences, chunks, 2 chunk): the chunk before, then its own."""
    x = x.unflatten(-1, (n_chunks, -1))
    return torch.cat([x.roll(1, dims=1), x], dim=-1)


def _same(
    buckets: Int64[Tensor, "sequences length"], n_chunks: int
) -> Bool[Tensor, "sequences chunks chunk keys"]:
    """Whether a key of its window has the bucket of the query."""
    queries = buckets.unflatten(-1, (n_chunks, -1))[..., None]
    return queries == _with_previous(buckets, n_chunks)[..., None, :]


def _unseen_alone(order: Int64[Tensor, "sequences chunks chunk"], causal: bool) -> Tensor:
    """What any round hides: a token's own key, later keys, and what is before the first chunk."""
    sequences, n_chunks, chunk = order.shape
    if causal:
        position = order.to(torch.int16 if n_chunks * chunk < 2**15 else torch.int32)
        keys = _with_previous(position.flatten(1), n_chunks)
        blind = keys[..., None, :] >= position[..., None]
    else:
        own = torch.eye(chunk, dtype=torch.bool, device=order.device)
        own = torch.cat([torch.zeros_like(own), own], dim=-1)
        blind = own.expand(sequences, n_chunks, chunk, 2 * chunk).clone()
    blind[:, 0, :, :chunk] = True
    return blind


def _own_or_next(difference: Tensor) -> Tensor:
    """Whether a query's chunk minus a key's is 0 or 1."""
    if difference.dtype == torch.uint8:  # -1 has become 255
        return difference <= 1
    return (difference & -2) == 0


def attend_in_rounds(
    q: Float[Tensor, "rows width"],
    k: Float[Tensor, "rows width"],
    v: Float[Tensor, "rows width"],
    layout: Layout,
    *,
    scale: float,
) -> Float[Tensor, "rows width"]:
    """softmax(scale·q kᵀ) v over the keys that any round shows; v itself where none does.

    On the CPU by the fused kernel, without storing scores; elsewhere, and in a graph that is
    exported, by plain operations that store rows x rounds x 2 chunk of them.
    """
    if _on_cpu(q) and not torch.compiler.is_exporting():
        return _in_fused_rounds(q, k, v, layout, scale)
    outs, logs = [], []
    for turn, hides in enumerate(layout.hides):
        scores = scale * layout.chunks(q, turn) @ layout.windows(k, turn).mT
        scores = scores.float().masked_fill(hides, hidden(torch.float32))
        total = scores.logsumexp(-1, keepdim=True)  # (chunks, chunk, 1)
        part = scores.softmax(-1).to(v.dtype) @ layout.windows(v, turn)
        outs.append(layout.restore(part, turn))
        logs.append(layout.restore(total, turn))
    joint = torch.stack(logs)  # (rounds, rows, 1)
    out = (joint.softmax(0).to(v.dtype) * torch.stack(outs)).sum(0)
    return torch.where(_empty(joint.logsumexp(0), torch.float32), v, out)


def _in_fused_rounds(q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> Tensor:
    if torch.compiler.is_compiling():  # one operation: nothing to fuse, and no break in the graph
        given = layout.order, layout.place, layout.hides, layout.chunk, scale
        return torch.ops.frugal.attend_in_rounds(q, k, v, *given)[0]
    return _InRounds.apply(q, k, v, layout, scale)


def _on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _empty(logs: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows without a key: their normaliser is made of hidden scores."""
    return logs < hidden(dtype) / 2


class _InRounds(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> Tensor:
        out, logs, empty = _together(q, k, v, layout, scale)
        ctx.save_for_backward(q, k, v, out, logs, empty, layout.order, layout.place, *layout.hides)
        ctx.chunk, ctx.scale = layout.chunk, scale
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, logs, empty, order, place, *hides = ctx.saved_tensors
        layout = Layout(ctx.chunk, order, place, tuple(hides))
        return *_apart(grad, q, k, v, out, logs, empty, layout, ctx.scale), None, None


def _together(
    q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The joint output, its normalisers' logarithms, and which rows saw no key."""
    out = logs = None
    for turn, hides in enumerate(layout.hides):
        part, part_logs = fused(  # (chunks, 1, chunk, width), (chunks, 1, chunk)
            layout.chunks(q, turn)[:, None],
            layout.windows(k, turn)[:, None],
            layout.windows(v, turn)[:, None],
            scale=scale,
            bias=as_bias(hides[:, None], q.dtype),
        )
        part = layout.restore(part[:, 0], turn)
        part_logs = layout.restore(part_logs.reshape(*hides.shape[:2], 1), turn)
        if out is None:
            out, logs = part, part_logs
            continue
        # joint = log(exp(logs) + exp(part_logs)), and out moves toward the part by its share
        share = torch.sigmoid(part_logs - logs)
        logs = torch.logaddexp(logs, part_logs)
        out.lerp_(part, share.to(part.dtype))
    empty = _rows_without(logs, q.dtype)
    out.index_copy_(0, empty, v.index_select(0, empty))
    return out, logs, empty


def _rows_without(logs: Tensor, dtype: torch.dtype) -> Tensor:
    return _empty(logs, dtype).squeeze(-1).nonzero().squeeze(-1)


def _apart(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    logs: Tensor,
    empty: Tensor,
    layout: Layout,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, from what `_together` gave."""
    attended = grad.index_fill(0, empty, 0.0)
    grad_q, grad_k, grad_v = None, None, None
    for turn in range(len(layout)):
        parts = fused_backward(
            layout.chunks(attended, turn)[:, None],
            layout.chunks(q, turn)[:, None],
            layout.windows(k, turn)[:, None],
            layout.windows(v, turn)[:, None],
            layout.chunks(out, turn)[:, None],
            layout.chunks(logs, turn)[:, None, :, 0],
            scale=scale,
            bias=as_bias(layout.hides[turn][:, None], q.dtype),
        )
        part_q, part_k, part_v = (part[:, 0] for part in parts)
        grad_q = _add(grad_q, layout.restore(part_q, turn))
        grad_k = _add(grad_k, layout.restore(_fold(part_k, layout.chunk), turn))
        grad_v = _add(grad_v, layout.restore(_fold(part_v, layout.chunk), turn))
    grad_v.index_add_(0, empty, grad.index_select(0, empty))
    return grad_q, grad_k, grad_v


def _forward_op(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    order: Tensor,
    place: Tensor,
    hides: Sequence[Tensor],
    chunk: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    return _together(q, k, v, Layout(chunk, order, place, tuple(hides)), scale)[:2]


def _backward_op(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    logs: Tensor,
    order: Tensor,
    place: Tensor,
    hides: Sequence[Tensor],
    chunk: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    empty, layout = _rows_without(logs, q.dtype), Layout(chunk, order, place, tuple(hides))
    return _apart(grad, q, k, v, out, logs, empty, layout, scale)


_layout = "Tensor order, Tensor place, Tensor[] hides, SymInt chunk, float scale"
_in_graph = torch.library.custom_op(
    "frugal::attend_in_rounds",
    _forward_op,
    mutates_args=(),
    schema=f"(Tensor q, Tensor k, Tensor v, {_layout}) -> (Tensor, Tensor)",
)
_in_graph_backward = torch.library.custom_op(
    "frugal::attend_in_rounds_backward",
    _backward_op,
    mutates_args=(),
    schema="(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor out, Tensor logs, "
    f"{_layout}) -> (Tensor, Tensor, Tensor)",
)


@_in_graph.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *layout: Any) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    return q.new_empty(q.shape), q.new_empty((q.shape[0], 1), dtype=dtype)


@_in_graph_backward.register_fake
def _(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, order, place, hides, ctx.chunk, ctx.scale = inputs
    ctx.save_for_backward(q, k, v, *output, order, place, *hides)


def _pull_back(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Any, ...]:
    *whole, order, place = ctx.saved_tensors[:7]
    hides = list(ctx.saved_tensors[7:])
    found = _in_graph_backward(grad, *whole, order, place, hides, ctx.chunk, ctx.scale)
    return *found, None, None, [None] * len(hides), None, None


_in_graph.register_autograd(_pull_back, setup_context=_keep)


def _fold(x: Float[Tensor, "chunks keys width"], chunk: int) -> Tensor:
    """What each chunk's own rows got, plus what they got as the chunk before the next."""
    own = x[:, chunk:].contiguous()
    own[:-1] += x[1:, :chunk]
    return own


def _add(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total.add_(part)
