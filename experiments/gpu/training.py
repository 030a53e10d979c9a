"""Does a model train on the card as it does on the CPU?

The causal window model of the first part's experiments on associative recall, with the book's
training loop, from the same weights and batches on both devices. Their curves part by rounding;
between the devices they may differ by no more than between seeds.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.attention.patterns import PatternAttention
from frugal.model import Decoder, TransformerConfig

STEPS, EVERY, SEEDS = 300, 20, 3
SMOKE_STEPS, SMOKE_SEEDS = 4, 2
LENGTH, BATCH, SYMBOLS = 64, 32, 32


def names(smoke: bool) -> list[str]:
    """A run for each seed and device, the card's first."""
    size = "smoke" if smoke else "full"
    seeds = range(SMOKE_SEEDS if smoke else SEEDS)
    return [f"{where} | {seed} | {size}" for where in ("card", "cpu") for seed in seeds]


def about(job: str) -> dict[str, Any]:
    where = job.split(" | ")[0]
    return {"device": where, "steps": STEPS, "mean of": EVERY, "length": LENGTH, "batch": BATCH}


def work(job: str, device: str) -> dict[str, Any]:
    """The mean loss of every few updates, in nats."""
    from frugal.data import recall  # pandas is needed from here on
    from frugal.data.sequences import IGNORE
    from frugal.training import train

    where, seed, size = job.split(" | ")
    steps, every = (STEPS, EVERY) if size == "full" else (SMOKE_STEPS, 2)
    torch.set_num_threads(1)
    torch.manual_seed(int(seed))
    attend = PatternAttention("window", window=32)
    model = Decoder(
        TransformerConfig(
            SYMBOLS,
            d_model=64,
            n_heads=4,
            n_layers=2,
            positions="rope",
            make_attend=lambda index, config: attend,
        )
    )

    def loss(model: Decoder, batch: Any) -> Tensor:
        scores = model(batch.inputs).flatten(0, 1)
        return F.cross_entropy(scores, batch.targets.flatten(), ignore_index=IGNORE)

    def draw(step: int, generator: torch.Generator) -> Any:
        here = torch.Generator().manual_seed(10_000 * int(seed) + step)
        return recall.draw(BATCH, n_pairs=4, length=LENGTH, n_symbols=SYMBOLS, power=1, seed=here)

    history = train(
        model,
        draw,
        loss,
        steps=steps,
        seed=int(seed),
        device=device if where == "card" else "cpu",
        progress=False,
    )
    losses = torch.tensor(history.losses).unflatten(0, (-1, every)).mean(1)
    return {"loss": losses.tolist(), "training seconds": history.seconds}


def verdict(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Of the curves: how far the devices' means lie apart at most, and the seeds of the CPU."""
    curves = {
        where: torch.tensor([run["values"]["loss"] for run in runs if run["setting"] == where])
        for where in ("card", "cpu")
    }
    apart = (curves["card"].mean(0) - curves["cpu"].mean(0)).abs()
    spread = curves["cpu"].amax(0) - curves["cpu"].amin(0)
    return {"largest distance": apart.max().item(), "largest spread": spread.max().item()}
