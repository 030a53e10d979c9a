"""Linear attention one token after the other: what a decoder keeps in place of keys and values.

    C_t = g_t C_{t-1} + φ(k_t) v_tᵀ,   Φ_t = g_t Φ_{t-1} + φ(k_t),   o_t = φ(q_t)·C_t / φ(q_t)·Φ_t

C and Φ are m·(d + 1) numbers per head, however long the text is. With it linear attention is a
recurrent network. Source: katharopoulos2020linear, section 3.4. Chapter: kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from frugal.attention.cache import check_room
from frugal.attention.groups import are_grouped, repeated
from frugal.attention.kernels.features import Prepared
from frugal.attention.kernels.scan import normaliser, scan, sum_dtype, with_ones


@dataclass
class KernelState:
    """The sums of `KernelAttention` over the positions so far, in one layer.

    capacity: positions that it is for; it is of the same size for any. sums: C with Φ as its last
    column, (batch·heads, features, value_dim + 1), in float32 or float64. past: what features that
    are prepared together need of earlier keys. vectors: the random vectors of these features.
    """

    capacity: int
    length: int = 0
    sums: Float[Tensor, "rows features value_dim_and_one"] | None = None
    past: Tensor | None = None
    vectors: Tensor | None = None
    rows: tuple[int, ...] = ()

    def attend(
        self,
        attend: Callable[..., Tensor],
        q: Tensor,
        k: Tensor,
        v: Tensor,
        options: dict[str, Any],
    ) -> Tensor:
        """See `frugal.attention.cache.State`; `attend` is a `KernelAttention`.

        Where query heads share keys and values, the new ones are repeated: each head has sums.
        """
        if are_grouped(q, k):
            k, v = (repeated(x, q.shape[1]) for x in (k, v))
        return attend.step(q, k, v, self, **{"causal": False, **options})

    def begin(self, k: Tensor, v: Tensor, vectors: Tensor | None) -> None:
        """One sentence where k and v, or the random vectors, are not of what is summed here."""
        check_room(self.capacity, self.length + k.shape[2])
        if not self.length:
            self.vectors, self.rows = vectors, (*k.shape[:2], v.shape[-1])
        if (*k.shape[:2], v.shape[-1]) != self.rows:
            raise ValueError(
                f"v has shape {tuple(v.shape)}; it must have (batch, heads, value_dim) "
                f"{self.rows}, as the state has."
            )
        if vectors is not self.vectors:
            raise ValueError(
                "the random vectors were drawn anew; the state must begin anew, for its sums are "
                "of other features."
            )

    def add(
        self, found: Prepared, v: Float[Tensor, "batch heads new value_dim"], past: Tensor | None
    ) -> Float[Tensor, "batch heads new value_dim"]:
        """Take in new positions and give what their queries find."""
        phi_q, phi_k, log_decay, floor = found
        if 0 in v.shape[:2]:
            out = torch.zeros_like(v)
        elif v.shape[2] == 1:
            out = self._add_one(phi_q, phi_k, v, log_decay, floor)
        else:
            out, *_, self.sums = scan(phi_q, phi_k, v, log_decay, floor, self.sums)
        self.length, self.past = self.length + v.shape[2], past
        return out

    @staticmethod
    def without_gradient(out: Tensor, *inputs: Tensor) -> Tensor:
        """out, and one sentence for a gradient: the sums have lost what they are made of."""
        if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
            return _NoGradient.apply(out, *inputs)
        return out

    def _add_one(
        self, phi_q: Tensor, phi_k: Tensor, v: Tensor, log_decay: Tensor | None, floor: float | None
    ) -> Tensor:
        wide = sum_dtype(v)
        q, k = phi_q.to(wide).flatten(0, 1), phi_k.to(wide).flatten(0, 1)  # (rows, 1, m)
        ones = with_ones(v.to(wide)).flatten(0, 1)  # (rows, 1, d + 1)
        if self.sums is None:
            self.sums = torch.bmm(k.mT, ones)  # (rows, m, d + 1)
        else:
            if log_decay is not None:
                self.sums *= log_decay.to(wide).exp().reshape(-1, 1, 1)
            self.sums.baddbmm_(k.mT, ones)
        raw = torch.bmm(q, self.sums)  # (rows, 1, d + 1)
        return (raw[..., :-1] / normaliser(raw[..., -1:], floor)).to(v.dtype).view(v.shape)


class _NoGradient(torch.autograd.Function):
    """The first argument; one sentence for who asks for a gradient."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, *inputs: Tensor) -> Tensor:
        return out.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        raise ValueError("a state has no gradient; training must call the model without caches.")
