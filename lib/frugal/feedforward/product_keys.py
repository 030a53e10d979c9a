"""A memory of n² values, of which each token reads k.

A query is cut in two halves, and each half is compared with n keys of its own. The score of value
(i, j) is the sum of the scores of half-keys i and j, so the k best of n² pairs lie among the k best
of either side: 2n products find them. Of those k² pairs only the ones with (i + 1)·(j + 1) <= k, in
the order of their sides, can be among the best: every pair before (i, j) on both sides has a score
as high. Each token reads by itself, so the memory is causal wherever it stands.

Sources: lample2019pkm; berges2024memory for the gate. Chapter: a-memory-of-keys. Cost for T tokens:
2·T·h·n·d_key FLOPs for the scores of h heads and T·h·k·d_value to read; parameters: n²·d_value.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugal.checks import at_least, check_same_dtype, given
from frugal.telling import told


class Read(NamedTuple):
    """For each token and head: which k values are read, and with which weights (their sum is 1)."""

    values: Int[Tensor, "tokens heads k"]
    weights: Float[Tensor, "tokens heads k"]


def best_pairs(
    first: Float[Tensor, "*batch n"], second: Float[Tensor, "*batch n"], k: int
) -> tuple[Float[Tensor, "*batch k"], Int[Tensor, "*batch k"]]:
    """The k largest first_i + second_j, falling, and their numbers i · n + j.

    Exactly those of all n² sums (among equal ones, any). Raises ValueError for k above n.
    """
    n = first.shape[-1]
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}; it must be from 1 to the {n} keys of each half.")
    one, of_first = first.topk(k, dim=-1)
    other, of_second = second.topk(k, dim=-1)
    i, j = _candidates(k, first.device)
    sums, places = (one[..., i] + other[..., j]).topk(k, dim=-1)
    numbers = of_first[..., i] * n + of_second[..., j]
    return sums, numbers.gather(-1, places)


def _candidates(k: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The pairs of places with (i + 1)·(j + 1) <= k, about k·log k of them."""
    pairs = [(i, j) for i in range(k) for j in range(k // (i + 1))]
    i, j = torch.tensor(pairs, device=device).unbind(1)
    return i, j


class ProductKeyMemory(nn.Module):
    """Read k of n_keys² values per head and token, in the place of a feed-forward layer.

    n_keys: n, of each half. heads: each has keys and queries of its own and reads the same values.
    k: values read per head. d_key: width of a query, even; d_model // heads at first, made even.
    gated: the output is multiplied by silu(W x) and projected (berges2024memory, section 3).
    The values want a learning rate of their own, larger than that of the rest: only few of them get
    a gradient in each update. Shapes: x and out (..., d_model).
    """

    def __init__(
        self,
        d_model: int,
        n_keys: int,
        *,
        heads: int = 4,
        k: int = 32,
        d_key: int | None = None,
        gated: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, d_model=d_model, n_keys=n_keys, heads=heads, k=k, **given(d_key=d_key))
        d_key = 2 * max(1, d_model // heads // 2) if d_key is None else d_key
        if d_key % 2:
            raise ValueError(f"d_key is {d_key}; it must be even, for two halves.")
        if k > n_keys:
            raise ValueError(f"k is {k}; it must be at most {n_keys=}.")
        self.heads, self.n_keys, self.k = heads, n_keys, k
        self.to_query = nn.Linear(d_model, heads * d_key)
        self.keys = nn.Parameter(torch.randn(heads, 2, n_keys, d_key // 2) * (d_key / 2) ** -0.5)
        self.values = nn.Parameter(torch.randn(n_keys**2, d_model) * d_model**-0.5)
        self.gate = nn.Linear(d_model, d_model, bias=False) if gated else None
        self.to_out = nn.Linear(d_model, d_model, bias=False) if gated else None

    def extra_repr(self) -> str:
        return told(self, "heads", "n_keys", "k")

    def read(self, x: Float[Tensor, "tokens d_model"]) -> Read:
        """Which values each token reads."""
        q = self.to_query(x).unflatten(-1, (self.heads, 2, -1))  # (tokens, heads, 2, d_key / 2)
        scores = torch.einsum("thsd,hsnd->thsn", q, self.keys.to(q.dtype))
        sums, numbers = best_pairs(scores[:, :, 0], scores[:, :, 1], self.k)
        return Read(numbers, sums.softmax(-1))

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Raises ValueError for an x of another width."""
        if x.shape[-1:] != self.values.shape[1:]:
            width = self.values.shape[1]
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (..., {width}).")
        check_same_dtype(x, self.to_query)
        if not x.numel():
            return torch.zeros_like(x)
        found = self.read(x.reshape(-1, x.shape[-1]))
        numbers, weights = found.values.flatten(1), found.weights.flatten(1).to(self.values.dtype)
        out = F.embedding_bag(numbers, self.values, mode="sum", per_sample_weights=weights)
        out = out.view_as(x)
        if self.gate is None:
            return out
        return self.to_out(out.to(x.dtype) * F.silu(self.gate(x)))
