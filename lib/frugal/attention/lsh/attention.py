"""Attention among tokens that a hash brings near one another: the Reformer's.

A softmax listens to the keys nearest to a query. Hashing finds most of them without comparing all
pairs: tokens are sorted by bucket, cut into chunks, and a chunk attends to itself and to the chunk
before it. Several rounds with other random directions find what one has missed. Queries and keys
are the same vectors, up to the length of the keys, so that a query lies where its keys lie.

Source: kitaev2020reformer, section 2. Chapter: hashing.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.attention.contract import Attention
from frugal.attention.lsh.hash import (
    LAST,
    Buckets,
    default_buckets,
    hash_buckets,
    random_rotations,
)
from frugal.attention.lsh.rounds import attend_in_rounds, layout_of
from frugal.attention.pieces import autocast_dtype, one_dtype
from frugal.attention.softmax import softmax_attention
from frugal.checks import at_least, between, check_heads, check_padding, check_scale, refuse
from frugal.telling import told


def lsh_attention(
    qk: Float[Tensor, "batch heads length head_dim"],
    v: Float[Tensor, "batch heads length value_dim"],
    *,
    bucket_size: int,
    n_hashes: int,
    causal: bool = False,
    padding: Bool[Tensor, "batch length"] | None = None,
    generator: torch.Generator | None = None,
    seed: int | None = None,
    n_buckets: Buckets | None = None,
    scale: float | int = 1.0,
    within_buckets: bool = False,
) -> Float[Tensor, "batch heads length value_dim"]:
    """softmax(scale·qk kᵀ) v over the keys that share a chunk, or follow it, in some round.

    k is qk brought to length 1. A token does not attend to itself, unless there is nothing else.
    A pair that several rounds show counts once. scale: 1 as in the authors' code, whose keys have
    length √head_dim before the usual division; the paper's text reads as 1 / √head_dim.

    bucket_size: tokens in an average bucket, and in a chunk; from the length on, attention is
    exact, unless within_buckets. Any length will do. n_hashes: rounds. n_buckets: an even number,
    or several whose product is meant; about length / bucket_size when None (the paper: twice that).
    within_buckets: in each round hide the keys whose bucket is not the query's, as the paper's
    equations do; by default all keys of the two chunks are seen, as in later public code.
    causal: no later key is read, but later tokens do decide which earlier keys share a chunk, so
    the output of a prefix is not the prefix of the output.
    padding: True = real token; others go to the end of the order, are seen by none, and get zeros.
    generator: what the hash is drawn from; with the same one the same call gives the same result.
    A checkpoint that computes the pass again sets back torch's own generators only, and an exported
    graph holds none: inside of these give none. seed: in place of a generator, a number from which
    the hash is drawn at every call.

    Cost for N tokens: 8·N·n_hashes·bucket_size·head_dim FLOPs per head forward for the attention,
    2·N·n_hashes·head_dim·n_buckets/2 for the hash, and a sort of N numbers a round. Memory O(N).
    Raises ValueError for sizes below 1, an odd n_buckets, and shapes and dtypes that do not fit.
    """
    _check(qk, v, bucket_size, n_hashes, scale)
    check_padding(padding, (qk.shape[0], qk.shape[2]))
    batch, heads, length, head_dim = qk.shape
    if batch * heads == 0:  # nothing to sort; any attention has its shape
        return softmax_attention(qk, qk, v)
    value_dim = v.shape[-1]
    chunk = min(bucket_size, length)
    buckets = _buckets(qk, chunk, n_hashes, generator, seed, n_buckets)
    one_is_enough = chunk == length and not within_buckets  # its chunk holds all pairs
    rounds = buckets[:, :, :1] if one_is_enough else buckets
    missing = -length % chunk
    real = None
    if padding is not None or missing:
        real = qk.new_ones(batch, length, dtype=torch.bool) if padding is None else padding
        real = F.pad(real.expand(batch, length), (0, missing))
        rounds = F.pad(rounds, (0, missing))
    layout = layout_of(
        rounds.flatten(0, 1),
        chunk=chunk,
        causal=causal,
        real=None if real is None else real.repeat_interleave(heads, 0),
        within_buckets=within_buckets,
    )
    given = autocast_dtype(qk)
    qk, v = one_dtype(qk, v)
    k = F.normalize(qk, dim=-1)
    width = max(head_dim, value_dim)
    q, k, v = (_padded(x, width, missing) for x in (qk, k, v))
    q, k, v = (x.reshape(-1, width) for x in (q, k, v))
    out = attend_in_rounds(q, k, v, layout, scale=float(scale))
    out = out.view(batch, heads, length + missing, width)[:, :, :length, :value_dim].to(given)
    return out if padding is None else out.masked_fill(~padding[:, None, :, None], 0.0)


def lsh_visible(
    qk: Float[Tensor, "batch heads length head_dim"],
    *,
    bucket_size: int,
    n_hashes: int,
    causal: bool = False,
    padding: Bool[Tensor, "batch length"] | None = None,
    generator: torch.Generator | None = None,
    seed: int | None = None,
    n_buckets: Buckets | None = None,
    within_buckets: bool = False,
) -> Bool[Tensor, "batch heads length length"]:
    """Which keys each query sees in `lsh_attention` with the same arguments: N² booleans a head.

    Itself only where it sees no other. For pictures and tests; it saves nothing.
    """
    _check(qk, qk, bucket_size, n_hashes, 1.0)
    batch, _, length, _ = qk.shape
    check_padding(padding, (batch, length))
    chunk = min(bucket_size, length)
    buckets = _buckets(qk, chunk, n_hashes, generator, seed, n_buckets)
    if padding is not None:
        buckets = buckets.masked_fill(~padding[:, None, None], LAST)
    place = buckets.argsort(dim=-1, stable=True).argsort(-1)
    own = place // chunk  # (batch, heads, n_hashes, length)
    ahead = own[..., :, None] - own[..., None, :]
    seen = (ahead == 0) | (ahead == 1)  # (batch, heads, n_hashes, length, length)
    if within_buckets:
        seen &= buckets[..., :, None] == buckets[..., None, :]
    seen = seen.any(2)
    itself = torch.eye(length, dtype=torch.bool, device=qk.device)
    seen = seen & ~itself
    if causal:
        seen = seen & torch.ones_like(itself).tril()
    if padding is not None:
        seen = seen & padding[:, None, None, :]
    seen = seen | (itself & ~seen.any(-1, keepdim=True))
    return seen if padding is None else seen & padding[:, None, :, None]


class LshAttention(Attention):
    """`lsh_attention` as an attention callable, for `MultiHeadAttention(attend=...)`.

    Queries are the keys too: `k` is not read, and its projection learns nothing. Directions are
    drawn anew at every call, as in the paper, from torch's generator; from `generator` where one is
    given. seed: draw the same directions at every call, in place of a generator. A checkpoint that
    computes the pass again sets back torch's own generators only: inside of one give no generator.
    scale of a call: in place of the module's. Causal, it reads no later key, but later tokens
    decide which earlier keys share a chunk. The other arguments are those of `lsh_attention`.
    """

    refuses: ClassVar = {
        "mask": "the hash decides which keys a query is compared with",
        "bias": "only the pairs that share a bucket are computed, not all that a bias has",
        "dropout": "the rounds are joined by the sums of their weights, of which none may go",
    }
    groups: ClassVar = "repeated"  # every query head sorts the values its own way

    def __init__(
        self,
        bucket_size: int,
        n_hashes: int,
        *,
        seed: int | None = None,
        n_buckets: Buckets | None = None,
        scale: float | int = 1.0,
        within_buckets: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(bucket_size, n_hashes, scale)
        if seed is not None:
            at_least(0, seed=seed)
            refuse("it must be None: seed says what is drawn.", generator=generator)
        self.generator = generator
        self.bucket_size, self.n_hashes, self.seed = bucket_size, n_hashes, seed
        self.n_buckets, self.scale, self.within_buckets = n_buckets, scale, within_buckets

    def extra_repr(self) -> str:
        return told(self, "bucket_size", "n_hashes", "n_buckets", "seed", "within_buckets")

    def options(self) -> dict:
        """The keyword arguments of `lsh_attention` and `lsh_visible` that both share."""
        return {
            "bucket_size": self.bucket_size,
            "n_hashes": self.n_hashes,
            "generator": self.generator,
            "seed": self.seed,
            "n_buckets": self.n_buckets,
            "within_buckets": self.within_buckets,
        }

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch heads keys head_dim"],
        v: Float[Tensor, "batch heads keys value_dim"],
        *,
        causal: bool = False,
        padding: Bool[Tensor, "batch keys"] | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        """Attend among q. Raises ValueError when there are not as many queries as keys."""
        check_heads(q, k, v)
        self._check_square(q, k)
        check_scale(scale)
        scale = self.scale if scale is None else scale
        given = {"causal": causal, "padding": padding, "scale": scale}
        return lsh_attention(q, v, **self.options(), **given)

    def weights(
        self,
        q: Tensor,
        k: Tensor,
        *,
        causal: bool = False,
        padding: Tensor | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """What each query gives to each key; without a seed, by newly drawn directions."""
        check_scale(scale)
        self._check_square(q, k)
        seen = lsh_visible(q, **self.options(), causal=causal, padding=padding)
        scores = (self.scale if scale is None else scale) * q @ F.normalize(q, dim=-1).mT
        return scores.masked_fill(~seen, -torch.inf).softmax(-1).masked_fill(~seen, 0.0)

    def _check_square(self, q: Tensor, k: Tensor) -> None:
        if q.shape != k.shape:
            raise ValueError(
                f"q has shape {tuple(q.shape)} and k {tuple(k.shape)}; they must be the same, since"
                " hashing sorts all tokens together (no cache, no other sequence)."
            )


def _padded(x: Tensor, width: int, missing: int) -> Tensor:
    """x with zeros up to the width and behind its end; x itself where there are none to add."""
    if missing or width > x.shape[-1]:  # by 0 `F.pad` copies
        return F.pad(x, (0, width - x.shape[-1], 0, missing))
    return x


def _buckets(
    qk: Tensor,
    chunk: int,
    n_hashes: int,
    generator: torch.Generator | None,
    seed: int | None,
    n_buckets: Buckets | None,
) -> Tensor:
    _, heads, length, head_dim = qk.shape
    rotations = random_rotations(
        default_buckets(length, chunk) if n_buckets is None else n_buckets,
        n_hashes=n_hashes,
        n_heads=heads,
        head_dim=head_dim,
        generator=generator,
        seed=seed,
        device=qk.device,
    )
    return hash_buckets(qk, rotations)


def _check(qk: Tensor, v: Tensor, bucket_size: int, n_hashes: int, scale: float) -> None:
    if qk.ndim != 4:
        raise ValueError(
            f"qk has shape {tuple(qk.shape)}; it must have four axes: (batch, heads, length, "
            "head_dim)."
        )
    check_heads(qk, qk, v)
    _check_sizes(bucket_size, n_hashes, scale)


def _check_sizes(bucket_size: int, n_hashes: int, scale: float) -> None:
    at_least(1, bucket_size=bucket_size, n_hashes=n_hashes)
    between(0, math.inf, scale=scale)
