"""What does a memory of product keys learn by heart that a dense layer of equal FLOPs does not?

Facts: 6,144 names of three letters, drawn from the 17,576 that there are, each with one of 32
numbers that was drawn by chance. A model adds the vectors of the three letters, passes the sum
through one layer with a residual, and names the number. There is no rule to find, so what a model
gets right it has stored. Every arm trains on all facts: the half by which the learning rate is
chosen is not the half that is reported.

The arms: a dense feed-forward layer; one that is as large as the memory in parameters; memories
(lample2019pkm) of 12², 24² and 48² values, of which 2 heads read 8 each; one head that reads 16;
queries with batch norm; the gated form (berges2024memory). The values of these move ten times as
far in an update as the other weights, those of one more memory as far as they. Each arm is trained
with the same four rates. During training: the loss over all facts, the share of the values that
some fact reads, and how far the reading is from even. About 5 seconds a run on one core.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.product_keys import ProductKeyMemory
from frugal.training import train

LETTERS, PLACES = 26, 3
FACTS, NUMBERS = 6144, 32
D_MODEL, READS, KEY_WIDTH = 32, 16, 32
STEPS, BATCH, EVERY = 1200, 256, 120
RATES = (3e-3, 1e-2, 3e-2, 1e-1)
FASTER = 10.0
"""How much farther values move in an update than the other weights."""

ARMS: dict[str, dict[str, Any]] = {
    "dense": {"d_ff": 36},
    "wide": {"d_ff": 311},
    "keys-12": {"n_keys": 12},
    "keys-24": {"n_keys": 24},
    "keys-48": {"n_keys": 48},
    "one-head": {"n_keys": 24, "heads": 1},
    "slow": {"n_keys": 24, "slow": True},
    "normed": {"n_keys": 24, "normed": True},
    "gated": {"n_keys": 24, "gated": True},
}


def settings() -> dict[str, dict[str, Any]]:
    """Every arm with every rate, by name `arm-rate`."""
    return {f"{arm}-{lr:g}": {**one, "lr": lr} for arm, one in ARMS.items() for lr in RATES}


class FastValues(nn.Module):
    """A memory whose values move `by` times as far in an update of Adam: they are kept that much
    smaller, and what is read is multiplied."""

    def __init__(self, memory: ProductKeyMemory, by: float) -> None:
        super().__init__()
        self.memory, self.by = memory, by
        with torch.no_grad():
            memory.values /= by

    def forward(self, x: Tensor) -> Tensor:
        return self.by * self.memory(x)


def layer_of(setting: dict[str, Any]) -> nn.Module:
    """The layer that the arms differ in."""
    if "d_ff" in setting:
        return DenseFeedForward(D_MODEL, setting["d_ff"])
    heads = setting.get("heads", 2)
    memory = ProductKeyMemory(
        D_MODEL,
        setting["n_keys"],
        heads=heads,
        k=READS // heads,
        d_key=KEY_WIDTH // heads,
        gated=setting.get("gated", False),
    )
    if setting.get("normed"):
        memory.to_query = nn.Sequential(memory.to_query, nn.BatchNorm1d(KEY_WIDTH))
    return memory if setting.get("slow") else FastValues(memory, FASTER)


def flops(setting: dict[str, Any]) -> int:
    """For one name, two for each product that is added; choosing the best keys is not counted."""
    if "d_ff" in setting:
        return 4 * D_MODEL * setting["d_ff"]
    query, scores = 2 * D_MODEL * KEY_WIDTH, 2 * setting["n_keys"] * KEY_WIDTH
    gate = 4 * D_MODEL**2 if setting.get("gated") else 0
    return query + scores + 2 * READS * D_MODEL + gate


class Recall(nn.Module):
    """Three letters to scores of the numbers: (batch, 3) -> (batch, NUMBERS)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.letter = nn.Embedding(PLACES * LETTERS, D_MODEL)
        self.norm, self.last_norm = nn.LayerNorm(D_MODEL), nn.LayerNorm(D_MODEL)
        self.layer = layer
        self.number = nn.Linear(D_MODEL, NUMBERS)

    def state(self, names: Tensor) -> Tensor:
        """What the layer is given, before its norm: (batch, D_MODEL)."""
        return self.letter(names + LETTERS * torch.arange(PLACES)).sum(1)

    def forward(self, names: Tensor) -> Tensor:
        x = self.state(names)
        return self.number(self.last_norm(x + self.layer(self.norm(x))))

    @property
    def memory(self) -> ProductKeyMemory | None:
        """The memory, where the layer is one."""
        layer = self.layer.memory if isinstance(self.layer, FastValues) else self.layer
        return layer if isinstance(layer, ProductKeyMemory) else None


def facts(seed: int) -> tuple[Tensor, Tensor]:
    """Names in mixed order, (facts, 3), all different, and the number of each."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(LETTERS**PLACES, generator=generator)[:FACTS]
    names = torch.stack([drawn // LETTERS**p % LETTERS for p in range(PLACES)], 1)
    return names, torch.randint(NUMBERS, (FACTS,), generator=generator)


@torch.no_grad()
def usage(model: Recall, names: Tensor) -> dict[str, float]:
    """Of the values of a memory: the share that some name reads, and the divergence of their
    weights, added up over names and heads, from even ones; nothing for a dense layer."""
    if model.memory is None:
        return {}
    found = model.memory.read(model.norm(model.state(names)))
    weights = torch.zeros(len(model.memory.values), dtype=torch.float64)
    weights.index_add_(0, found.values.flatten(), found.weights.flatten().double())
    share = weights / weights.sum()
    return {
        "used": (weights > 0).double().mean().item(),
        "uneven": torch.special.xlogy(share, share).sum().item() + math.log(len(share)),
    }


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: the loss and the usage over all facts at each moment, and what is right in the
    end on either half."""
    names, numbers = facts(seed)
    torch.manual_seed(seed)
    model = Recall(layer_of(setting))
    moments: dict[str, list[float]] = {"curve": []}
    spent = 0.0

    def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(FACTS, (16 if smoke else BATCH,), generator=generator)
        return names[rows], numbers[rows]

    def loss(model: Recall, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    def evaluate(model: Recall) -> dict[str, float]:
        nonlocal spent
        began = time.process_time()
        scores = model(names)
        right = (scores.argmax(-1) == numbers).double()
        moments["curve"].append(F.cross_entropy(scores, numbers).item())
        for name, value in usage(model, names).items():
            moments.setdefault(f"{name}_at", []).append(value)
        valid, test = right.tensor_split(2)
        spent += time.process_time() - began
        return {"valid": valid.mean().item(), "right": test.mean().item()}

    with torch.no_grad():
        evaluate(model.eval())
    model.train()
    steps = 4 if smoke else STEPS
    spent, began = 0.0, time.process_time()
    history = train(
        model,
        batches,
        loss,
        steps=steps,
        lr=setting["lr"],
        seed=seed,
        evaluate=evaluate,
        every=2 if smoke else EVERY,
        progress=False,
    )
    seconds = time.process_time() - began - spent
    last = history.evaluations[-1]
    return {
        "moments": [0] + [int(one["step"]) for one in history.evaluations],
        "valid": last["valid"],
        "right": last["right"],
        "loss": moments["curve"][-1],
        "facts": FACTS - FACTS // 2,
        "parameters": sum(weight.numel() for weight in model.layer.parameters()),
        "flops": flops(setting),
        "update_ms": 1e3 * seconds / steps,
        **{name.removesuffix("_at"): kept[-1] for name, kept in moments.items() if "_at" in name},
        **moments,
    }
