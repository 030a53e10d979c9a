"""Sinkhorn normalisation: from any square of scores to a matrix whose rows and columns sum to 1.

Such a matrix is a mixture of permutations, a permutation that can be learned by gradient. The
lower the temperature, the closer it comes to a single one.

Sources: sinkhorn1964relationship for the iteration, mena2018learning for the noise and the
temperature, tay2020sinkhorn for its use in attention. Chapter: sorting.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.checks import at_least, check_mask
from frugal.replays import check_draws_the_same


def sinkhorn(
    scores: Float[Tensor, "*batch rows columns"],
    *,
    n_iterations: int = 8,
    temperature: float | int = 1.0,
    noise: Float[Tensor, "*batch rows columns"] | None = None,
    mask: Bool[Tensor, "..."] | None = None,
    balanced: bool = True,
) -> Float[Tensor, "*batch rows columns"]:
    """exp((scores + noise) / temperature), its rows and columns divided by their sums in turn.

    n_iterations: times that rows, then columns are normalised, in logarithms; 0 gives only the
    exponential, scaled to a largest entry of 1 to stay finite. noise: `gumbel_noise`, for one.
    mask: True = may be used, broadcast to `scores`; other entries are 0, and so is a row or column
    without any. balanced: False normalises the rows alone, once. A causal matrix needs that, since
    the sum of a column tells an early row about later ones; `causal_sinkhorn` shows how.

    Raises ValueError for a temperature that is not above 0, a negative number of iterations, and a
    mask or noise that does not fit. Cost: 4·n_iterations·rows·columns operations, in float32 where
    the scores are narrower.
    """
    logs = _hide(_start(scores, n_iterations, temperature, noise, mask), mask)
    if not balanced:
        logs = _hide(logs - logs.logsumexp(-1, keepdim=True), mask)
    elif n_iterations == 0:
        logs = _hide(logs - logs.amax((-2, -1), keepdim=True), mask)
    for _ in range(n_iterations if balanced else 0):
        logs = _hide(logs - logs.logsumexp(-1, keepdim=True), mask)
        logs = _hide(logs - logs.logsumexp(-2, keepdim=True), mask)
    return logs.exp().to(scores.dtype)


def causal_sinkhorn(
    scores: Float[Tensor, "*batch rows rows"],
    *,
    n_iterations: int = 8,
    temperature: float | int = 1.0,
    noise: Float[Tensor, "*batch rows rows"] | None = None,
    mask: Bool[Tensor, "..."] | None = None,
    transposed: bool = False,
) -> Float[Tensor, "*batch rows rows"]:
    """Causal Sinkhorn Balancing: rows and columns divided by their sums under a causal mask.

    Row i keeps the columns before i. mask: more to hide, True = may be used. transposed: what the
    sum of column j runs over.

    False: the rows after j, the entries that are kept. The columns are balanced, and every row
    depends on later rows: this leaks.
    True: the rows before j, the transposed mask, as in the author's code. No row depends on a later
    one, and the columns that are kept are not balanced: what is counted is never used.

    The other arguments, errors and cost are those of `sinkhorn`.
    """
    rows = scores.shape[-1]
    earlier = torch.ones(rows, rows, dtype=torch.bool, device=scores.device).tril(-1)
    keep = earlier if mask is None else earlier & mask
    if not transposed:
        return sinkhorn(
            scores, n_iterations=n_iterations, temperature=temperature, noise=noise, mask=keep
        )
    logs = _start(scores, n_iterations, temperature, noise, mask)
    counted = earlier.mT if mask is None else earlier.mT & mask
    for _ in range(n_iterations):
        logs = logs - _log_sum(logs, keep, -1)
        logs = logs - _log_sum(logs, counted, -2)
    return _hide(logs, keep).exp().to(scores.dtype)


def _start(
    scores: Tensor,
    n_iterations: int,
    temperature: float | int,
    noise: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """(scores + noise) / temperature in float32 at least, after a look at all arguments."""
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0.")
    at_least(0, n_iterations=n_iterations)
    if noise is not None and noise.shape != scores.shape:
        raise ValueError(
            f"noise has shape {tuple(noise.shape)}; it must have that of scores, "
            f"{tuple(scores.shape)}."
        )
    check_mask("mask", mask, tuple(scores.shape))
    logs = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return (logs if noise is None else logs + noise) / temperature


def _log_sum(logs: Tensor, mask: Tensor, axis: int) -> Tensor:
    """logsumexp of what the mask keeps; 0 where it keeps nothing, so that nothing is divided."""
    return _hide(logs, mask).logsumexp(axis, keepdim=True) * mask.any(axis, keepdim=True)


def _hide(logs: Tensor, mask: Tensor | None) -> Tensor:
    """Nothing where the mask is False: a row without entries would come back from its sum.

    Not -inf, from which such a row would become NaN.
    """
    return logs if mask is None else logs.masked_fill(~mask, torch.finfo(logs.dtype).min / 4)


def gumbel_noise(
    like: Float[Tensor, "*shape"], *, generator: torch.Generator | None = None
) -> Float[Tensor, "*shape"]:
    """Samples of -log(-log(u)) in the shape of `like`, its device and dtype.

    Added to scores, they make the best permutation a random one whose odds follow the scores.
    """
    if generator is None:  # a graph compiled for any length takes none, not even None
        uniform = torch.rand(like.shape, device=like.device)
    else:
        check_draws_the_same(generator, "noise")
        uniform = torch.rand(like.shape, generator=generator, device=generator.device)
        uniform = uniform.to(like.device)
    tiny = torch.finfo(uniform.dtype).tiny
    return -(-uniform.clamp(min=tiny).log()).clamp(min=tiny).log().to(like.dtype)
