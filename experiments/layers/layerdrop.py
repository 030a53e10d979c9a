"""Which layers can go, if a model was trained to do without some: LayerDrop 0, 0.2 and 0.4?

Six layers read a ring of letters from its arrows and say of each letter who comes one to six steps
later (frugal.data.hops), which needs depth: where m steps are known, a layer can make it 2m. Three
models differ only in the chance p with which a layer is left out of an update (fan2020layerdrop).
Each is then asked without some of its layers: all 63 choices are scored, so that every other layer,
the first and the last, the best and any by chance can be compared; beside them the best choice on
held-out rings and a learned one. The models that keep every other layer are trained again for a
while, and so is the whole one. The rivals had so many layers from the start, and as many updates.
Recorded too: what becomes of the whole model when each layer's part is multiplied by 1 - p.
About 35 seconds a run on one core, for eight settings.
"""

from __future__ import annotations

import copy
from functools import partial
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.data import hops
from frugal.data.hops import HopsBatch
from frugal.depth.layerdrop import (
    LayerDrop,
    every_other,
    learn_layers,
    only_layers,
    prune_layers,
    search_layers,
)
from frugal.model import Encoder, TransformerConfig
from frugal.training import train

D_MODEL = 48
D_FF = 96
N_HEADS = 4
N_LAYERS = 6
CHANCES = (0.0, 0.2, 0.4)
STEPS = 2000
AGAIN = 150
BATCH = 32
N_TEST = 1000
N_ASKED = 500
"""Held-out rings on which layers are chosen."""
LEARNING = 200
"""Batches of held-out rings, 25 each, that learned choices see."""

CHOICES = [choice for n in range(1, N_LAYERS + 1) for choice in combinations(range(N_LAYERS), n)]
"""All layers that may be kept, fewest first: the order of the list `choices` of a run."""


def settings() -> dict[str, dict[str, Any]]:
    """The three chances for the deep model, and the shallow models."""
    deep = {f"drop {p}": {"layers": N_LAYERS, "p": p} for p in CHANCES}
    shallow = {f"{n} from the start": {"layers": n, "p": 0.0} for n in range(1, N_LAYERS)}
    return deep | shallow


class Follower(nn.Module):
    """An encoder of arrows, and for each of them a linear layer to the letters at every distance.

    forward(tokens): (batch, letters) -> scores (batch, letters, hops, letters).
    """

    def __init__(self, n_layers: int, p: float) -> None:
        super().__init__()
        config = TransformerConfig(
            hops.N_LETTERS**2,
            d_model=D_MODEL,
            n_heads=N_HEADS,
            n_layers=n_layers,
            d_ff=D_FF,
            positions="none",
            make_stack=partial(LayerDrop, p=p),
        )
        self.encoder = Encoder(config)
        self.classify = nn.Linear(D_MODEL, hops.N_HOPS * hops.N_LETTERS)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.classify(self.encoder(tokens)).unflatten(-1, (hops.N_HOPS, hops.N_LETTERS))


def losses(model: nn.Module, batch: HopsBatch) -> Tensor:
    """Cross-entropy, the mean over the letters and distances of each ring."""
    found = model(batch.tokens).flatten(1, 2).mT  # (batch, classes, letters * hops)
    return F.cross_entropy(found, batch.targets.flatten(1), reduction="none").mean(1)


def loss(model: nn.Module, batch: HopsBatch) -> Tensor:
    """The mean of the losses."""
    return losses(model, batch).mean()


def parts(data: HopsBatch, size: int) -> list[HopsBatch]:
    """The data in batches of at most `size` rings."""
    return [HopsBatch(*part) for part in zip(*(one.split(size) for one in data), strict=True)]


@torch.no_grad()
def by_hop(model: nn.Module, data: HopsBatch) -> list[float]:
    """The share of right letters at each distance."""
    was_training = model.training
    model.eval()
    right = [model(batch.tokens).argmax(-1) == batch.targets for batch in parts(data, 250)]
    model.train(was_training)
    return torch.cat(right).double().mean((0, 1)).tolist()


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def scaled(model: Follower, factor: float) -> Follower:
    """A copy in which each sublayer adds `factor` of what it finds."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer in model.encoder.stack.layers:
            for last in (layer.mix.sublayer.to_out, layer.feed_forward.sublayer.outer):
                last.weight.mul_(factor)
                last.bias.mul_(factor)
    return model


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train; a deep model is then asked, and trained again, with fewer layers."""
    n_asked, n_test = (10, 8) if smoke else (N_ASKED, N_TEST)
    steps, again = (2, 1) if smoke else (STEPS, AGAIN)
    asked, test = (hops.draw(n, seed=100 * seed + k) for k, n in ((1, n_asked), (2, n_test)))

    def batches(step: int, generator: torch.Generator) -> HopsBatch:
        return hops.draw(BATCH, seed=generator)

    def trained_again(model: nn.Module) -> list[float]:
        options = {"lr": 1.5e-3, "warmup": 10, "seed": seed + 1000, "progress": False}
        train(model, batches, loss, steps=again, **options)
        return by_hop(model, test)

    torch.manual_seed(seed)
    model = Follower(setting["layers"], setting["p"])
    history = train(model, batches, loss, steps=steps, lr=3e-3, seed=seed, progress=False)
    values: dict[str, Any] = {
        "test rings": n_test,
        "seconds of training": history.seconds,
        "by hop": by_hop(model, test),
        "full": mean(by_hop(model, test)),
        "full again": mean(trained_again(copy.deepcopy(model))),
    }
    if setting["layers"] == N_LAYERS:
        values |= fewer(model, asked, test, trained_again, smoke)
        values["scaled"] = mean(by_hop(scaled(model, 1 - setting["p"]), test))
        if seed == 0 and not smoke:
            values["weights of the model"] = model.state_dict()
    return values


def fewer(
    model: Follower, asked: HopsBatch, test: HopsBatch, trained_again: Any, smoke: bool
) -> dict:
    """The model with every choice of layers, with chosen ones, and trained again with some."""
    found = []
    for choice in CHOICES:
        with only_layers(model, choice):
            found.append(by_hop(model, test))
    sizes = (3,) if smoke else range(1, N_LAYERS)
    few = parts(asked, 25)
    learning = [few[step % len(few)] for step in range(2 if smoke else LEARNING)]
    values: dict[str, Any] = {
        "choices": found,
        "searched": [list(search_layers(model, losses, parts(asked, 250), n)) for n in sizes],
        "learned": [
            list(
                learn_layers(model, losses, learning, n, generator=torch.Generator().manual_seed(n))
            )
            for n in sizes
        ],
        "every other again": [],
        "searched again": [],
    }
    for place, n in enumerate(sizes):
        for name, kept in (
            ("every other again", every_other(N_LAYERS, n)),
            ("searched again", values["searched"][place]),
        ):
            pruned = copy.deepcopy(model)
            prune_layers(pruned, kept)
            pruned.encoder.stack.p = (0.0,) * n
            values[name].append(mean(trained_again(pruned)))
    return values
