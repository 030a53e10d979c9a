"""The causal sum of linear attention, in chunks, with a backward pass of its own.

For features φ(q), φ(k) of m numbers and values of d numbers, causal linear attention is

    o_i = φ(q_i)·C_i / (φ(q_i)·Φ_i),   C_i = Σ_{j≤i} φ(k_j) v_jᵀ,   Φ_i = Σ_{j≤i} φ(k_j).

All C_i together would be N·m·d numbers. A chunk of b tokens needs only the C in front of it, plus a
masked b x b product of its own queries and keys: matrix products of a good size, and one state of
m x (d + 1) numbers a chunk. The state's last column is Φ, the sum for values of 1.

A gate makes the past fade: C_t = g_t C_{t-1} + φ(k_t) v_tᵀ with 0 ≤ g_t ≤ 1, and Φ likewise. What
the functions take is log g_t, `log_decay`; -∞ forgets all that was.

The backward pass keeps the inputs, the output, its normaliser, and one state a segment of chunks;
it makes everything else anew, from the last segment to the first.

Source: katharopoulos2020linear for the sums and their gradients. Chapter: kernels.
Cost for N tokens per head: 2·N·b·(m + d) + 4·N·m·d FLOPs forward.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from frugal.checks import autocast_kind

CHUNK = 64
"""Tokens that are compared with each other directly: more wastes half of a larger square, fewer
makes matrices too small to be fast."""
SEGMENT = 8
"""Chunks that are worked on at once: enough for one call to be worth its overhead, and few enough
for what it makes to stay in a processor's cache."""
GPU_SEGMENT = 256
"""The same for a GPU, which wants much work a call and has the memory for it."""


class Piece(NamedTuple):
    """The tokens start ... stop - 1, as equal chunks of `chunk` tokens."""

    start: int
    stop: int
    chunk: int

    def take(self, x: Tensor) -> Tensor:
        """These tokens of (batch, heads, length, width), in the precision of the sums:
        (batch·heads·chunks, chunk, width)."""
        part = x[:, :, self.start : self.stop].to(sum_dtype(x))
        return part.reshape(-1, self.chunk, x.shape[-1])

    def put(self, whole: Tensor, part: Tensor) -> None:
        """Write what `take` would give to its place in `whole`."""
        place = whole[:, :, self.start : self.stop]
        place.copy_(part.reshape(place.shape))


def pieces_of(length: int, device: torch.device) -> list[Piece]:
    """Segments of whole chunks, then the rest as one short chunk."""
    whole = length // CHUNK * CHUNK
    step = CHUNK * (SEGMENT if _on_cpu(device) else GPU_SEGMENT)
    pieces = [Piece(start, min(start + step, whole), CHUNK) for start in range(0, whole, step)]
    return [*pieces, Piece(whole, length, length - whole)] if whole < length else pieces


def _on_cpu(device: torch.device) -> bool:
    return device.type == "cpu"


def sum_dtype(x: Tensor) -> torch.dtype:
    """What sums of x are taken in: float32, or float64 where x is."""
    return torch.promote_types(x.dtype, torch.float32)


def bounded(log_decay: Tensor) -> Tensor:
    """log_decay in the precision of the sums, no step below the first whose exponential is 0.

    A larger step would forget no more, and cost its sum with others their digits.
    """
    log_decay = log_decay.to(sum_dtype(log_decay))
    limits = torch.finfo(log_decay.dtype)
    return log_decay.clamp(min=math.log(limits.tiny) + math.log(limits.eps) - 1)


