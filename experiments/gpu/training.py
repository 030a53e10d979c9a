"""Does a model train on the card as it does on the CPU?

The causal window model of the first part's experiments on associative recall, from the same
weights and batches on both devices, by AdamW with a warm-up. Their curves part by rounding;
between the devices they may differ by no more than between seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from frugal.attention.patterns import PatternAttention
from frugal.data import recall
from frugal.data.sequences import IGNORE
from frugal.model import Decoder, TransformerConfig

STEPS, EVERY, SEEDS, RATE = 300, 20, 3, 3e-3
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
    model.to(device if where == "card" else "cpu")
    began = time.perf_counter()
    losses = list(updates(model, steps, int(seed)))
    took = time.perf_counter() - began
    means = torch.tensor(losses).unflatten(0, (-1, every)).mean(1)
    return {"loss": means.tolist(), "training seconds": took}


def updates(model: Decoder, steps: int, seed: int) -> Iterator[float]:
    """The loss of each update. A loop of its own: `frugal.training` wants pandas for its tables."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    device = next(model.parameters()).device
    for step in range(steps):
        generator = torch.Generator().manual_seed(10_000 * seed + step)
        batch = recall.draw(
            BATCH, n_pairs=4, length=LENGTH, n_symbols=SYMBOLS, power=1, seed=generator
        )
        scores = model(batch.inputs.to(device)).flatten(0, 1)
        targets = batch.targets.to(device).flatten()
        loss = F.cross_entropy(scores, targets, ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:  # up for a third of the run, then down
            group["lr"] = RATE * min(3 * (step + 1) / steps, 1.5 * (1 - step / steps))
        optimizer.step()
        yield loss.item()


def verdict(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Of the curves: how far the devices' means lie apart at most, and the seeds of the CPU."""
    curves = {
        where: torch.tensor([run["values"]["loss"] for run in runs if run["setting"] == where])
        for where in ("card", "cpu")
    }
    apart = (curves["card"].mean(0) - curves["cpu"].mean(0)).abs()
    spread = curves["cpu"].amax(0) - curves["cpu"].amin(0)
    return {"largest distance": apart.max().item(), "largest spread": spread.max().item()}
