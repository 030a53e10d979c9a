"""How many facts fit through how many latents, of which width, after how many updates?

A Perceiver IO reads 8 or 16 pairs of a key and a value, drawn anew each time, through 2 to 16
latents of width 24, 48 or 96, and is asked for the value of every key. One layer on the latents.
The share of right answers says what came through the latents; guessing gives 1/16. Every size is
trained at two learning rates; a chapter takes the rate that is better on the validation facts after
the last update and reads the test facts. The moments of one run (every 200 of 1,600 updates) say
whether it has come to rest. About 16 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.arithmetic.fewer_tokens import perceiver_flops
from frugal.tokens.latents import PerceiverIO
from frugal.training import train

STEPS, BATCH, EVERY = 1600, 64, 200
RATES = (2e-3, 5e-3)
KEYS = 64
VALUES = 16
LAYERS = 1
HELD_OUT = 512


def settings() -> dict[str, dict[str, Any]]:
    """By name: the pairs, the latents and their width, and the peak learning rate."""
    grid = [(8, latents, width) for width in (24, 48, 96) for latents in (2, 4, 8)]
    grid += [(8, 16, 48), *((16, latents, 48) for latents in (4, 8, 16))]
    return {
        f"{pairs} pairs, {latents} latents of {width}, rate {lr:g}": {
            "pairs": pairs,
            "latents": latents,
            "width": width,
            "lr": lr,
        }
        for pairs, latents, width in grid
        for lr in RATES
    }


class Facts(NamedTuple):
    """Keys, all different, and their values: (batch, pairs) each."""

    keys: Tensor
    values: Tensor


def draw(batch: int, pairs: int, generator: torch.Generator) -> Facts:
    keys = torch.rand(batch, KEYS, generator=generator).argsort(1)[:, :pairs]
    return Facts(keys, torch.randint(VALUES, (batch, pairs), generator=generator))


class Memory(nn.Module):
    """Pairs in, latents between, and one query for each asked key; all of one width."""

    def __init__(self, pairs: int, latents: int, width: int) -> None:
        super().__init__()
        self.key = nn.Embedding(KEYS, width)
        self.value = nn.Embedding(VALUES, width)
        self.place = nn.Parameter(torch.randn(pairs, width))
        self.perceiver = PerceiverIO(
            width, width, latents, n_layers=LAYERS, n_heads=4, n_cross_heads=4
        )
        self.answer = nn.Linear(width, VALUES)

    def forward(self, facts: Facts, asked: Tensor) -> Tensor:
        """asked: (batch, questions) keys; out: (batch, questions, values)."""
        inputs = self.key(facts.keys) + self.value(facts.values) + self.place
        return self.answer(self.perceiver(inputs, self.key(asked)))


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: the share of right answers on new pairs and its curve, FLOPs for one set."""
    torch.manual_seed(seed)
    pairs, latents, width = (setting[name] for name in ("pairs", "latents", "width"))
    model = Memory(pairs, latents, width)
    batch, held_out = (4, 16) if smoke else (BATCH, HELD_OUT)
    parts = {
        part: draw(held_out, pairs, torch.Generator().manual_seed(first + seed))
        for part, first in (("valid", 20_000), ("test", 10_000))
    }

    def loss(model: nn.Module, facts: Facts) -> Tensor:
        scores = model(facts, facts.keys)
        return F.cross_entropy(scores.flatten(0, 1), facts.values.flatten())

    def shares(model: nn.Module) -> dict[str, float]:
        right = {part: model(f, f.keys).argmax(-1) == f.values for part, f in parts.items()}
        return {part: found.double().mean().item() for part, found in right.items()}

    history = train(
        model,
        lambda step, generator: draw(batch, pairs, generator),
        loss,
        steps=4 if smoke else STEPS,
        lr=setting["lr"],
        seed=seed,
        evaluate=shares,
        every=2 if smoke else EVERY,
        progress=False,
    )
    last = history.evaluations[-1]
    cost = perceiver_flops(pairs, latents, pairs, n_layers=LAYERS, d_model=width, d_ff=width)
    return {
        "accuracy": last["test"],
        "valid": last["valid"],
        "curve": [[one["step"], one["test"]] for one in history.evaluations],
        "asked": parts["test"].values.numel(),
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "flops": float(cost.total),
    }
