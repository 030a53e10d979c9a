"""Leaving early against the full model, against waiting for the last, and against half the layers.

Twelve layers of width 128 read 64 texts of 64 tokens. Who leaves where is planned, from the first
exit to the last, so that the mean exit is half the depth; the rule is asked and paid for all the
same. "all wait" is what a batch does whose examples cannot leave alone.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from experiments.bench import Case, call
from frugal.depth.early_exit import Confidence, ExitEncoder
from frugal.model import TransformerConfig

WIDTH, HEADS, LAYERS, LENGTH, BATCH = 128, 4, 12, 64, 64
BAR = 0.60


class Planned(nn.Module):
    """The rule of confidence is computed, and then a plan decides.

    exits: of each example of the batch, from 1.
    """

    def __init__(self, exits: Tensor) -> None:
        super().__init__()
        self.rule, self.exits = Confidence(0.9, torch.ones(LAYERS)), exits
        self.left = exits

    def forward(self, scores: Tensor, state: Tensor) -> Tensor:
        depth = scores.shape[1]
        if depth == 1:
            self.left = self.exits
        done = (self.left <= depth) | (self.rule(scores, state) & False)
        self.left = self.left[~done]
        return done


class Waiting(nn.Module):
    """Nobody leaves before the last of the plan: torch.all over the batch."""

    def __init__(self, exits: Tensor) -> None:
        super().__init__()
        self.rule, self.last = Confidence(0.9, torch.ones(LAYERS)), int(exits.max())

    def forward(self, scores: Tensor, state: Tensor) -> Tensor:
        done = self.rule(scores, state) & False
        return done | (scores.shape[1] >= self.last)


def plan(batch: int) -> Tensor:
    """Exits from 1 to LAYERS - 1, all about as often, with a mean of half the layers."""
    return 1 + torch.arange(batch) * (LAYERS - 1) // batch


def model(n_layers: int, width: int) -> ExitEncoder:
    config = TransformerConfig(
        50, d_model=width, n_heads=HEADS, n_layers=n_layers, positions="rope"
    )
    return ExitEncoder(config, 8).eval()


def cases(smoke: bool) -> list[Case]:
    """The bar is on the batch that shrinks."""
    width, batch = (16, 8) if smoke else (WIDTH, BATCH)
    torch.manual_seed(0)
    full, half = model(LAYERS, width), model(LAYERS // 2, width)
    ids, exits = torch.randint(50, (batch, 16 if smoke else LENGTH)), plan(batch)
    runs = {
        "full model": lambda ids: full.encoder(ids),
        "early exit": partial(full.leave, rule=Planned(exits)),
        "all wait": partial(full.leave, rule=Waiting(exits)),
        "half the layers": lambda ids: half.encoder(ids),
    }
    bars = {"early exit": BAR}
    return [
        Case(name, call(run, ids), None if name == "full model" else "full model", bars.get(name))
        for name, run in runs.items()
    ]
