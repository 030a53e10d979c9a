"""α-entmax: a softmax that gives exact zeros, and attention with it.

For scores s and α > 1 the weights are

    a_j = max(0, (α - 1)·s_j - θ)^(1/(α-1)),    θ such that they sum to 1.

α = 2 is sparsemax; as α falls to 1 they become softmax's. The threshold θ (`tau` in the code) is
found by Newton's method. With f = max(0, (α - 1)·s - θ) and n = 1/(α - 1) the equation is that
the n-norm of f is 1. For n >= 1 this norm is convex in θ: from a θ that is too small each step goes
up and none goes too far. A good one is the threshold of few scores, the largest of each block:
fewer scores need a lower threshold.

Sources: peters2019sparse for the mapping and its gradient, correia2019adaptively for a learned α in
attention. Chapter: adaptive-sparsity. Cost for N queries and keys: all N² scores, as softmax, and
about ten passes over them; the zeros come after they are computed.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from frugal.attention.contract import Attention
from frugal.attention.groups import fold_groups, unfold_groups
from frugal.attention.softmax import products, visible
from frugal.checks import at_least, between, check_bias, check_dropout, check_heads, check_scale
from frugal.telling import told

BLOCK = 16
"""Scores of which only the largest takes part in the first guess of the threshold."""
CHUNK = 2**16
"""Scores that are worked on at a time on a CPU, so that they stay in its cache."""
STEPS = 12
"""Newton steps at most. A CPU stops when the weights sum to 1; to ask a GPU is to wait for it."""
MUCH = 2**24
"""So many scores that a GPU needs longer for a step than the program waits for an answer."""


def entmax(
    scores: Float[Tensor, "*batch n"], alpha: float | int | Tensor = 1.5, dim: int = -1
) -> Float[Tensor, "*batch n"]:
    """The weights, of the scores' shape: not negative, with sum 1 along `dim`, most of them 0.

    alpha: above 1, a number or a tensor that broadcasts to the scores with size 1 along `dim`;
    it gets a gradient too. Scores of -inf get weight 0; where all are -inf, all weights are 0.
    Half precision is computed in float32. Raises ValueError for an alpha that is not above 1, a
    dim that is no axis and scores that are not floating point. Source: peters2019sparse, definition
    1, proposition 2.
    """
    if not scores.is_floating_point():
        raise ValueError(f"scores has dtype {scores.dtype}; it must be floating point.")
    if not -max(scores.ndim, 1) <= dim < max(scores.ndim, 1):
        raise ValueError(f"dim is {dim}; it must be an axis of scores, which have {scores.ndim}.")
    if scores.ndim == 0 or scores.shape[dim] == 0:
        raise ValueError(f"scores has shape {tuple(scores.shape)}; it must have a score to weigh.")
    if isinstance(alpha, Tensor):
        alpha = _fitting(alpha, scores, dim)
    elif isinstance(alpha, bool) or not isinstance(alpha, Real) or not 1 < alpha < math.inf:
        raise ValueError(
            f"alpha is {alpha}; it must be above 1, where softmax is the limit, and finite."
        )
    wide = torch.promote_types(scores.dtype, torch.float32)
    moved = scores.to(wide).movedim(dim, -1)
    if isinstance(alpha, Tensor):
        alpha = alpha.to(wide).movedim(dim, -1)
    return _Entmax.apply(moved, alpha).movedim(-1, dim).to(scores.dtype)


def _fitting(alpha: Tensor, scores: Tensor, dim: int) -> Tensor:
    """alpha with the scores' number of axes, once it is known to broadcast."""
    try:
        fits = torch.broadcast_shapes(alpha.shape, scores.shape) == scores.shape
    except RuntimeError:
        fits = False
    aligned = alpha.reshape((1,) * (scores.ndim - alpha.ndim) + alpha.shape) if fits else alpha
    if not fits or aligned.shape[dim] != 1:
        raise ValueError(
            f"alpha has shape {tuple(alpha.shape)}; it must broadcast to {tuple(scores.shape)} "
            f"and have size 1 along {dim=}."
        )
    if _may_ask(alpha) and not (alpha > 1).all():
        raise ValueError(f"alpha has {alpha.min().item()}; it must be above 1.")
    return aligned


