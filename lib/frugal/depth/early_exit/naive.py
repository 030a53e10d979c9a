"""Early exit by definition: one example after another, a counter, layers in a loop.

What the fast form is held against. Chapter: leaving-early.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from frugal.depth.early_exit.encoder import ExitEncoder, Left


def leave(
    model: ExitEncoder,
    ids: Tensor,
    padding: Tensor | None,
    fulfilled: Callable[[list[Tensor], Tensor], bool],
) -> Left:
    """Each example climbs alone until fulfilled(its scores so far, its state), or to the top."""
    found, exits = [], []
    for row in range(len(ids)):
        real = None if padding is None else padding[row : row + 1]
        x, _ = model._start(ids[row : row + 1], real)
        begin = 0 if real is None else int(real[0].int().argmax())
        firsts, scores = [], []
        for index, layer in enumerate(model.encoder.stack.layers):
            x = layer(x, padding=real)
            firsts.append(x[:, begin])
            state = model._state(index, torch.stack(firsts, 1))
            scores.append(model.classify[index](state)[0])
            if fulfilled(scores, state[0]):
                break
        found.append(scores[-1])
        exits.append(len(scores))
    return Left(torch.stack(found), torch.tensor(exits, device=ids.device))


def confident(
    threshold: float, temperatures: list[float]
) -> Callable[[list[Tensor], Tensor], bool]:
    """The rule of schwartz2020right for one example."""
    return lambda scores, state: bool(
        (scores[-1] / temperatures[len(scores) - 1]).softmax(0).max() >= threshold
    )


def patient(patience: int) -> Callable[[list[Tensor], Tensor], bool]:
    """The rule of zhou2020pabee for one example, with its counter."""

    def fulfilled(scores: list[Tensor], state: Tensor) -> bool:
        counter, answers = 0, [int(one.argmax()) for one in scores]
        for before, now in pairwise(answers):
            counter = counter + 1 if now == before else 0
        return counter == patience

    return fulfilled
