"""The definition of linear attention, token by token: what the fast form is held against.

Source: katharopoulos2020linear. Chapter: kernels.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def linear_attention(
    phi_q: Float[Tensor, "batch heads queries features"],
    phi_k: Float[Tensor, "batch heads keys features"],
    v: Float[Tensor, "batch heads keys value_dim"],
    *,
    causal: bool = False,
    padding: Bool[Tensor, "batch keys"] | None = None,
    log_decay: Float[Tensor, "batch heads keys"] | None = None,
    floor: float | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """The arguments are those of the fast form; nothing is checked, all is in the dtype of v."""
    batch, heads, keys, features = phi_k.shape
    if padding is not None:
        phi_k = phi_k * padding[:, None, :, None]
    if not causal:
        return _divided(phi_q @ phi_k.mT @ v, phi_q @ phi_k.sum(-2).unsqueeze(-1), floor)
    state = v.new_zeros(batch, heads, features, v.shape[-1])  # C, the sum of φ(k) vᵀ
    total = v.new_zeros(batch, heads, features, 1)  # Φ, the sum of φ(k)
    first = keys - phi_q.shape[2]
    out = []
    for t in range(keys):
        if log_decay is not None:
            kept = log_decay[:, :, t, None, None].exp()
            state, total = state * kept, total * kept
        key = phi_k[:, :, t, :, None]  # (batch, heads, features, 1)
        state = state + key * v[:, :, t, None, :]
        total = total + key
        if t >= first:
            query = phi_q[:, :, t - first, None]  # (batch, heads, 1, features)
            out.append(_divided(query @ state, query @ total, floor))
    return torch.cat(out, 2)


def _divided(above: Tensor, below: Tensor, floor: float | None) -> Tensor:
    if floor is not None:
        return above / below.clamp(min=floor)
    return torch.where(below == 0, 0.0, above / below)
