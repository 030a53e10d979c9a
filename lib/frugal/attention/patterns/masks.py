"""Which keys a query may see, as rules; `pattern_mask` draws any of them, or several, as a matrix.

A rule is a function (query, key) -> bool of positions. The same rules make the dense masks here and
the block masks of the CUDA path in `patterns`; the pattern playground writes them once more in
JavaScript and is tested against them.

Sources: child2019sparse (strided, fixed), beltagy2020longformer (window, dilated, global),
zaheer2020bigbird (random, and the composition window + global + random). Chapter: fixed-patterns.

How windows count: `window` is the number of keys to each side, and the token itself is not
counted; a causal token sees `window` keys before it, and itself. Mistral's `sliding_window` counts
the token itself, so it is one more: `window_from_sliding_window` converts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, no_type_check

import torch
from jaxtyping import Bool
from torch import Tensor

from frugal.checks import at_least, did_you_mean, refuse

Pattern = Literal["full", "window", "dilated", "strided", "fixed", "global", "random"]
"""A pattern's name; several are joined by '+'."""

Rule = Callable[[Tensor, Tensor], Tensor]
"""(query positions, key positions) -> whether the query may see the key, broadcast.

Rules are traced into a kernel, where the run-time checks of the test suite cannot follow; hence
`no_type_check` on what a rule is made of.
"""


def full_rule() -> Rule:
    """Every key."""
    return lambda i, j: (i >= 0) & (j >= 0)


def window_from_sliding_window(sliding_window: int, *, causal: bool = True) -> int:
    """The `window` for a `sliding_window` of transformers, as Mistral's and Gemma's: one less.

    There the token itself is counted, in causal models; in those that see both sides (causal=False)
    the number is of keys to each side, as here. `AdaptiveSpan(max_span=...)` counts the token, too.
    Longformer's `attention_window` is the keys of both sides, so that half of it is the `window`.
    Raises ValueError for a number below 1, which would leave a causal token nothing to see.
    """
    at_least(1, sliding_window=sliding_window)
    return sliding_window - 1 if causal else sliding_window


def window_rule(*, window: int) -> Rule:
    """|i - j| <= window: so many keys to each side, and the token itself besides."""
    at_least(0, window=window)
    return lambda i, j: (i - j).abs() <= window


def dilated_rule(*, window: int, dilation: int) -> Rule:
    """`window` steps of `dilation` to each side: more reach for the same number of keys.

    The token itself is seen besides, as by `window_rule`.
    """
    at_least(0, window=window)
    at_least(1, dilation=dilation)
    return lambda i, j: ((i - j).abs() <= window * dilation) & ((i - j) % dilation == 0)


def strided_rule(*, stride: int) -> Rule:
    """The `stride` positions before i, i itself besides, and every `stride`-th before those."""
    at_least(1, stride=stride)
    return lambda i, j: (j <= i) & ((i - j <= stride) | ((i - j) % stride == 0))


