"""ALiBi: scores fall with distance, at a slope of its own for each head.

Source: press2022alibi. Chapter: lost-in-the-middle.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from frugal.attention.cache import KeyValueCache, State
from frugal.attention.contract import Attend, Attention, check_attend
from frugal.attention.groups import attend_grouped, groups_of, repeated
from frugal.attention.softmax import attention_weights, shifts, softmax_attention
from frugal.checks import at_least, check_bias, check_heads, check_options
from frugal.telling import told


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


class AlibiAttention(Attention):
    """Any attention that takes a `bias`, with ALiBi's penalty on distance added to its scores.

    n_heads: heads of q. attend: the attention underneath, `softmax_attention` by default; its
    options are those of this one. A bias that is given comes on top of the penalty. Raises
    ValueError, when it is made, for an attention that takes no bias. Source: press2022alibi.
    """

    groups: ClassVar = "itself"

    def __init__(self, n_heads: int, attend: Attend = softmax_attention) -> None:
        super().__init__()
        at_least(1, n_heads=n_heads)
        check_attend(attend, takes="bias")
        self.n_heads, self.attend = n_heads, attend
        self.slopes_of, self.kept = n_heads, list(range(n_heads))

    def extra_repr(self) -> str:
        return told(self, "n_heads", "attend")

    @property
    def shifts(self) -> bool:
        """As the attention underneath: the penalty depends on distances alone."""
        return shifts(self.attend)

    def new_cache(self, capacity: int) -> KeyValueCache | State:
        """What the attention underneath needs; the penalty needs nothing."""
        return getattr(self.attend, "new_cache", KeyValueCache)(capacity)

    def keep_heads(self, kept: list[int]) -> None:
        """Only the heads at these places remain, each with the slope that it had."""
        self.kept = [self.kept[place] for place in kept]
        self.n_heads = len(kept)

    def options(self, q: Tensor, k: Tensor, options: dict[str, Any]) -> dict[str, Any]:
        """The options with the penalty as a bias, beside the bias that they may hold."""
        check_heads(q, k, k, grouped=True)
        if q.shape[1] != self.n_heads:
            raise ValueError(f"q has {q.shape[1]} heads; it must have {self.n_heads}, one a slope.")
        options = check_options(self.attend, options)
        penalty = alibi_bias(self.slopes_of, q.shape[2], k.shape[2], device=q.device).to(q.dtype)
        if self.n_heads < self.slopes_of:
            penalty = penalty[:, self.kept]
        given = options.get("bias")
        if given is not None:
            check_bias(given, (*q.shape[:3], k.shape[2]))
        return options | {"bias": penalty if given is None else penalty + given}

    def forward(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        return attend_grouped(self.attend, q, k, v, self.options(q, k, options))

    def weights(self, q: Tensor, k: Tensor, **options: Any) -> Tensor:
        options = self.options(q, k, options)
        own = getattr(self.attend, "weights", attention_weights)
        if own is not attention_weights and groups_of(self.attend) != "itself":
            k = repeated(k, q.shape[1])
        return own(q, k, **options)
