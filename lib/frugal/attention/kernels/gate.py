"""Random Feature Attention: linear attention on unit vectors, with a gate that forgets.

Queries and keys are scaled to length 1, where the Gaussian kernel exp(-σ²‖q - k‖²/2) is softmax's
exp(σ² q·k) up to a constant. Sines and cosines estimate it, with σ learned. When causal, a gate
g_t between 0 and 1 decides what stays:

    C_t = g_t C_{t-1} + (1 - g_t) φ(k_t) v_tᵀ,   Φ_t = g_t Φ_{t-1} + (1 - g_t) φ(k_t).

Source: peng2021rfa. Cost for N tokens and m random vectors: linear attention with 2m features.
Chapter: kernels.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.kernels.attention import KernelAttention
from frugal.attention.kernels.features import Prepared, RandomVectors, angles, check_floor, waves
from frugal.attention.kernels.scan import sum_dtype
from frugal.checks import at_least, between


class GatedFeatures(RandomVectors):
    """Sines and cosines of unit vectors, scaled by a learned σ, and a gate that forgets.

    n_heads, head_dim: of q and k. n_features: D random vectors, drawn anew at every
    `redraw_every`-th training pass. gate: forget when causal; it reads the key of its head, where
    the paper's reads the layer's input. memory: tokens after which a gate that has not learned yet
    has forgotten two thirds. sharpness: σ at first. floor: the estimate of a mean kernel is noisy
    and may be negative; one below the floor is replaced by it. options: `orthogonal` and
    `generator` of `RandomVectors`.
    """

    def __init__(
        self,
        n_heads: int,
        head_dim: int,
        n_features: int = 64,
        *,
        gate: bool = True,
        memory: float | int = 64,
        sharpness: float | int = 1.0,
        redraw_every: int | None = 1,
        floor: float | int = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(head_dim, n_features, redraw_every=redraw_every, **options)
        at_least(1, n_heads=n_heads)
        between(1, math.inf, memory=memory)
        between(0, math.inf, sharpness=sharpness)
        self.floor = check_floor(floor)
        self.sharpness = nn.Parameter(torch.full((n_heads, head_dim), float(sharpness)))
        self.gate_weight = nn.Parameter(torch.zeros(n_heads, head_dim)) if gate else None
        start = torch.full((n_heads,), math.log(memory - 1))
        self.gate_bias = nn.Parameter(start) if gate else None

    def forward(
        self, x: Float[Tensor, "batch heads length head_dim"]
    ) -> Float[Tensor, "batch heads length twice_n_features"]:
        """φ(x) = (sin, cos) of σω·x / ‖x‖, over √D."""
        return self._features(x.to(sum_dtype(x)), self.projection)

    def prepare(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch heads keys head_dim"],
        *,
        causal: bool = False,
        padding: Bool[Tensor, "batch keys"] | None = None,
        vectors: Float[Tensor, "n_features head_dim"] | None = None,
    ) -> Prepared:
        """Features whose normaliser is the mean of the kernel over what has not been forgotten.

        Dividing by the sum of the gates' weights cancels in the output; it gives the floor the
        same meaning at every place.
        """
        self._check(q)
        if causal and q.shape[2] > k.shape[2]:
            raise ValueError(
                f"q has length {q.shape[2]} and k has {k.shape[2]}; a causal query needs a key at "
                "its own place."
            )
        vectors = self.projection if vectors is None else vectors
        return self._prepared(q, k, causal, padding, vectors, None)[0]

    def prepare_next(
        self,
        q: Float[Tensor, "batch heads length head_dim"],
        k: Float[Tensor, "batch heads length head_dim"],
        *,
        past: Float[Tensor, "batch _"] | None,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Prepared, Tensor]:
        """See `Continues`. past: log g_1 g_2 ... g_t, or the number of keys without a gate."""
        self._check(q)
        return self._prepared(q, k, True, padding, self.projection, past)

    def _prepared(
        self,
        q: Tensor,
        k: Tensor,
        causal: bool,
        padding: Tensor | None,
        vectors: Tensor,
        past: Tensor | None,
    ) -> tuple[Prepared, Tensor]:
        q, k = q.to(sum_dtype(q)), k.to(sum_dtype(k))
        phi_q, phi_k = self._features(q, vectors), self._features(k, vectors)
        if causal and self.gate_weight is not None:
            logit = (k * self.gate_weight[:, None]).sum(-1) + self.gate_bias[:, None]
            log_gate, share = F.logsigmoid(logit), F.logsigmoid(-logit).exp()  # log g and 1 - g
        else:
            log_gate, share = None, k.new_ones(k.shape[0], 1, k.shape[2])  # (batch, 1, keys)
        if padding is not None:
            hidden = ~padding[:, None]
            share = share.masked_fill(hidden, 0.0)
            log_gate = None if log_gate is None else log_gate.masked_fill(hidden, 0.0)
        summed = share if log_gate is None else log_gate
        total = summed.cumsum(-1) if causal else summed.sum(-1, keepdim=True)
        if past is not None:
            total = total + past[..., None]
        # the shares' sum: 1 - g_1 g_2 ... g_t
        weight = total if log_gate is None else -torch.expm1(total)
        # Where nothing is seen it is 0, and must not divide. The gradient divides by its square:
        # tiny^-0.9 is at most 2e34 in float32, so that what it multiplies may be 10,000 and more.
        least = torch.finfo(k.dtype).tiny ** 0.45
        weight = weight[..., -q.shape[2] :, None].clamp(min=least)
        prepared = Prepared(phi_q / weight, phi_k * share[..., None], log_gate, self.floor)
        return prepared, total[..., -1]

    def _check(self, q: Tensor) -> None:
        self.check_width(q)
        if q.shape[1] != len(self.sharpness):
            raise ValueError(f"q has {q.shape[1]} heads; this is for {len(self.sharpness)}.")

    def _features(self, x: Tensor, vectors: Tensor) -> Tensor:
        """(sin, cos) of σω·x / ‖x‖, over √D."""
        x = F.normalize(x, dim=-1) * self.sharpness[:, None]
        return waves(angles(x, vectors))


class RandomFeatureAttention(KernelAttention):
    """Linear attention on `GatedFeatures`, whose arguments it takes: an attention callable."""

    groups: ClassVar = "repeated"  # the gate and σ of a head make keys of their own

    def __init__(self, n_heads: int, head_dim: int, n_features: int = 64, **options: Any) -> None:
        super().__init__(GatedFeatures(n_heads, head_dim, n_features, **options))
