"""What fewer tokens save, by arithmetic: FLOPs of a funnel and of a Perceiver, for one sequence.

A multiplication and an addition are two FLOPs; only matrix products are counted, as in
`frugal.cost`. The figures compute the same formulas in the browser; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frugal.tokens.pooling import pooled_length


def layer_flops(queries: int, keys: int, *, d_model: int, d_ff: int) -> int:
    """A layer whose queries may be fewer than its keys, all of one width.

    4·(queries + keys)·d_model² for the projections, 4·queries·keys·d_model for scores and weighted
    sum, 4·queries·d_model·d_ff for the feed-forward network.
    """
    projections = 4 * (queries + keys) * d_model**2
    return projections + 4 * queries * keys * d_model + 4 * queries * d_model * d_ff


@dataclass(frozen=True, kw_only=True)
class FunnelLayerCost:
    """One layer of a funnel. block: 0, 1, ...; None for a layer of the decoder."""

    block: int | None
    queries: int
    keys: int
    flops: int


def funnel_flops(
    length: int, *, blocks: Sequence[int], d_model: int, d_ff: int, n_decoder_layers: int = 0
) -> tuple[FunnelLayerCost, ...]:
    """Every layer of a `FunnelEncoder`, first to last; blocks of one entry are a plain encoder.

    Raises ValueError when there are no layers, or the length cannot be halved that often.
    """
    if not blocks or min(blocks) < 1:
        raise ValueError(f"blocks is {tuple(blocks)}; each block needs at least one layer.")
    shapes: list[tuple[int | None, int, int]] = []
    tokens = length
    for block, size in enumerate(blocks):
        keys = tokens
        tokens = pooled_length(tokens) if block else tokens
        shapes += [(block, tokens, tokens if index else keys) for index in range(size)]
    shapes += [(None, length, length)] * n_decoder_layers
    return tuple(
        FunnelLayerCost(
            block=block,
            queries=queries,
            keys=keys,
            flops=layer_flops(queries, keys, d_model=d_model, d_ff=d_ff),
        )
        for block, queries, keys in shapes
    )


@dataclass(frozen=True, kw_only=True)
class PerceiverCost:
    """FLOPs of the three steps."""

    encode: int
    process: int
    decode: int

    @property
    def total(self) -> int:
        return self.encode + self.process + self.decode


def perceiver_flops(
    inputs: int,
    latents: int,
    outputs: int,
    *,
    n_layers: int,
    d_model: int,
    d_ff: int,
) -> PerceiverCost:
    """A `PerceiverIO` that is d_model wide everywhere and runs n_layers layers on its latents.

    Raises ValueError when there are no inputs, latents or outputs.
    """
    for name, size in (("inputs", inputs), ("latents", latents), ("outputs", outputs)):
        if size < 1:
            raise ValueError(f"{name} is {size}; it must be at least 1.")
    widths = {"d_model": d_model, "d_ff": d_ff}
    return PerceiverCost(
        encode=layer_flops(latents, inputs, **widths),
        process=n_layers * layer_flops(latents, latents, **widths),
        decode=layer_flops(outputs, latents, **widths),
    )