class _Fading:
    """The factors of a decay within chunks; without a decay all of them are 1.

    within: from key j to query i, 0 for j > i, (chunks, chunk, chunk). entering: from the start of
    the chunk to query i, and leaving: from key j to its end, (chunks, chunk, 1). whole: from start
    to end, (rows, chunks of a row, 1, 1).
    """

    def __init__(self, log_decay: Tensor | None, piece: Piece, rows: int) -> None:
        self.given = log_decay is not None
        if log_decay is None:
            return
        # below, rows are batch·heads, b is the chunk, and log g's sums begin anew in each
        total = bounded(piece.take(log_decay[..., None])).cumsum(1)  # (rows·chunks, b, 1)
        gap = total - total.mT  # (rows·chunks, b, b): what lies between query i and key j
        order = torch.ones(gap.shape[1:], dtype=torch.bool, device=gap.device).tril()
        self.within = gap.masked_fill(~order, -torch.inf).exp()  # from key j to query i
        self.entering = total.exp()  # (rows·chunks, b, 1): from the chunk's start to token i
        self.leaving = (total[:, -1:] - total).exp()  # from token i to the chunk's end
        self.whole = total[:, -1:].exp().unflatten(0, (rows, -1))  # (rows, chunks, 1, 1)

    def pairs(self, a: Tensor, b: Tensor) -> Tensor:
        """a_i·b_j for j ≤ i, faded, and 0 elsewhere."""
        products = torch.bmm(a, b.mT)  # (rows·chunks, b, b)
        return products.mul_(self.within) if self.given else products.tril_()

    def enter(self, x: Tensor) -> Tensor:
        return x * self.entering if self.given else x

    def leave(self, x: Tensor) -> Tensor:
        return x * self.leaving if self.given else x

    def carry(self, state: Tensor, added: Tensor, *, back: bool = False) -> tuple[Tensor, Tensor]:
        """The state before each chunk, and the one after the last; `back` goes from last to first.

        state: (rows, m, d + 1). added: what each chunk adds, (chunks, m, d + 1).
        """
        added = added.unflatten(0, (state.shape[0], -1))  # (rows, chunks, m, d + 1)
        if not _on_cpu(added.device):
            return self.carry_at_once(state, added, back=back)
        before = torch.empty_like(added)
        chunks = range(added.shape[1])
        for c in reversed(chunks) if back else chunks:
            before[:, c] = state
            state = added[:, c] + (state * self.whole[:, c] if self.given else state)
        return before.flatten(0, 1), state

    def carry_at_once(self, state: Tensor, added: Tensor, *, back: bool) -> tuple[Tensor, Tensor]:
        """The same for a GPU, which would spend its time on starting a step for each chunk.

        Every turn joins sums over runs of chunks to sums over runs twice as long, so there are
        about log2(chunks) of them.
        """
        total = torch.cat([state[:, None], added.flip(1) if back else added], dim=1)
        if not self.given:
            total = total.cumsum(1)
        else:
            fade = self.whole.flip(1) if back else self.whole
            fade = F.pad(fade, (0, 0, 0, 0, 1, 0), value=1.0)  # (rows, chunks + 1, 1, 1)
            step = 1
            while step < total.shape[1]:
                joined = total[:, step:] + fade[:, step:] * total[:, :-step]
                total = torch.cat([total[:, :step], joined], dim=1)
                fade = torch.cat([fade[:, :step], fade[:, step:] * fade[:, :-step]], dim=1)
                step *= 2
        before, state = total[:, :-1], total[:, -1]
        return (before.flip(1) if back else before).flatten(0, 1), state


