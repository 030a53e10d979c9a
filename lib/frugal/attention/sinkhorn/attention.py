"""Attention to one's own block and to a block that was fetched for it: the Sinkhorn Transformer's.

Cut the sequence into blocks. A small network says of every block which others it wants; Sinkhorn
normalisation makes these scores a soft permutation Π, in which every block is wanted about once.
The keys of block i are then its own and those of Σⱼ Π[i, j]·block j, so a query reads
2·block_size keys, wherever they come from.

Source: tay2020sinkhorn. Chapter: sorting.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.contract import Attention
from frugal.attention.sinkhorn.balance import causal_sinkhorn, gumbel_noise, sinkhorn
from frugal.attention.softmax import attention_weights, softmax_attention
from frugal.checks import (
    at_least,
    between,
    check_dtypes,
    check_heads,
    check_padding,
    one_of,
)
from frugal.telling import told

__all__ = ["BlockScores", "SinkhornAttention", "fetch", "gumbel_noise", "sinkhorn"]

Balance = Literal["both ways", "rows", "causal", "causal, transposed"]
"""What is normalised; see `SinkhornAttention`."""

TINY = 1e-6
"""A mixture with a smaller share of real tokens than this has none."""


class BlockScores(nn.Module):
    """The sorting network: from the mean of a block, a score for every block it may want.

    relu(x W + b) U + c for each head, (batch, heads, blocks, width) to (..., max_blocks). It scores
    places, not contents, so the number of blocks has a limit.
    """

    def __init__(self, n_heads: int, width: int, max_blocks: int) -> None:
        super().__init__()
        at_least(1, n_heads=n_heads, width=width, max_blocks=max_blocks)
        self.max_blocks = max_blocks
        reach = width**-0.5
        self.hidden = nn.Parameter(torch.empty(n_heads, width, width).uniform_(-reach, reach))
        self.hidden_bias = nn.Parameter(torch.zeros(n_heads, 1, width))
        self.out = nn.Parameter(torch.empty(n_heads, width, max_blocks).uniform_(-reach, reach))
        self.out_bias = nn.Parameter(torch.zeros(n_heads, 1, max_blocks))

    def extra_repr(self) -> str:
        return told(self, "max_blocks")

    def forward(
        self, pooled: Float[Tensor, "batch heads blocks width"]
    ) -> Float[Tensor, "batch heads blocks blocks"]:
        """The first `blocks` scores of each block. Raises ValueError for too many blocks."""
        blocks = pooled.shape[2]
        if blocks > self.max_blocks:
            raise ValueError(
                f"the sequence has {blocks} blocks; it must have at most max_blocks, "
                f"{self.max_blocks}."
            )
        hidden = (pooled @ self.hidden + self.hidden_bias).relu()
        return hidden @ self.out[..., :blocks] + self.out_bias[..., :blocks]


class SinkhornAttention(Attention):
    """An attention callable that sorts blocks, for `MultiHeadAttention(attend=...)`.

    n_heads, head_dim: of q and k. block_size: tokens in a block. max_blocks: the most blocks of a
    sequence. temperature: τ, above 0; the lower, the closer to a permutation. n_iterations: of
    `sinkhorn`. sort_cut: None, or how many sorted blocks all queries read in place of their own and
    one sorted block (SortCut; not causal). balance: "both ways" normalises rows and columns, and
    the rows alone where `causal` is asked for; "rows" never does more. "causal" is the paper's
    Causal Sinkhorn Balancing, rows and columns under the causal mask, which lets an earlier block
    depend on later ones; "causal, transposed" is the form of it in the author's code, which does
    not (`causal_sinkhorn`).

    While training, Gumbel noise from `generator`, or from torch's own, is added to the scores; a
    checkpoint that computes the pass again sets back torch's own alone. Any length will do;
    the last block may be shorter. Causal: block i is given earlier blocks only, in shares that
    need not balance, chosen by what stands before it and by its first token.

    Cost for N tokens, blocks of b: 8·N·b·head_dim FLOPs per head for the attention, 4·N²/b·head_dim
    to mix the blocks, 4·n_iterations·(N/b)² to balance. SortCut: 4·N·sort_cut·b·head_dim.
    """

    refuses: ClassVar = {
        "mask": "a sorted block is a mixture of blocks, and a mask could not hide a part of it",
        "bias": "a sorted block is a mixture of blocks, and a bias has a number for every key",
    }

    def __init__(
        self,
        n_heads: int,
        head_dim: int,
        *,
        block_size: int,
        max_blocks: int,
        temperature: float | int = 0.7,
        n_iterations: int = 8,
        sort_cut: int | None = None,
        balance: Balance = "both ways",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        one_of(get_args(Balance), balance=balance)
        at_least(1, block_size=block_size, **({} if sort_cut is None else {"sort_cut": sort_cut}))
        between(0, math.inf, temperature=temperature)
        at_least(0, n_iterations=n_iterations)
        at_least(1, n_heads=n_heads, head_dim=head_dim, max_blocks=max_blocks)
        self.n_heads, self.head_dim = n_heads, head_dim
        self.block_size, self.temperature = block_size, temperature
        self.n_iterations, self.sort_cut, self.balance = n_iterations, sort_cut, balance
        self.generator = generator
        self.score = BlockScores(n_heads, 2 * head_dim, max_blocks)

    def extra_repr(self) -> str:
        return told(self, "n_heads", "block_size", "n_iterations", "sort_cut")

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch heads keys head_dim"],
        v: Float[Tensor, "batch heads keys value_dim"],
        *,
        causal: bool = False,
        padding: Bool[Tensor, "batch keys"] | None = None,
        scale: float | int | None = None,
        dropout: float | int = 0.0,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        """Attend to own and sorted blocks; the arguments are those of `softmax_attention`.

        Raises ValueError for other heads than the module's, fewer queries than keys, more blocks
        than max_blocks, `causal` with sort_cut, and shapes and dtypes that do not fit.
        """
        length = self._check(q, k, v, causal, padding)
        asked = {"scale": scale, "dropout": dropout}
        q, k, v = (_in_blocks(x, self.block_size) for x in (q, k, v))
        real = _real_tokens(padding, length, k)
        order = self.sorting(q, k, causal=causal, real=real)
        (keys, share), (values, _) = fetch(order, k, real), fetch(order, v, real)
        if self.sort_cut is not None:
            keys, values = (x[:, :, : self.sort_cut].flatten(2, 3) for x in (keys, values))
            seen = None if share is None else share[:, :, None, : self.sort_cut].flatten(3) > 0
            out = softmax_attention(q.flatten(2, 3), keys, values, mask=seen, **asked)
            return out[:, :, :length]
        keys, values = torch.cat([keys, k], dim=3), torch.cat([values, v], dim=3)
        seen = self._seen(q, causal, real, share)
        if seen is not None:
            seen = seen.expand(q.shape[0] * q.shape[1], -1, -1, -1).flatten(0, 1)[:, None]
        # Blocks as a batch of single heads: the kernel's output then needs no copy.
        flat = (x.flatten(0, 2)[:, None] for x in (q, keys, values))
        out = softmax_attention(*flat, mask=seen, **asked)
        blocks, size = q.shape[2:4]
        return out.view(*q.shape[:2], blocks * size, v.shape[-1])[:, :, :length]

    def sorting(
        self,
        q: Float[Tensor, "batch heads blocks block_size head_dim"],
        k: Float[Tensor, "batch heads blocks block_size head_dim"],
        *,
        causal: bool = False,
        real: Bool[Tensor, "batch blocks block_size"] | None = None,
    ) -> Float[Tensor, "batch heads blocks blocks"]:
        """Π: row i says what share of each block the keys of block i are mixed from."""
        tokens = torch.cat([q, k], dim=-1)
        scores = self.score((_means_before if causal else _means)(tokens, real))
        blocks = scores.shape[-1]
        mask = None
        if real is not None:
            some = real.any(-1)  # (batch, blocks)
            mask = (some[:, :, None] & some[:, None, :])[:, None].expand(scores.shape)
        noise = gumbel_noise(scores, generator=self.generator) if self.training else None
        given = {
            "n_iterations": self.n_iterations,
            "temperature": self.temperature,
            "noise": noise,
        }
        if causal and self.balance.startswith("causal"):
            transposed = self.balance == "causal, transposed"
            return causal_sinkhorn(scores, mask=mask, transposed=transposed, **given)
        if causal:
            earlier = torch.ones(blocks, blocks, dtype=torch.bool, device=q.device).tril(-1)
            mask = earlier.expand(scores.shape) if mask is None else mask & earlier
        balanced = not causal and self.balance != "rows"
        return sinkhorn(scores, mask=mask, balanced=balanced, **given)

    def weights(
        self,
        q: Tensor,
        k: Tensor,
        *,
        causal: bool = False,
        padding: Tensor | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """What each query gives to each token: directly, and by way of the mixtures it is in.

        While training the noise is drawn anew, so these are not the weights of another call.
        """
        length = self._check(q, k, k, causal, padding)
        q, k = (_in_blocks(x, self.block_size) for x in (q, k))
        real = _real_tokens(padding, length, k)
        order = self.sorting(q, k, causal=causal, real=real)
        keys, share = fetch(order, k, real)
        shares = order[..., None, :, None].expand(*order.shape[:3], self.block_size, -1, 1)
        if share is not None:
            shares = shares * real[:, None, None, None] / share[..., None, None, :].clamp(min=TINY)
        if self.sort_cut is not None:
            chosen = slice(0, self.sort_cut)
            seen = None if share is None else share[:, :, None, chosen].flatten(3) > 0
            cut = keys[:, :, chosen].flatten(2, 3)
            direct = attention_weights(q.flatten(2, 3), cut, mask=seen, scale=scale)
            direct = direct.unflatten(-1, (-1, self.block_size))  # (..., queries, cut, block_size)
            found = torch.einsum("bhqct,bhcjt->bhqjt", direct, shares[:, :, chosen, 0])
            return found.flatten(3)[:, :, :length, :length]
        keys = torch.cat([keys, k], dim=3)
        seen = self._seen(q, causal, real, share)
        flat = (q.flatten(0, 1), keys.flatten(0, 1))
        direct = attention_weights(*flat, mask=seen, scale=scale)
        direct = direct.unflatten(0, q.shape[:2])  # (..., blocks, block_size, 2 block_size)
        far, own = direct.split(self.block_size, dim=-1)
        found = far[..., None, :] * shares  # (..., blocks, queries, blocks, block_size)
        found = found + own[..., None, :] * torch.eye(found.shape[2], device=q.device)[
            :, None, :, None
        ].to(own.dtype)
        return found.flatten(4).flatten(2, 3)[:, :, :length, :length]

    def _seen(
        self, q: Tensor, causal: bool, real: Tensor | None, share: Tensor | None
    ) -> Tensor | None:
        """(batch x heads or 1, blocks, queries, sorted then own keys): True = may attend."""
        if not causal and real is None:
            return None
        _, heads, blocks, size, _ = q.shape
        own = q.new_ones(size, size, dtype=torch.bool)
        own = (own.tril() if causal else own).expand(1, blocks, size, size)
        far = own.new_ones(1, blocks, size, size)
        if causal:
            far[:, 0] = False  # nothing lies before the first block
        if real is not None:
            far = far & (share > 0).flatten(0, 1)[:, :, None]
            own = own & real.repeat_interleave(heads, 0)[:, :, None]
        return torch.cat([far, own], dim=-1)

    def _check(self, q: Tensor, k: Tensor, v: Tensor, causal: bool, padding: Tensor | None) -> int:
        check_heads(q, k, v)
        check_padding(padding, (k.shape[0], k.shape[2]))
        check_dtypes(q=q, sorting=self.score.hidden)
        if (q.shape[1], q.shape[3]) != (self.n_heads, self.head_dim):
            raise ValueError(
                f"q has {q.shape[1]} heads of head_dim {q.shape[3]}; it must have {self.n_heads} "
                f"of {self.head_dim}, as this sorting network has."
            )
        if q.shape != k.shape:
            raise ValueError(
                f"q has length {q.shape[2]} and k has {k.shape[2]}; they must be the same, since "
                "blocks are sorted as wholes (no cache, no other sequence)."
            )
        if causal and self.sort_cut is not None:
            raise ValueError(
                f"sort_cut is {self.sort_cut} and causal is True; causal must be False, since the "
                "first sorted blocks may hold what comes later."
            )
        return q.shape[2]


def fetch(
    order: Float[Tensor, "batch heads blocks blocks"],
    x: Float[Tensor, "batch heads blocks block_size width"],
    real: Bool[Tensor, "batch blocks block_size"] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Blocks mixed by `order`, and what share of each mixture is real tokens (None: all of it).

    A mixture is taken over real tokens only: where some blocks have none at a place, the shares of
    the others grow to the same sum.
    """
    if real is None:
        return (order @ x.flatten(3)).unflatten(-1, x.shape[3:]), None
    weight = real[:, None].to(x.dtype)  # (batch, 1, blocks, block_size)
    mixed = (order @ (x * weight[..., None]).flatten(3)).unflatten(-1, x.shape[3:])
    share = order @ weight / order.sum(-1, keepdim=True).clamp(min=TINY)
    return mixed / share.clamp(min=TINY)[..., None], share.masked_fill(share < TINY, 0.0)


