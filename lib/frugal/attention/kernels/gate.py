"""Random Feature Attention: linear attention on unit vectors, with a gate that forgets.

Queries and keys are scaled to length 1, where the Gaussian kernel exp(-σ²‖q - k‖²/2) is softmax's
exp(σ² q·k) up to a constant. Sines and cosines estimate it, with σ learned. When causal, a gate
g_t between 0 and 1 decides what stays:

    S_t = g_t S_{t-1} + (1 - g_t) φ(k_t) v_tᵀ,   z_t = g_t z_{t-1} + (1 - g_t) φ(k_t).

Source: peng2021rfa. Cost for N tokens and D random vectors: linear attention with 2D features.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.kernels.attention import kernel_weights, linear_attention, refuse_mask
from frugal.attention.kernels.features import Prepared, RandomVectors, angles, check_floor, waves
from frugal.attention.kernels.scan import sum_dtype
from frugal.checks import check_heads, check_padding


class RandomFeatureAttention(RandomVectors):
    """An attention callable, for `MultiHeadAttention(attend=...)`.

    n_heads, head_dim: of q and k. n_features: D random vectors, drawn anew at every
    `redraw_every`-th training pass. gate: forget when causal; it reads the key of its head, where
    the paper's reads the layer's input. memory: tokens after which a gate that has not learned yet
    has forgotten two thirds. sharpness: σ at first. floor: the estimate of a mean kernel is noisy
    and may be negative; one below the floor is replaced by it.
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
        orthogonal: bool = True,
        redraw_every: int | None = 1,
        floor: float | int = 0.05,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            head_dim,
            n_features,
            orthogonal=orthogonal,
            redraw_every=redraw_every,
            generator=generator,
        )
        if n_heads < 1:
            raise ValueError(f"n_heads is {n_heads}; it must be at least 1.")
        if not 1 < memory < math.inf:
            raise ValueError(f"memory is {memory}; it must be above 1 token, and finite.")
        self.floor = check_floor(floor)
        self.sharpness = nn.Parameter(torch.full((n_heads, head_dim), float(sharpness)))
        self.gate_weight = nn.Parameter(torch.zeros(n_heads, head_dim)) if gate else None
        start = torch.full((n_heads,), math.log(memory - 1))
        self.gate_bias = nn.Parameter(start) if gate else None

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch heads keys head_dim"],
        v: Float[Tensor, "batch heads keys value_dim"],
        *,
        mask: Tensor | None = None,
        padding: Bool[Tensor, "batch keys"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        """Raises ValueError for a mask, and for shapes that do not fit."""
        refuse_mask(mask)
        check_heads(q, k, v)
        self.count_pass()
        prepared = self.prepare(q, k, causal=causal, padding=padding)
        return linear_attention(
            prepared.phi_q,
            prepared.phi_k,
            v,
            causal=causal,
            log_decay=prepared.log_decay,
            floor=prepared.floor,
        )

    def weights(
        self, q: Tensor, k: Tensor, *, causal: bool = False, padding: Tensor | None = None
    ) -> Float[Tensor, "batch heads queries keys"]:
        """What each query gives to each key: estimates, of which some may be negative.

        By the random vectors at hand: looking at the weights is not a training pass.
        """
        check_heads(q, k, k)
        prepared = self.prepare(q, k, causal=causal, padding=padding)
        return kernel_weights(
            prepared.phi_q,
            prepared.phi_k,
            causal=causal,
            log_decay=prepared.log_decay,
            floor=prepared.floor,
        )

    def prepare(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch heads keys head_dim"],
        *,
        causal: bool = False,
        padding: Bool[Tensor, "batch keys"] | None = None,
    ) -> Prepared:
        """Features whose normaliser is the mean of the kernel over what has not been forgotten.

        Dividing by the sum of the gates' weights cancels in the output; it gives the floor the
        same meaning at every place.
        """
        self.check_width(q)
        if causal and q.shape[2] > k.shape[2]:
            raise ValueError(
                f"q has length {q.shape[2]} and k has {k.shape[2]}; a causal query needs a key at "
                "its own place."
            )
        if q.shape[1] != len(self.sharpness):
            raise ValueError(f"q has {q.shape[1]} heads; this is for {len(self.sharpness)}.")
        real = torch.ones(k.shape[0], k.shape[2], dtype=torch.bool, device=k.device)
        if padding is not None:
            check_padding(padding, (k.shape[0], k.shape[2]))
            real = padding.expand_as(real)
        with torch.autocast(q.device.type, enabled=False):
            q, k = q.to(sum_dtype(q)), k.to(sum_dtype(k))
            phi_q, phi_k = self._features(q), self._features(k)
            log_gate = None
            if causal and self.gate_weight is not None:
                logit = (k * self.gate_weight[:, None]).sum(-1) + self.gate_bias[:, None]
                log_gate = F.logsigmoid(logit).masked_fill(~real[:, None], 0.0)
                share = F.logsigmoid(-logit).exp() * real[:, None]  # 1 - g
                weight = -torch.expm1(log_gate.cumsum(-1))  # the shares' sum: 1 - g_1 g_2 ... g_t
            else:
                share = real[:, None].to(k.dtype)
                weight = share.cumsum(-1) if causal else share.sum(-1, keepdim=True)
            # 0 where nothing is seen; so small that the gradient, over its square, is still finite
            least = torch.finfo(k.dtype).tiny ** 0.45
            weight = weight[..., -q.shape[2] :, None].clamp(min=least)
            return Prepared(phi_q / weight, phi_k * share[..., None], log_gate, self.floor)

    def _features(self, x: Tensor) -> Tensor:
        """(sin, cos) of σω·x / ‖x‖, over √D."""
        x = F.normalize(x, dim=-1) * self.sharpness[:, None]
        return waves(angles(x, self.projection))