def _may_ask(x: Tensor) -> bool:
    """Whether a number of x is to be had at once: not from a GPU, nor in a compiled graph."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def _worth_asking(x: Tensor) -> bool:
    """Whether to look if the steps are done costs less than the steps that it spares."""
    return _may_ask(x) or (x.numel() >= MUCH and not torch.compiler.is_compiling())


class _Entmax(torch.autograd.Function):
    """Along the last axis. Autograd's own way through the steps would keep all of them."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, alpha: float | int | Tensor) -> Tensor:
        p = torch.empty(z.shape, dtype=z.dtype, device=z.device)
        rows, n = z.reshape(-1, z.shape[-1]), z.shape[-1]
        per_row = alpha
        if isinstance(alpha, Tensor):
            per_row = alpha.expand(*z.shape[:-1], 1).reshape(-1, 1)
        at_once = max(1, CHUNK // n if _may_ask(z) else len(rows))
        flat = p.view(-1, n)
        for begin in range(0, len(rows), at_once):
            part = slice(begin, begin + at_once)
            own = per_row[part] if isinstance(per_row, Tensor) else per_row
            flat[part] = _weights(rows[part], own)
        ctx.save_for_backward(p, *([alpha] if isinstance(alpha, Tensor) else []))
        ctx.alpha = alpha if not isinstance(alpha, Tensor) else None
        return p

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        p, *kept = ctx.saved_tensors
        alpha = kept[0] if kept else ctx.alpha
        zero = None
        if torch.is_grad_enabled():  # for a second gradient, in which powers of 0 would be NaN
            zero = p == 0
            p = p.masked_fill(zero, 1.0)
        s = _slopes(p, alpha)
        s = s if zero is None else s.masked_fill(zero, 0.0)
        total = s.sum(-1, keepdim=True).clamp_min(torch.finfo(p.dtype).tiny)
        by_score = by_alpha = None
        if ctx.needs_input_grad[0]:
            mean = torch.linalg.vecdot(s, grad)[..., None] / total
            by_score = (grad - mean) * s
        if kept and ctx.needs_input_grad[1]:
            share = s / total
            surprise = -torch.special.xlogy(p, p)  # 0 where p is
            p = p if zero is None else p.masked_fill(zero, 0.0)
            change = (p - share) / (alpha - 1) ** 2
            change += (surprise - share * surprise.sum(-1, keepdim=True)) / (alpha - 1)
            by_alpha = (grad * change).sum_to_size(alpha.shape)
        return by_score, by_alpha


def _slopes(p: Tensor, alpha: float | int | Tensor) -> Tensor:
    """u = a^(2-α) where a > 0, 0 elsewhere: how a weight answers to its own score."""
    if isinstance(alpha, float | int):
        if alpha == 1.5:
            return p.sqrt()
        if alpha == 2:
            return (p > 0).to(p.dtype)
    return torch.where(p > 0, p.pow(2 - alpha), 0.0)


def _weights(z: Tensor, alpha: float | int | Tensor) -> Tensor:
    """The weights of each row of scores, (rows, n)."""
    x = z * (alpha - 1)
    n = x.shape[-1]
    steepest = alpha
    if isinstance(alpha, Tensor):  # that of a GPU is taken to be at most 2, as a learned one is
        steepest = alpha.max() if _may_ask(z) else 2
    if steepest > 2:
        tau = _by_halving(x, alpha)
    else:
        largest = x if n < 4 * BLOCK else _largest_of_blocks(x)
        top = largest.amax(-1, keepdim=True)
        tau = torch.where(top == -math.inf, 0.0, top) - 1
        if n >= 4 * BLOCK:
            tau = _by_newton(largest, tau, alpha)
        tau = _by_newton(x, tau, alpha)
    p = _power((x - tau).clamp_(min=0), alpha)
    return p.div_(p.sum(-1, keepdim=True).clamp_min_(torch.finfo(p.dtype).tiny))


def _largest_of_blocks(x: Tensor) -> Tensor:
    """(rows, n) to (rows, n // BLOCK): a part of the scores, with the largest among them."""
    n = x.shape[-1]
    whole = n - n % BLOCK
    largest = x[:, :whole].unflatten(-1, (-1, BLOCK)).amax(-1)
    return largest if whole == n else torch.cat([largest, x[:, whole:]], dim=-1)


def _power(y: Tensor, alpha: float | int | Tensor) -> Tensor:
    """f^(1/(α-1)), in place where that is a square or nothing at all."""
    if isinstance(alpha, float | int):
        if alpha == 1.5:
            return y.mul_(y)
        if alpha == 2:
            return y
    return y.pow(1 / (alpha - 1))


def _by_newton(x: Tensor, tau: Tensor, alpha: float | int | Tensor) -> Tensor:
    """The threshold from below: at θ the norm of f is 1 or more, and no step makes it less."""
    r = 1 / (alpha - 1)
    close = 8 * torch.finfo(x.dtype).eps
    tiny = torch.finfo(x.dtype).tiny
    for _ in range(STEPS):
        y = (x - tau).clamp_(min=0)
        if isinstance(alpha, float | int) and alpha == 2:
            norm, slope = y.sum(-1, keepdim=True), (y > 0).sum(-1, keepdim=True).to(x.dtype)
        elif isinstance(alpha, float | int) and alpha == 1.5:
            norm = torch.linalg.vector_norm(y, dim=-1, keepdim=True)
            slope = y.sum(-1, keepdim=True) / norm.clamp_min(tiny)
        else:
            below = torch.where(y > 0, y.pow(r - 1), 0.0)
            norm = torch.linalg.vecdot(below, y)[..., None].pow(1 / r)
            slope = below.sum(-1, keepdim=True) / norm.pow(r - 1).clamp_min(tiny)
        over = (norm - 1).clamp_(min=0)
        tau = tau + over / slope.clamp_min_(tiny)
        if _worth_asking(x) and over.max() <= close:
            break
    return tau


def _by_halving(x: Tensor, alpha: float | int | Tensor) -> Tensor:
    """The threshold for α > 2, where the norm is not convex: half the interval at each step."""
    top = x.amax(-1, keepdim=True)
    top = torch.where(top == -math.inf, 0.0, top)
    low, high = top - 1, top
    for _ in range(2 + torch.finfo(x.dtype).bits):
        middle = (low + high) / 2
        over = _power((x - middle).clamp_(min=0), alpha).sum(-1, keepdim=True) >= 1
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    return low


class EntmaxAttention(Attention):
    """Attention by α-entmax, with an α for each head that may be learned.

    n_heads: heads of q. alpha: where α starts, in 1 < α < 2 when it is learned, else above 1.
    learned: α = 1 + sigmoid(logit), one `logit` per head (correia2019adaptively, section 3.2).
    """

    groups: ClassVar = "itself"
    shifts = True

    def __init__(self, n_heads: int, *, alpha: float | int = 1.5, learned: bool = False) -> None:
        super().__init__()
        at_least(1, n_heads=n_heads)
        if learned:
            between(1, 2, alpha=alpha, why=" to be learned")
        between(1, math.inf, alpha=alpha, why="; at 1 softmax is the limit")
        self.n_heads, self._alpha = n_heads, float(alpha)
        self.logit = None
        if learned:
            self.logit = nn.Parameter(torch.full((n_heads,), math.log((alpha - 1) / (2 - alpha))))

    def extra_repr(self) -> str:
        return told(self, "n_heads", alpha=self._alpha, learned=self.logit is not None)

    @property
    def alphas(self) -> Float[Tensor, " n_heads"]:
        """α of each head."""
        if self.logit is None:
            return torch.full((self.n_heads,), self._alpha)
        wide = torch.promote_types(self.logit.dtype, torch.float32)
        return 1 + self.logit.to(wide).sigmoid()

    def keep_heads(self, kept: list[int]) -> None:
        """Only the heads at these places remain, each with its α."""
        if self.logit is not None:
            self.logit = nn.Parameter(self.logit.detach()[kept])
        self.n_heads = len(kept)

    def weights(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch kv_heads keys head_dim"],
        *,
        mask: Tensor | None = None,
        padding: Tensor | None = None,
        causal: bool = False,
        bias: Tensor | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """The weights; a query that may see nothing has none above 0."""
        if q.shape[1] != self.n_heads:
            raise ValueError(f"q has {q.shape[1]} heads; it must have {self.n_heads}.")
        check_scale(scale)
        seen = visible(q, k, mask=mask, padding=padding, causal=causal)
        wide = torch.promote_types(q.dtype, torch.float32)  # float16 has an end that scores reach
        asked = q.to(wide) * (q.shape[-1] ** -0.5 if scale is None else scale)
        scores = products(asked, k.to(wide))
        if bias is not None:
            check_bias(bias, tuple(scores.shape))
            scores = scores + bias.to(scores.dtype)
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        alpha = self._alpha if self.logit is None else self.alphas[:, None, None]
        return entmax(scores, alpha)

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch kv_heads keys head_dim"],
        v: Float[Tensor, "batch kv_heads keys value_dim"],
        *,
        mask: Tensor | None = None,
        padding: Tensor | None = None,
        causal: bool = False,
        bias: Tensor | None = None,
        scale: float | int | None = None,
        dropout: float | int = 0.0,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        """Attend with the weights. The options are those of `softmax_attention`."""
        check_heads(q, k, v, grouped=True)
        check_dropout(dropout=dropout)
        options = {"mask": mask, "padding": padding, "causal": causal, "bias": bias, "scale": scale}
        weights = self.weights(q, k, **options).to(v.dtype)
        weights = F.dropout(weights, dropout) if dropout else weights
        if q.shape[1] == v.shape[1]:
            return weights @ v
        return unfold_groups(fold_groups(weights, v.shape[1]) @ v, q.shape[1])