def scan(
    phi_q: Float[Tensor, "batch heads length features"],
    phi_k: Float[Tensor, "batch heads length features"],
    v: Float[Tensor, "batch heads length value_dim"],
    log_decay: Float[Tensor, "batch heads length"] | None,
    floor: float | None,
    state: Float[Tensor, "rows features value_dim_and_one"] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sums, without gradients: out, its normaliser, the states before each segment, and the
    state after the last token. state: what was summed before the first token, nothing if None."""
    rows, pieces = phi_q.shape[0] * phi_q.shape[1], pieces_of(phi_q.shape[2], v.device)
    sums = {"dtype": sum_dtype(v), "device": v.device}
    if state is None:
        state = torch.zeros(rows, phi_q.shape[-1], v.shape[-1] + 1, **sums)
    starts = torch.empty(len(pieces), *state.shape, **sums)
    totals = torch.empty(*v.shape[:3], 1, **sums)
    out = torch.empty(v.shape, dtype=v.dtype, device=v.device)
    with torch.autocast(autocast_kind(v.device), enabled=False):
        for index, piece in enumerate(pieces):
            starts[index] = state  # (rows, m, d + 1)
            # q, k (rows·chunks, b, m); ones (rows·chunks, b, d + 1), its last column sums to Φ
            q, k, ones = piece.take(phi_q), piece.take(phi_k), with_ones(piece.take(v))
            fading = _Fading(log_decay, piece, rows)
            before, state = fading.carry(state, torch.bmm(fading.leave(k).mT, ones))
            # inside the chunk, plus what came before it: (rows·chunks, b, d + 1)
            raw = torch.bmm(fading.pairs(q, k), ones).baddbmm_(fading.enter(q), before)
            piece.put(totals, raw[..., -1:])
            piece.put(out, raw[..., :-1] / normaliser(raw[..., -1:], floor))
    return out, totals, starts, state


class CausalScan(torch.autograd.Function):
    """out of the sums above: `CausalScan.apply(phi_q, phi_k, v, log_decay, floor)`.

    phi_q, phi_k: (batch, heads, length, features). v: (batch, heads, length, value_dim).
    log_decay: (batch, heads, length), at most 0, or None. floor: the smallest normaliser, or None,
    where rows whose normaliser is 0 become zeros.
    """

    @staticmethod
    def forward(
        ctx: Any,
        phi_q: Float[Tensor, "batch heads length features"],
        phi_k: Float[Tensor, "batch heads length features"],
        v: Float[Tensor, "batch heads length value_dim"],
        log_decay: Float[Tensor, "batch heads length"] | None,
        floor: float | None,
    ) -> Float[Tensor, "batch heads length value_dim"]:
        out, totals, starts, _ = scan(phi_q, phi_k, v, log_decay, floor)
        ctx.save_for_backward(phi_q, phi_k, v, log_decay, out, totals, starts)
        ctx.floor = floor
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        phi_q, phi_k, v, log_decay, out, totals, starts = ctx.saved_tensors
        rows = starts.shape[1]
        grads = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (phi_q, phi_k, v)]
        slopes = torch.empty_like(totals) if log_decay is not None else None
        state_grad = torch.zeros_like(starts[0])
        with torch.autocast(autocast_kind(v.device), enabled=False):
            for index, piece in reversed(list(enumerate(pieces_of(phi_q.shape[2], v.device)))):
                q, k, ones = piece.take(phi_q), piece.take(phi_k), with_ones(piece.take(v))
                fading = _Fading(log_decay, piece, rows)
                entering, leaving = fading.enter(q), fading.leave(k)
                before, _ = fading.carry(starts[index], torch.bmm(leaving.mT, ones))
                # of numerators and normaliser (rows·chunks, b, d + 1), and of the state after them
                raw = _of_raw(piece.take(grad), piece.take(out), piece.take(totals), ctx.floor)
                after, state_grad = fading.carry(state_grad, torch.bmm(entering.mT, raw), back=True)
                # the gradient of each product of a query and a key, then of what they are made of
                pairs = fading.pairs(raw, ones)  # (rows·chunks, b, b)
                of_q = fading.enter(torch.bmm(raw, before.mT)).baddbmm_(pairs, k)
                of_k = fading.leave(torch.bmm(ones, after.mT)).baddbmm_(pairs.mT, q)
                of_v = torch.bmm(leaving, after).baddbmm_(fading.pairs(q, k).mT, raw)[..., :-1]
                for whole, part in zip(grads, (of_q, of_k, of_v), strict=True):
                    piece.put(whole, part)
                if slopes is not None:
                    slope = (q * of_q).sum(-1, keepdim=True) - (k * of_k).sum(-1, keepdim=True)
                    piece.put(slopes, slope)
        if slopes is None:
            return (*grads, None, None)
        # g_t fades every pair of a query i ≥ t and a key j < t
        of_decay = slopes[..., 0].flip(-1).cumsum(-1).flip(-1)
        return (*grads, of_decay.to(log_decay.dtype), None)


def with_ones(v: Tensor) -> Tensor:
    """The values with a column of ones behind them: their weighted sum is the normaliser."""
    out = v.new_ones(*v.shape[:-1], v.shape[-1] + 1)
    out[..., :-1] = v
    return out


def normaliser(total: Tensor, floor: float | int | None) -> Tensor:
    """What to divide by: at least the floor; without one, infinity where the sum is as good as 0.

    That is below 4e-31 in float32: what was summed there has lost its digits, and the gradient
    would overflow. Divided by infinity the row becomes 0, and so does its gradient.
    """
    if floor is not None:
        return total.clamp(min=floor)
    # Products below tiny are rounded to a few digits or to 0. In a sum of at least tiny / eps they
    # count for less than its last digit: 1e-31 in float32, and tiny^0.8 is a little above. What is
    # divided by the sum in the backward pass may then be as large as 1e8 before it overflows.
    return total.masked_fill(total < torch.finfo(total.dtype).tiny ** 0.8, torch.inf)


def _of_raw(grad: Tensor, out: Tensor, total: Tensor, floor: float | None) -> Tensor:
    """The gradient of the numerators and, as the last column, of the normaliser."""
    raw = grad.new_empty(*grad.shape[:-1], grad.shape[-1] + 1)
    raw[..., :-1] = grad / normaliser(total, floor)
    last = -(raw[..., :-1] * out).sum(-1, keepdim=True)
    # below the floor the normaliser is a constant
    raw[..., -1:] = last if floor is None else last.masked_fill(total < floor, 0.0)
    return raw
