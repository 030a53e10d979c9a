"""ALiBi: scores fall with distance, at a slope of its own for each head.

Source: press2022alibi.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal.attention.softmax import Attend, attention_weights, softmax_attention


def alibi_slopes(n_heads: int, *, device=None) -> Float[Tensor, " n_heads"]:
    """One slope a head: 2^(-8/n), 2^(-16/n), ... for n heads (press2022alibi, section 3)."""
    head = torch.arange(1, n_heads + 1, device=device, dtype=torch.float32)
    return 2.0 ** (-8.0 * head / n_heads)


def alibi_bias(n_heads: int, queries: int, keys: int, *, device=None) -> Tensor:
    """(1, n_heads, queries, keys): minus slope times distance, the last query at the last key.

    The distance is |i - j|, which is the paper's i - j wherever a causal mask lets a query look.
    """
    place = torch.arange(keys - queries, keys, device=device)  # where the queries stand
    distance = (place[:, None] - torch.arange(keys, device=device)[None, :]).abs()
    return -alibi_slopes(n_heads, device=device)[None, :, None, None] * distance


class AlibiAttention(nn.Module):
    """Any attention that takes a `bias`, with ALiBi's penalty on distance added to its scores.

    n_heads: heads of q. attend: the attention underneath, `softmax_attention` by default.
    Source: press2022alibi.
    """

    def __init__(self, n_heads: int, attend: Attend = softmax_attention) -> None:
        super().__init__()
        self.n_heads, self.attend = n_heads, attend

    def options(self, q: Tensor, k: Tensor, options: dict[str, Any]) -> dict[str, Any]:
        if q.shape[1] != self.n_heads:
            raise ValueError(f"q has {q.shape[1]} heads; these slopes are for {self.n_heads}.")
        bias = alibi_bias(self.n_heads, q.shape[2], k.shape[2], device=q.device)
        return options | {"bias": bias.to(q.dtype)}

    def forward(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return self.attend(q, k, v, **self.options(q, k, options))

    def weights(self, q: Tensor, k: Tensor, **options: Any) -> Tensor:
        own = getattr(self.attend, "weights", attention_weights)
        return own(q, k, **self.options(q, k, options))
