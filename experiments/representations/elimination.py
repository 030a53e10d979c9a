"""Where is Anna at the end, and how many tokens does it take to say so?

Four layers on stories of about fifty tokens (frugal.data.journeys), trained once a seed with all
tokens. Then tokens are dropped in the manner of goyal2020powerbert: by significance, by chance, or
all but the first ones; without and with training the model again, beside the model with all its
tokens trained again for as long ("full again"; "full longer" for the learned schedules). Last,
schedules that were learned: by soft retention at two prices, and by a search for an accuracy.
About 150 seconds a run on one core.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.arithmetic.fewer_tokens import elimination_flops
from frugal.data import journeys
from frugal.data.journeys import JourneyBatch
from frugal.model import Encoder, TransformerConfig
from frugal.penalty import penalty
from frugal.tokens.elimination import WordVectorElimination, significance
from frugal.tokens.elimination_schedules import schedule_for_accuracy
from frugal.training import train

LENGTH = 65
D_MODEL = 48
D_FF = 96
N_LAYERS = 4
STEPS = 480
AGAIN = 60
SOFT = 100
BATCH = 32

FULL = (LENGTH,) * N_LAYERS
SCHEDULES = ((48, 36, 27, 20), (32, 16, 8, 4), (16, 8, 4, 2), (8, 4, 2, 1), (4, 2, 1, 1))


def settings() -> dict[str, dict[str, Any]]:
    """One: λ, the prices of a token of retention, and the accuracy a search may lose."""
    return {"journeys": {"prices": [1e-3, 3e-3], "loss": 0.01}}


class Reader(nn.Module):
    """An encoder that drops tokens, and a linear layer from its first vector to the places.

    forward(tokens, padding): (batch, length) each -> scores (batch, places).
    """

    def __init__(self) -> None:
        super().__init__()
        config = TransformerConfig(
            len(journeys.VOCABULARY),
            d_model=D_MODEL,
            n_heads=4,
            n_layers=N_LAYERS,
            d_ff=D_FF,
            positions="rope",
            make_stack=WordVectorElimination,
        )
        self.encoder = Encoder(config)
        self.classify = nn.Linear(D_MODEL, len(journeys.PLACES))

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        return self.classify(self.encoder(tokens, padding)[:, 0])


def by_chance(weights: Tensor, padding: Tensor | None) -> Tensor:
    """A score that knows nothing."""
    return torch.rand(weights.shape[0], weights.shape[2], device=weights.device)


def by_place(weights: Tensor, padding: Tensor | None) -> Tensor:
    """A score that prefers the first tokens."""
    places = torch.arange(weights.shape[2], device=weights.device)
    return -places.to(weights.dtype).expand(weights.shape[0], -1)


ORDERS = {"significance": significance, "chance": by_chance, "first": by_place}


def loss(model: Reader, batch: JourneyBatch) -> Tensor:
    """Cross-entropy of the place."""
    return F.cross_entropy(model(batch.tokens, batch.padding), batch.places)


def soft_loss(price: float) -> Callable[[Reader, JourneyBatch], Tensor]:
    """The same, and the price of what is retained."""
    return lambda model, batch: loss(model, batch) + price * penalty(model)


@torch.no_grad()
def accuracy(model: Reader, data: JourneyBatch) -> float:
    """The share of right places; chance in the score, if there is any, is the same every time."""
    was_training = model.training
    model.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        right = [
            model(tokens, padding).argmax(-1) == places
            for tokens, padding, places in zip(*(part.split(250) for part in data), strict=True)
        ]
    model.train(was_training)
    return torch.cat(right).double().mean().item()


def bag_of_words(train_data: JourneyBatch, test_data: JourneyBatch, steps: int) -> float:
    """What a small network makes of the numbers of words alone: the test accuracy."""
    size = len(journeys.VOCABULARY)

    def counts(data: JourneyBatch) -> Tensor:
        return F.one_hot(data.tokens, size).sum(1).float()

    model = nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, len(journeys.PLACES)))
    x, y = counts(train_data), train_data.places

    def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(y), (256,), generator=generator)
        return x[rows], y[rows]

    train(model, batches, lambda m, b: F.cross_entropy(m(b[0]), b[1]), steps=steps, progress=False)
    with torch.no_grad():
        return (model(counts(test_data)).argmax(-1) == test_data.places).double().mean().item()


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once with all tokens, then drop some in every way there is."""
    n_train, n_test = (64, 32) if smoke else (20_000, 1_000)
    steps, again, soft = (2, 1, 2) if smoke else (STEPS, AGAIN, SOFT)
    train_data, valid, test = (
        journeys.encode(journeys.draw(n, seed=100 * seed + part), length=LENGTH)
        for part, n in ((1, n_train), (2, n_test // 2), (3, n_test))
    )

    def batches(step: int, generator: torch.Generator) -> JourneyBatch:
        rows = torch.randint(n_train, (BATCH,), generator=generator)
        return JourneyBatch(*(part[rows] for part in train_data))

    torch.manual_seed(seed)
    model = Reader()
    train(model, batches, loss, steps=steps, lr=3e-3, seed=seed, progress=False)

    def trained_again(model: Reader, objective: Callable = loss, n: int = again) -> Reader:
        model = copy.deepcopy(model)
        options = {"lr": 2e-3, "warmup": 10, "seed": seed + 1000, "progress": False}
        train(model, batches, objective, steps=n, **options)
        return model

    values: dict[str, Any] = {
        "full": accuracy(model, test),
        "full again": accuracy(trained_again(model), test),
        "full longer": accuracy(trained_again(model, n=soft + again), test),
        "bag of words": bag_of_words(train_data, test, 3 if smoke else 400),
        "tokens": test.padding.sum(1).double().mean().item(),
        "schedules": [list(keep) for keep in SCHEDULES],
        "flops": [flops(keep) / flops(FULL) for keep in SCHEDULES],
    }
    for name, order in ORDERS.items():
        dropped, retrained = [], []
        for keep in SCHEDULES:
            reader = copy.deepcopy(model)
            reader.encoder.stack.keep, reader.encoder.stack.score = keep, order
            dropped.append(accuracy(reader, test))
            retrained.append(accuracy(trained_again(reader), test))
        values |= {name: dropped, f"{name} again": retrained}

    learned: dict[str, list] = {"mass": [], "keep": [], "soft": [], "hard": [], "again": []}
    for price in setting["prices"]:
        reader = copy.deepcopy(model)
        reader.encoder.stack.soften(LENGTH)
        reader = trained_again(reader, soft_loss(price), soft)
        learned["mass"].append(reader.encoder.stack.retention.mass().tolist())
        learned["soft"].append(accuracy(reader, test))
        learned["keep"].append(list(reader.encoder.stack.harden()))
        learned["hard"].append(accuracy(reader, test))
        learned["again"].append(accuracy(trained_again(reader), test))
    values |= {f"learned {name}": found for name, found in learned.items()}

    def on_valid(keep: tuple[int, ...]) -> float:
        model.encoder.stack.keep = keep
        return accuracy(model, valid)

    target = on_valid(FULL) - setting["loss"]
    keep = schedule_for_accuracy(
        on_valid, length=LENGTH, n_layers=N_LAYERS, target=target, shrink=0.6, cost=flops
    )
    model.encoder.stack.keep = keep
    values |= {"searched keep": list(keep), "searched": accuracy(model, test)}
    values["searched again"] = accuracy(trained_again(model), test)
    values["searched flops"] = flops(keep) / flops(FULL)
    if seed == 0 and not smoke:
        model.encoder.stack.keep = None
        values["weights"] = model.state_dict()
    return values


def flops(keep: tuple[int, ...]) -> int:
    """Of the layers, for one story padded to LENGTH."""
    return elimination_flops(keep, length=LENGTH, d_model=D_MODEL, d_ff=D_FF)
