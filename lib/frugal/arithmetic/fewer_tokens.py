"""What fewer tokens save, by arithmetic: FLOPs of a funnel and of a Perceiver, for one sequence.

A multiplication and an addition are two FLOPs; only matrix products are counted, as in
`frugal.arithmetic.transformer`. The figures compute the same formulas in the browser; a test
compares the two. Chapters: dropping-tokens, pooling-tokens, latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


def pooled_length(length: int, *, keep_first: bool = False) -> int:
    """⌈length / 2⌉; with `keep_first` one more than that of the rest.

    Raises ValueError when there is no pair to pool.
    """
    rest = length - keep_first
    if rest < 2:
        beside = " beside the first one, which stays apart" if keep_first else ""
        raise ValueError(f"length is {length}; pooling needs at least two tokens{beside}.")
    return (rest + 1) // 2 + keep_first


def check_schedule(keep: Sequence[int], n_layers: int) -> tuple[int, ...]:
    """`keep` as a tuple.

    Raises ValueError unless it has one whole number for each layer, 1 or more, and never grows.
    """
    keep = tuple(keep)
    if len(keep) != n_layers:
        raise ValueError(
            f"keep has {len(keep)} numbers; it must have one for each of {n_layers} layers."
        )
    for index, tokens in enumerate(keep):
        if isinstance(tokens, bool) or not isinstance(tokens, int):
            raise ValueError(f"keep has {tokens!r}; it must have whole numbers of tokens.")
        if tokens < 1:
            raise ValueError(f"keep has {tokens}; each layer must keep 1 token or more.")
        if index and tokens > keep[index - 1]:
            raise ValueError(
                f"keep grows from {keep[index - 1]} to {tokens} after layer {index}; "
                "dropped tokens do not come back, so it must not grow."
            )
    return keep


def elimination_flops(keep: Sequence[int], *, length: int, d_model: int, d_ff: int) -> int:
    """FLOPs of the layers' matrix products for one sequence; 2 for a multiplication and addition.

    A layer that N tokens enter and N_l leave projects N queries, keys and values, compares N
    queries with N keys, and does the rest for N_l tokens only.
    """
    check_schedule(keep, len(keep))
    total, entering = 0, length
    for tokens in keep:
        leaving = min(tokens, entering)
        total += 6 * entering * d_model**2 + 2 * entering**2 * d_model
        total += 2 * leaving * entering * d_model + 2 * leaving * d_model**2
        total += 4 * leaving * d_model * d_ff
        entering = leaving
    return total
