"""The definition, one query after the other: what the fast patterns are held against.

Sources: vaswani2017attention, equation 1, over the keys of the patterns' papers. Chapter:
fixed-patterns.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def masked_attention(
    q: Float[Tensor, "batch heads queries head_dim"],
    k: Float[Tensor, "batch heads keys head_dim"],
    v: Float[Tensor, "batch heads keys value_dim"],
    seen: Bool[Tensor, "batch heads queries keys"],
) -> Float[Tensor, "batch heads queries value_dim"]:
    """Σ_j exp(q_i·k_j / √head_dim) v_j over Σ_j exp(...), for the j that query i sees; else zeros.

    One exponential after the other, in float64: only for small scores.
    """
    dtype = q.dtype
    q, k, v = q.double(), k.double(), v.double()
    out = torch.zeros(*q.shape[:3], v.shape[-1], dtype=torch.float64, device=v.device)
    for b, h, i in torch.cartesian_prod(*map(torch.arange, q.shape[:3])).tolist():
        places = seen[b, h, i].nonzero().flatten().tolist()
        weights = [math.exp(q[b, h, i] @ k[b, h, j] / math.sqrt(q.shape[-1])) for j in places]
        if places:
            total = sum(w * v[b, h, j] for w, j in zip(weights, places, strict=True))
            out[b, h, i] = total / sum(weights)
    return out.to(dtype)


def window_sees(i: int, j: int, *, window: int, causal: bool = False) -> bool:
    """Of beltagy2020longformer, section 3.1."""
    return 0 <= i - j <= window if causal else abs(i - j) <= window


def strided_sees(i: int, j: int, *, stride: int) -> bool:
    """Of child2019sparse, section 4.3: A(1) and A(2) of the strided pattern, in one softmax."""
    return j in range(max(0, i - stride), i + 1) or (j <= i and (i - j) % stride == 0)


def fixed_sees(i: int, j: int, *, stride: int, summary: int) -> bool:
    """Of child2019sparse, section 4.3: A(1) and A(2) of the fixed pattern, in one softmax."""
    return j <= i and (j // stride == i // stride or j % stride in range(stride - summary, stride))
