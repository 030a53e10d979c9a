"""α-entmax against the public package: values that sum to one, forward and with gradients.

Scores of (4, 1024, 1024), spread 1. The package sorts for α = 1.5 and for sparsemax, and halves an
interval 50 times where α is learned.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from experiments.bench import Case
from frugal.attention.entmax import entmax


def cases(smoke: bool) -> list[Case]:
    """Three kinds of α, each in both directions, and softmax for scale."""
    from entmax import entmax15, entmax_bisect, sparsemax

    n = 64 if smoke else 1024
    scores = torch.randn(4, n, n, requires_grad=True)
    grad = torch.randn_like(scores)
    alpha = torch.full((4, 1, 1), 1.4, requires_grad=True)

    def learned(function: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda z: function(z, alpha.expand(4, n, 1))

    pairs = {
        "1.5": (entmax, partial(entmax15, dim=-1), 0.20),
        "2": (partial(entmax, alpha=2), partial(sparsemax, dim=-1), None),
        "learned": (learned(entmax), learned(entmax_bisect), 0.35),
    }
    found = []
    for direction in ("forward", "training"):
        training = direction == "training"
        found.append(
            Case(
                f"{direction} softmax",
                _call(partial(torch.softmax, dim=-1), scores, grad, training),
            )
        )
        for name, (ours, theirs, bar) in pairs.items():
            peer = f"{direction} {name} package"
            found.append(Case(peer, _call(theirs, scores, grad, training)))
            found.append(
                Case(f"{direction} {name}", _call(ours, scores, grad, training), peer, bar)
            )
    return found


def _call(
    function: Callable[[Tensor], Tensor], scores: Tensor, grad: Tensor, training: bool
) -> Callable[[], None]:
    def forward() -> None:
        with torch.no_grad():
            function(scores)

    def both() -> None:
        torch.autograd.grad(function(scores), scores, grad)

    return both if training else forward
