"""Leave where a learned judge says that the full model would answer the same.

Source: schuster2021cat, with the features of its code. Chapter: leaving-early.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.checks import at_least
from frugal.depth.early_exit.calibration import conformal_threshold
from frugal.depth.early_exit.encoder import Seen


class Consistency(nn.Module):
    """A small network that predicts whether an exit agrees with the full model, and a threshold.

    It reads: the class that the exit would answer, its probability, by how much it leads, what
    lower exits but the first gave this class, how far up the exit is, and `hidden` features of what
    the classifier read. One network serves all exits.

    Train it by `loss` on what a trained model says of examples, then `calibrate` it on others;
    before that nobody leaves early.
    """

    threshold: Tensor

    def __init__(self, d_model: int, n_classes: int, n_exits: int, *, hidden: int = 32) -> None:
        super().__init__()
        at_least(1, d_model=d_model, hidden=hidden)
        at_least(2, n_classes=n_classes, n_exits=n_exits)
        self.n_exits, self.n_lower = n_exits, max(n_exits - 3, 0)
        self.pool = nn.Linear(d_model, hidden)
        self.inner = nn.Linear(n_classes + hidden + 2 + self.n_lower + 1, hidden)
        self.outer = nn.Linear(hidden, 1)
        self.register_buffer("threshold", torch.tensor(math.inf))

    def forward(
        self, scores: Float[Tensor, "rows exits classes"], state: Float[Tensor, "rows d_model"]
    ) -> Bool[Tensor, " rows"]:
        return self.score(scores, state) > self.threshold

    def score(
        self, scores: Float[Tensor, "rows exits classes"], state: Float[Tensor, "rows d_model"]
    ) -> Float[Tensor, " rows"]:
        """How likely the newest exit is to agree with the last, from 0 to 1."""
        return self._logit(scores, state).sigmoid()

    def _logit(self, scores: Tensor, state: Tensor) -> Tensor:
        newest = scores.shape[1] - 1  # from 0
        p = scores.softmax(-1)
        best = p[:, -1].topk(2)
        answer = best.indices[:, :1]  # (rows, 1)
        lower = p[:, 1:newest].gather(2, answer[:, None].expand(-1, max(newest - 1, 0), 1))
        parts = [
            torch.zeros_like(p[:, -1]).scatter(1, answer, 1.0),
            self.pool(state).tanh(),
            best.values[:, :1],
            best.values[:, :1] - best.values[:, 1:],
            F.pad(lower[..., 0].flip(1), (0, self.n_lower - lower.shape[1])),
            torch.full_like(best.values[:, :1], newest / (self.n_exits - 1)),
        ]
        return self.outer(self.inner(torch.cat(parts, 1)).tanh())[:, 0]

    def table(self, seen: Seen) -> Float[Tensor, "batch early"]:
        """The scores of all exits but the last."""
        return torch.stack(self._each(seen), 1).sigmoid()

    def _each(self, seen: Seen) -> list[Tensor]:
        return [
            self._logit(seen.scores[:, :k], seen.states[:, k - 1]) for k in range(1, self.n_exits)
        ]

    def loss(self, seen: Seen) -> Float[Tensor, ""]:
        """Cross-entropy of "agrees" and "disagrees", both with the same weight at each exit."""
        agrees = agreement(seen)  # (batch, exits - 1)
        total = seen.scores.new_zeros(())
        for logit, same in zip(self._each(seen), agrees.unbind(1), strict=True):
            share = same.double().mean().clamp(1 / (2 * len(same)), 1 - 1 / (2 * len(same)))
            weight = torch.where(same, 0.5 / share, 0.5 / (1 - share)).to(logit.dtype)
            total = total + F.binary_cross_entropy_with_logits(logit, same.to(logit), weight)
        return total / (self.n_exits - 1)

    @torch.no_grad()
    def calibrate(
        self, seen: Seen, tolerance: float, *, drop_consistent: bool = False
    ) -> Consistency:
        """Set the threshold by `conformal_threshold`, on examples that it was not trained on."""
        found = conformal_threshold(
            self.table(seen), agreement(seen), tolerance, drop_consistent=drop_consistent
        )
        self.threshold.fill_(found)
        return self


def agreement(seen: Seen) -> Bool[Tensor, "batch early"]:
    """Whether each exit but the last answers what the last one does."""
    answers = seen.scores.argmax(-1)  # (batch, exits)
    return answers[:, :-1] == answers[:, -1:]
