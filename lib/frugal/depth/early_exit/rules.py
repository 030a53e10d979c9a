"""When to leave: the answer is sure enough, or has not changed for a while.

A rule is asked after every layer but the last, for all examples that are left, and answers for each
of them alone. At the last layer everybody leaves.

Sources: schwartz2020right, zhou2020pabee. Chapter: leaving-early.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.checks import at_least, instance_of, within


class Confidence(nn.Module):
    """Leave where the largest probability is at least `threshold` (schwartz2020right).

    temperatures: of each exit, from `fit_temperatures`; 1 for all when None. They change who
    leaves, never what an exit answers. With threshold 0 everybody leaves at the first exit.
    """

    temperatures: Tensor | None

    def __init__(
        self, threshold: float, temperatures: Float[Tensor, " exits"] | None = None
    ) -> None:
        super().__init__()
        within(0, 1, threshold=threshold)
        if temperatures is not None:
            instance_of(Tensor, temperatures=temperatures)
            if temperatures.ndim != 1 or not (temperatures > 0).all():
                raise ValueError(
                    "temperatures is no list of positive numbers; it must have one for each exit."
                )
        self.threshold = threshold
        self.register_buffer("temperatures", temperatures)

    def forward(
        self, scores: Float[Tensor, "rows exits classes"], state: Tensor | None = None
    ) -> Bool[Tensor, " rows"]:
        newest, z = scores.shape[1] - 1, scores[:, -1]
        if self.temperatures is not None:
            if newest >= len(self.temperatures):
                raise ValueError(
                    f"temperatures has {len(self.temperatures)}; exit {newest + 1} needs one too."
                )
            z = z / self.temperatures[newest].to(z)
        return z.softmax(-1).amax(-1) >= self.threshold


class Patience(nn.Module):
    """Leave when `patience` exits in a row have repeated the answer before them (zhou2020pabee).

    The same as a counter that grows with each repetition and falls to 0 with each change. Exit
    `patience` + 1 is the first that can be taken. With `patience` at the number of exits or above
    nobody leaves early: that is the full model, and no error.
    """

    def __init__(self, patience: int) -> None:
        super().__init__()
        at_least(1, patience=patience)
        self.patience = patience

    def forward(
        self, scores: Float[Tensor, "rows exits classes"], state: Tensor | None = None
    ) -> Bool[Tensor, " rows"]:
        answers = scores[:, -self.patience - 1 :].argmax(-1)  # (rows, patience + 1)
        if answers.shape[1] <= self.patience:
            return torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
        return (answers == answers[:, -1:]).all(1)