def fixed_rule(*, stride: int, summary: int) -> Rule:
    """The block of `stride` positions around i, and the last `summary` positions of each block;
    of both only what is not after i."""
    at_least(1, stride=stride)
    if not 1 <= summary <= stride:
        raise ValueError(f"summary is {summary}; it must be 1 to {stride=}.")
    return lambda i, j: (j <= i) & ((i // stride == j // stride) | (j % stride >= stride - summary))


def global_rule(*, global_tokens: Sequence[int]) -> Rule:
    """A global token sees every position, and every position sees it."""
    places = [int(place) for place in global_tokens]
    if min(places, default=0) < 0:
        raise ValueError(f"global_tokens has {min(places)}; positions count from 0.")
    runs = _runs(places)

    @no_type_check
    def rule(i: Tensor, j: Tensor) -> Tensor:
        seen = (i < 0) & (j < 0)  # nothing yet
        for first, last in runs:
            seen = seen | ((i >= first) & (i <= last)) | ((j >= first) & (j <= last))
        return seen

    return rule


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of neighbours: a run is asked about at once."""
    runs: list[tuple[int, int]] = []
    for place in sorted(set(places)):
        if runs and place == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs


def random_rule(
    *,
    n_random: int,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    length: int,
    causal: bool,
) -> Rule:
    """`n_random` positions a query, drawn with repetition from all, or from 0 … i if causal.

    The draws are a hash of (seed, query, number of the draw), so that they are the same on every
    device and in the browser, and one pair can be asked about without drawing the others. seed: 0
    when None. generator: gives the seed.
    """
    seed = random_seed(seed, generator)
    at_least(0, n_random=n_random)

    @no_type_check
    def rule(i: Tensor, j: Tensor) -> Tensor:
        seen = (i < 0) & (j < 0)  # nothing yet
        for draw in range(n_random):
            key = _hash(i, draw, seed) % ((i + 1) if causal else length)
            seen = seen | (j == key)
        return seen

    return rule


def random_seed(seed: int | None, generator: torch.Generator | None) -> int:
    """The seed of the random pattern, 0 when neither is given. Raises ValueError for both."""
    if seed is not None:
        at_least(0, seed=seed)
        refuse("it must be None: seed says what is drawn.", generator=generator)
        return seed
    if generator is None:
        return 0
    return int(torch.randint(2**31, (), generator=generator, device=generator.device))


RULES: dict[str, Callable[..., Rule]] = {
    "full": full_rule,
    "window": window_rule,
    "dilated": dilated_rule,
    "strided": strided_rule,
    "fixed": fixed_rule,
    "global": global_rule,
    "random": random_rule,
}


def pattern_rule(name: Pattern | str, length: int, *, causal: bool = False, **options: Any) -> Rule:
    """The rule of a pattern, or of several joined by '+': a key is seen if any of them sees it.

    The options are those of the rules above. Patterns that take the same option share it.
    Raises ValueError for an unknown pattern and for an option that is missing or out of place.
    """
    given = {"length": length, "causal": causal, **options}
    rules, used = [], {"length", "causal"}
    for part in name.split("+"):
        if part not in RULES:
            raise ValueError(
                f"name has the pattern {part!r}; it must be one of {', '.join(RULES)}, "
                f"or several joined by '+'{did_you_mean(part, RULES)}."
            )
        wanted = inspect.signature(RULES[part]).parameters
        missing = [n for n, p in wanted.items() if p.default is p.empty and n not in given]
        if missing:
            raise ValueError(f"{missing[0]} is missing; the pattern {part!r} needs it.")
        used |= set(wanted)
        rules.append(RULES[part](**{n: given[n] for n in wanted if n in given}))
    if unused := set(options) - used:
        near = did_you_mean(min(unused), used - {"length", "causal"})
        raise ValueError(f"{min(unused)} is given; the pattern {name!r} does not take it{near}.")

    @no_type_check
    def rule(i: Tensor, j: Tensor) -> Tensor:
        seen = rules[0](i, j)
        for other in rules[1:]:
            seen = seen | other(i, j)
        return seen & (j <= i) if causal else seen

    return rule


def pattern_mask(
    name: Pattern | str,
    length: int,
    *,
    causal: bool = False,
    device: torch.device | str | None = None,
    **options: Any,
) -> Bool[Tensor, "{length} {length}"]:
    """True where query i may see key j under the pattern `name`.

    name: "full", "window" (window), "dilated" (window, dilation), "strided" (stride), "fixed"
    (stride, summary), "global" (global_tokens: positions), "random" (n_random, and seed or
    generator), or several joined by '+': Longformer is "window+global", BigBird
    "window+global+random". What the union sees is cut to j <= i when `causal`; strided and fixed
    always are. A window does not count the token itself; Mistral's `sliding_window` does
    (`window_from_sliding_window`). Memory: length² booleans. Raises ValueError for names and
    options that do not fit.
    """
    at_least(1, length=length)
    rule = pattern_rule(name, length, causal=causal, **options)
    places = torch.arange(length, device=device)
    return rule(places[:, None], places[None, :]).expand(length, length)


def receptive_field(
    mask: Bool[Tensor, "length length"], layers: int
) -> Bool[Tensor, "length length"]:
    """True where position j can have reached position i after `layers` layers with `mask`.

    A layer passes on what its keys hold; the residual connection passes on the position itself.
    Cost: `layers` products of length x length matrices.
    """
    at_least(0, layers=layers)
    reached = torch.eye(len(mask), dtype=torch.bool, device=mask.device)
    step = (mask | reached).float()
    for _ in range(layers):
        reached = step @ reached.float() > 0
    return reached


@no_type_check
def _hash(query: Tensor, draw: int, seed: int) -> Tensor:
    """32 mixed bits in an int64: multiply and fold, twice (the low 32 bits, as Math.imul has).

    A kernel on a GPU counts positions in 32 bits, where the products would wrap.
    """
    query = query.to(torch.int64)
    start = (0x85EBCA77 * draw + 0xC2B2AE3D * seed) & 0xFFFFFFFF
    x = (query * 0x9E3779B1 + start) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)
