"""Angular locality-sensitive hashing: vectors that point the same way tend to share a bucket.

A round draws a random matrix R and gives q the bucket argmax([qR; -qR]): which of the random
directions, or of their opposites, lies nearest to q. Only the angle matters, not the length.

Sources: kitaev2020reformer, section 2; andoni2015practical for the hash. Chapter: hashing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch._guards import detect_fake_mode

from frugal.attention.kept import kept
from frugal.checks import refuse
from frugal.replays import check_draws_the_same

Buckets = int | Sequence[int]
"""How many buckets: an even number, or several whose product it is."""

LAST = 2**31
"""A bucket behind all others: to ask for the largest in use would make a GPU wait."""


def bucket_factors(n_buckets: Buckets) -> tuple[int, ...]:
    """The even numbers that the hash is made of. Raises ValueError for any that is not."""
    factors = (n_buckets,) if isinstance(n_buckets, int) else tuple(n_buckets)
    if not factors or any(factor < 2 or factor % 2 for factor in factors):
        raise ValueError(
            f"n_buckets is {n_buckets}; it must be even numbers from 2 on: each direction has "
            "its opposite."
        )
    return factors


def default_buckets(length: int, bucket_size: int) -> tuple[int, ...]:
    """Buckets of `bucket_size` tokens on average, as one even number or as two.

    One hash into n buckets compares every vector with n / 2 directions. Where that would cost more
    than the attention itself, two hashes into about √n buckets each do.
    """
    n_buckets = _even(length / bucket_size)
    if n_buckets <= 4 * bucket_size:
        return (n_buckets,)
    first = _even(math.sqrt(n_buckets))
    return (first, _even(n_buckets / first))


def _even(number: float) -> int:
    """The least even number that is not below `number`, and at least 2."""
    return max(2, 2 * math.ceil(number / 2))


def random_rotations(
    n_buckets: Buckets,
    *,
    n_hashes: int,
    n_heads: int,
    head_dim: int,
    generator: torch.Generator | None = None,
    seed: int | None = None,
    device: torch.device | str | None = None,
) -> list[Float[Tensor, "n_hashes heads head_dim _"]]:
    """The random directions of every round and head: for each factor half as many as buckets.

    They are drawn in one call from `generator`, or from torch's own when it is None. seed: the
    numbers of a new generator on the CPU with that seed, in a graph too, which takes no generator.
    Raises ValueError for an odd number of buckets, and for a generator beside a seed or while a
    graph is exported.
    """
    if generator is not None:
        refuse("it must be None beside a generator.", seed=seed)
        if torch.compiler.is_exporting():
            refuse("an exported graph holds none, it must be None.", generator=generator)
    halves = [factor // 2 for factor in bucket_factors(n_buckets)]
    shape = (n_hashes, n_heads, head_dim, sum(halves))
    if seed is not None:
        drawn = _normal(seed, shape, device)
    elif generator is None:  # a graph compiled for any length takes none, not even None
        drawn = torch.randn(shape, device=device)
    else:
        check_draws_the_same(generator, "directions")
        drawn = torch.randn(shape, generator=generator, device=generator.device).to(device)
    return list(drawn.split(halves, dim=-1))


def _normal(seed: int, shape: Sequence[int], device: torch.device | str | None) -> Tensor:
    """Normal numbers of a generator with this seed; one operation where a graph is made.

    Those for a GPU are kept: to draw them on the CPU and to send them there takes as long as a
    small attention, and they are the same at every call.
    """
    if torch.compiler.is_compiling():
        return torch.ops.frugal.seeded_normal(seed, shape).to(device)
    if device is None or torch.device(device).type == "cpu" or detect_fake_mode() is not None:
        return _seeded_normal(seed, shape).to(device)
    place = seed, tuple(shape), torch.device(device)
    return kept(_kept, place, lambda: _seeded_normal(seed, shape).to(device), most=KEPT)


KEPT = 32
"""Seeds and shapes whose numbers are kept on a GPU."""
_kept: dict[Hashable, Tensor] = {}


def _seeded_normal(seed: int, shape: Sequence[int]) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, device=generator.device)


torch.library.custom_op(
    "frugal::seeded_normal",
    _seeded_normal,
    mutates_args=(),
    schema="(int seed, SymInt[] shape) -> Tensor",
).register_fake(lambda seed, shape: torch.empty(shape, device="cpu"))


def hash_buckets(
    x: Float[Tensor, "batch heads length head_dim"],
    rotations: Sequence[Float[Tensor, "n_hashes heads head_dim _"]],
) -> Int64[Tensor, "batch heads n_hashes length"]:
    """The bucket of every vector in every round, 0 … n_buckets - 1. No gradient passes.

    Cost: batch·heads·n_hashes·length·head_dim·Σ(factor / 2) multiplications.
    """
    found = None
    for directions in rotations:
        near = x.detach()[:, :, None] @ directions.to(x.dtype).transpose(0, 1)
        high, low = near.max(-1), near.min(-1)  # the opposite's product is the negative
        opposite = low.indices + directions.shape[-1]
        bucket = torch.where(high.values >= -low.values, high.indices, opposite)
        found = bucket if found is None else found * (2 * directions.shape[-1]) + bucket
    return found
