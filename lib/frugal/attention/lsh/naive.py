"""The definition, one token after the other: what `lsh_attention` is held against.

Source: kitaev2020reformer, equations 2 to 6. Chapter: hashing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def lsh_attention(
    qk: Float[Tensor, "batch heads length head_dim"],
    v: Float[Tensor, "batch heads length value_dim"],
    rotations: Sequence[Float[Tensor, "n_hashes heads head_dim _"]],
    *,
    chunk: int,
    causal: bool = False,
    padding: Bool[Tensor, "batch length"] | None = None,
    scale: float = 1.0,
    within_buckets: bool = False,
) -> Float[Tensor, "batch heads length value_dim"]:
    """For every token and round, a softmax over the keys shown; the rounds by their normalisers.

    Scores get -log N_ij, where N_ij counts the rounds that show the pair, and -1e5 for the token
    itself. Cost: length² of Python's steps a head.
    """
    out = torch.zeros_like(v)
    for b, h in torch.cartesian_prod(*map(torch.arange, qk.shape[:2])).tolist():
        real = range(qk.shape[2]) if padding is None else padding[b].nonzero().flatten().tolist()
        turns = range(rotations[0].shape[0])
        shown = [
            shown_keys(
                qk[b, h],
                [r[turn, h] for r in rotations],
                list(real),
                chunk,
                causal,
                within_buckets=within_buckets,
            )
            for turn in turns
        ]
        for i in real:
            outs, logs = [], []
            for keys in (turn[i] for turn in shown):
                counts = [sum(j in turn[i] for turn in shown) for j in keys]  # N_ij
                scores = torch.stack(
                    [
                        scale * qk[b, h, i] @ qk[b, h, j] / qk[b, h, j].norm()
                        - math.log(count)
                        - (1e5 if i == j else 0)
                        for j, count in zip(keys, counts, strict=True)
                    ]
                )
                logs.append(scores.logsumexp(0))
                outs.append(scores.softmax(0) @ v[b, h, keys])
            shares = torch.stack(logs).softmax(0)  # exp(z_r - z)
            out[b, h, i] = shares @ torch.stack(outs)
    return out


def shown_keys(
    qk: Float[Tensor, "length head_dim"],
    rotations: Sequence[Float[Tensor, "head_dim _"]],
    real: list[int],
    chunk: int,
    causal: bool,
    *,
    within_buckets: bool = False,
) -> dict[int, list[int]]:
    """What token i sees in one round: the keys in its chunk and in the one before it; with
    within_buckets, those of them that share its bucket.

    Tokens are ordered by bucket, then by position. A bucket is the nearest of all directions and
    their opposites; several hashes make one number.
    """
    bucket = dict.fromkeys(real, 0)
    for directions in rotations:
        for i in real:
            turned = qk[i] @ directions.to(qk.dtype)
            both = torch.cat([turned, -turned])
            bucket[i] = bucket[i] * len(both) + both.argmax().item()
    order = sorted(real, key=lambda i: (bucket[i], i))
    place = {i: at // chunk for at, i in enumerate(order)}
    return {
        i: [
            j
            for j in real
            if place[i] - 1 <= place[j] <= place[i]
            and not (causal and j > i)
            and not (within_buckets and bucket[j] != bucket[i])
        ]
        for i in real
    }
