"""How many facts fit through how many latents?

A Perceiver IO reads 8, 16 or 32 pairs of a key and a value, drawn anew each time, through 4 to 64
latents, and is asked for the value of every key. Width 48, one layer on the latents. The share of
right answers says what came through the latents; guessing gives 1/16. About 8 seconds a run on one
core.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.arithmetic.fewer_tokens import perceiver_flops
from frugal.tokens.latents import PerceiverIO
from frugal.training import train

STEPS = 400
BATCH = 64
WIDTH = 48
KEYS = 64
VALUES = 16
LAYERS = 1


def settings() -> dict[str, dict[str, Any]]:
    """By name: the number of pairs and of latents."""
    grid = [(pairs, latents) for pairs in (8, 16, 32) for latents in (4, 8, 16, 32)]
    return {
        f"{pairs} pairs, {latents} latents": {"pairs": pairs, "latents": latents}
        for pairs, latents in [*grid, (32, 64)]
    }


class Facts(NamedTuple):
    """Keys, all different, and their values: (batch, pairs) each."""

    keys: Tensor
    values: Tensor


def draw(batch: int, pairs: int, generator: torch.Generator) -> Facts:
    keys = torch.rand(batch, KEYS, generator=generator).argsort(1)[:, :pairs]
    return Facts(keys, torch.randint(VALUES, (batch, pairs), generator=generator))


class Memory(nn.Module):
    """Pairs in, latents between, and one query for each asked key."""

    def __init__(self, pairs: int, latents: int) -> None:
        super().__init__()
        self.key = nn.Embedding(KEYS, WIDTH)
        self.value = nn.Embedding(VALUES, WIDTH)
        self.place = nn.Parameter(torch.randn(pairs, WIDTH))
        self.perceiver = PerceiverIO(
            WIDTH, WIDTH, latents, n_layers=LAYERS, n_heads=4, n_cross_heads=4
        )
        self.answer = nn.Linear(WIDTH, VALUES)

    def forward(self, facts: Facts, asked: Tensor) -> Tensor:
        """asked: (batch, questions) keys; out: (batch, questions, values)."""
        inputs = self.key(facts.keys) + self.value(facts.values) + self.place
        return self.answer(self.perceiver(inputs, self.key(asked)))


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train once: the share of right answers on new pairs, FLOPs for one set of pairs."""
    torch.manual_seed(seed)
    pairs, latents = setting["pairs"], setting["latents"]
    model = Memory(pairs, latents)
    batch = 4 if smoke else BATCH

    def batches(step: int, generator: torch.Generator) -> Facts:
        return draw(batch, pairs, generator)

    def loss(model: nn.Module, facts: Facts) -> Tensor:
        scores = model(facts, facts.keys)
        return F.cross_entropy(scores.flatten(0, 1), facts.values.flatten())

    train(model, batches, loss, steps=3 if smoke else STEPS, lr=4e-3, seed=seed, progress=False)
    model.eval()
    facts = draw(512, pairs, torch.Generator().manual_seed(10_000 + seed))
    with torch.no_grad():
        right = model(facts, facts.keys).argmax(-1) == facts.values
    cost = perceiver_flops(pairs, latents, pairs, n_layers=LAYERS, d_model=WIDTH, d_ff=WIDTH)
    return {"accuracy": right.double().mean().item(), "flops": float(cost.total)}