def _in_blocks(x: Float[Tensor, "batch heads length width"], size: int) -> Tensor:
    """(batch, heads, blocks, size, width), with zeros after the end."""
    if torch.compiler.is_compiling() or x.shape[2] % size:  # else `F.pad` would copy
        x = F.pad(x, (0, 0, 0, -x.shape[2] % size))
    return x.unflatten(2, (-1, size))


def _real_tokens(padding: Tensor | None, length: int, k: Tensor) -> Tensor | None:
    """Which places of the blocks hold a token, (batch, blocks, size), or None when all do."""
    batch, _, blocks, size, _ = k.shape
    if padding is None and length == blocks * size:
        return None
    if padding is None:
        padding = k.new_ones(batch, length, dtype=torch.bool)
    padding = padding.expand(batch, length)
    return F.pad(padding, (0, blocks * size - length)).unflatten(1, (blocks, size))


def _means(tokens: Tensor, real: Tensor | None) -> Tensor:
    """The mean token of every block, of those that are real."""
    if real is None:
        return tokens.mean(3)
    weight = real[:, None, :, :, None].to(_sum_dtype(tokens))  # (batch, 1, blocks, size, 1)
    return ((tokens * weight).sum(3) / weight.sum(3).clamp(min=1)).to(tokens.dtype)


def _means_before(
    tokens: Float[Tensor, "batch heads blocks size width"], real: Tensor | None
) -> Tensor:
    """The mean of the real tokens up to the first of each block: what its first query may know."""
    if real is None:
        real = tokens.new_ones(1, *tokens.shape[2:4], dtype=torch.bool)
    weight = real[:, None, :, :, None].to(_sum_dtype(tokens))
    before = _up_to_first(tokens * weight) / _up_to_first(weight).clamp(min=1)
    return before.to(tokens.dtype)


def _sum_dtype(x: Tensor) -> torch.dtype:
    """What is wide enough for sums of many tokens."""
    return torch.promote_types(x.dtype, torch.float32)


def _up_to_first(x: Tensor) -> Tensor:
    """Sums over all blocks before each, and its first place: (..., blocks, size, width) to
    (..., blocks, width)."""
    return F.pad(x.sum(-2).cumsum(-2)[..., :-1, :], (0, 0, 1, 0)) + x[..., 0, :]
