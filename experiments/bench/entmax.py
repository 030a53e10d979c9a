"""α-entmax against the public package: values that sum to one, forward and with gradients.

Scores of (4, 1024, 1024), spread 1. The package sorts for α = 1.5 and for sparsemax, and halves an
interval 50 times where α is learned; there α gets its gradient too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from experiments.bench import Case, call
from frugal.attention.entmax import entmax


def cases(smoke: bool) -> list[Case]:
    """Three kinds of α, each in both directions, and softmax for scale."""
    from entmax import entmax15, entmax_bisect, sparsemax

    n = 64 if smoke else 1024
    scores = torch.randn(4, n, n)
    alpha = torch.full((4, 1, 1), 1.4)

    def learned(function: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda z, alpha: function(z, alpha.expand(4, n, 1))

    softmax = partial(torch.softmax, dim=-1)
    pairs = {
        "1.5": (entmax, partial(entmax15, dim=-1), (scores,), 0.20),
        "2": (partial(entmax, alpha=2), partial(sparsemax, dim=-1), (scores,), None),
        "learned": (learned(entmax), learned(entmax_bisect), (scores, alpha), 0.35),
    }
    found = []
    for direction in ("forward", "training"):
        timed = partial(call, training=direction == "training")
        found.append(Case(f"{direction} softmax", timed(softmax, scores)))
        for name, (ours, theirs, given, bar) in pairs.items():
            peer = f"{direction} {name} package"
            found.append(Case(peer, timed(theirs, *given)))
            found.append(Case(f"{direction} {name}", timed(ours, *given), peer, bar))
    return found
