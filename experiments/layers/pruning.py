"""Which of sixteen heads can go: by importance, at random, the most important first, in one go?

Four layers of four heads find where Anna is at the end of a story (frugal.data.journeys), and then
lose heads for good, in the manner of michel2019sixteen. The orders: importance for the loss, once,
normalised in each layer or not, or estimated again before each head that goes; the same for the
log-odds of the right place, which every story has a part in also when the task is solved; the most
important first; two rivals, by the loss without each head and by the size of its weights; and five
orders at random for each model. Some of the pruned models are trained again, beside the whole model
trained again for as long, and models that never had more than a few heads. How much an order hangs
on the stories that were asked is seen with four sets of them. What each head does alone is recorded
too: the model without it, and a layer with nothing else.
About 220 seconds a run on one core.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.attention.heads import (
    Loss,
    head_importance,
    layers_of,
    prune_by_importance,
    prune_heads,
)
from frugal.data import journeys
from frugal.data.journeys import JourneyBatch
from frugal.model import Encoder, TransformerConfig
from frugal.training import train

LENGTH = 65
D_MODEL = 48
D_FF = 96
N_LAYERS = 4
N_HEADS = 4
STEPS = 480
AGAIN = 60
BATCH = 32
N_TEST = 2000
N_ASKED = 500
"""Held-out stories on which importance and its rivals are estimated."""
N_SETS = 4
"""Sets of so many stories; all orders but those that compare the sets use the first."""

GONE = (2, 4, 6, 8, 10, 12, 14)
"""How many of the sixteen heads go."""
GONE_AGAIN = (8, 12, 14)
"""How many are gone when a model is trained again."""
AT_SETS = (8, 12)
"""How many are gone where sets of stories are compared."""
RANDOM_ORDERS = 5
FROM_THE_START = (2, 1)
"""Heads in each layer of models that are trained small."""

Head = tuple[int, int]
"""A layer and a head of it, both from 0."""


def settings() -> dict[str, dict[str, Any]]:
    """One; how many heads go is what a run goes through."""
    return {
        "journeys": {
            "gone": list(GONE),
            "gone again": list(GONE_AGAIN),
            "gone by set": list(AT_SETS),
        }
    }


class Reader(nn.Module):
    """An encoder, and a linear layer from its first vector to the places.

    forward(tokens, padding): (batch, length) each -> scores (batch, places).
    """

    def __init__(self) -> None:
        super().__init__()
        config = TransformerConfig(
            len(journeys.VOCABULARY),
            d_model=D_MODEL,
            n_heads=N_HEADS,
            n_layers=N_LAYERS,
            d_ff=D_FF,
            positions="rope",
        )
        self.encoder = Encoder(config)
        self.classify = nn.Linear(D_MODEL, len(journeys.PLACES))

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        return self.classify(self.encoder(tokens, padding)[:, 0])


def losses(model: nn.Module, batch: JourneyBatch) -> Tensor:
    """Cross-entropy of the place, for each story."""
    return F.cross_entropy(model(batch.tokens, batch.padding), batch.places, reduction="none")


def log_odds(model: nn.Module, batch: JourneyBatch) -> Tensor:
    """How far the right place's score is above those of the others together, for each story."""
    found = model(batch.tokens, batch.padding)
    right = found.gather(1, batch.places[:, None])[:, 0]
    return right - found.scatter(1, batch.places[:, None], -torch.inf).logsumexp(1)


def loss(model: nn.Module, batch: JourneyBatch) -> Tensor:
    """The mean of the losses."""
    return losses(model, batch).mean()


def parts(data: JourneyBatch, size: int = 250) -> list[JourneyBatch]:
    """The data in batches of at most `size` stories."""
    return [JourneyBatch(*part) for part in zip(*(one.split(size) for one in data), strict=True)]


@torch.no_grad()
def scores(model: nn.Module, data: JourneyBatch) -> tuple[float, float]:
    """The share of right places, and the mean loss."""
    was_training = model.training
    model.eval()
    right, lost = [], []
    for batch in parts(data):
        found = model(batch.tokens, batch.padding)
        right.append(found.argmax(-1) == batch.places)
        lost.append(F.cross_entropy(found, batch.places, reduction="none"))
    model.train(was_training)
    return torch.cat(right).double().mean().item(), torch.cat(lost).double().mean().item()


def without(model: nn.Module, heads: Iterable[Head]) -> nn.Module:
    """A copy that does not have these heads."""
    model = copy.deepcopy(model)
    names = list(layers_of(model))
    gone: dict[str, list[int]] = {}
    for layer, head in heads:
        gone.setdefault(names[layer], []).append(head)
    prune_heads(model, gone)
    return model


ALL = [(layer, head) for layer in range(N_LAYERS) for head in range(N_HEADS)]


def importance(
    model: nn.Module, of: Loss, asked: JourneyBatch, *, normalize: bool = False
) -> dict[Head, float]:
    """The importance of each head of a whole model, for the losses or the log-odds."""
    found = head_importance(model, of, parts(asked, 50), normalize=normalize)
    rows = [values.tolist() for values in found.values()]
    return {(layer, head): rows[layer][head] for layer, head in ALL}


def step_by_step(model: nn.Module, of: Loss, asked: JourneyBatch) -> list[Head]:
    """The heads in the order in which they go, importance estimated before each."""
    model = copy.deepcopy(model)
    layer_of = {name: layer for layer, name in enumerate(layers_of(model))}
    order = []
    for _ in ALL:
        ((name, (head,)),) = prune_by_importance(model, of, parts(asked, 50), 1).items()
        order.append((layer_of[name], head))
    return order


def sizes_of_weights(model: nn.Module) -> dict[Head, float]:
    """The norm of what each head makes of a vector: its columns of the output, times its values."""
    found = {}
    for layer, attention in enumerate(layers_of(model).values()):
        outs = attention.to_out.weight.unflatten(1, (N_HEADS, -1))  # (width, heads, head_dim)
        values = attention.to_v.weight.unflatten(0, (N_HEADS, -1))  # (heads, head_dim, width)
        for head in range(N_HEADS):
            found[layer, head] = (outs[:, head] @ values[head]).norm().item()
    return found


def rising(values: dict[Head, float]) -> list[Head]:
    """The heads, the smallest value first."""
    return sorted(values, key=values.__getitem__)


def orders_of(model: nn.Module, asked: JourneyBatch, seed: int) -> dict[str, list[list[Head]]]:
    """Every way to order the heads; at random, several times."""
    odds = rising(importance(model, log_odds, asked))
    alone = {head: scores(without(model, [head]), asked)[1] for head in ALL}
    chance = random.Random(seed)
    return {
        "loss": [rising(importance(model, losses, asked))],
        "loss, normalised": [rising(importance(model, losses, asked, normalize=True))],
        "loss, step by step": [step_by_step(model, losses, asked)],
        "odds": [odds],
        "odds, step by step": [step_by_step(model, log_odds, asked)],
        "most important": [odds[::-1]],
        "without": [rising(alone)],
        "weights": [rising(sizes_of_weights(model))],
        "random": [chance.sample(ALL, len(ALL)) for _ in range(RANDOM_ORDERS)],
    }


AGAIN_WAYS = ("loss", "odds", "odds, step by step", "most important", "random")


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once with all heads, then take some in every way there is."""
    n_train, n_asked, n_test = (64, 8, 16) if smoke else (20_000, N_ASKED, N_TEST)
    steps, again = (2, 1) if smoke else (STEPS, AGAIN)
    gone, gone_again = ((8,), (12,)) if smoke else (setting["gone"], setting["gone again"])
    train_data, every_set, test = (
        journeys.encode(journeys.draw(n, seed=100 * seed + part), length=LENGTH)
        for part, n in ((1, n_train), (2, N_SETS * n_asked), (3, n_test))
    )
    sets = parts(every_set, n_asked)
    asked = sets[0]
    short = journeys.encode(journeys.draw(n_test, sentences=(3, 4), seed=100 * seed + 4))

    def batches(step: int, generator: torch.Generator) -> JourneyBatch:
        rows = torch.randint(n_train, (BATCH,), generator=generator)
        return JourneyBatch(*(part[rows] for part in train_data))

    def trained(model: nn.Module) -> nn.Module:
        train(model, batches, loss, steps=steps, lr=3e-3, seed=seed, progress=False)
        return model

    def trained_again(model: nn.Module) -> nn.Module:
        options = {"lr": 2e-3, "warmup": 10, "seed": seed + 1000, "progress": False}
        train(model, batches, loss, steps=again, **options)
        return model

    torch.manual_seed(seed)
    start = Reader()
    model = trained(copy.deepcopy(start))
    orders = orders_of(model, asked, seed)
    values: dict[str, Any] = {
        "test stories": len(test.places),
        "full": scores(model, test)[0],
        "full loss": scores(model, test)[1],
        "full again": scores(trained_again(copy.deepcopy(model)), test)[0],
        "order, step by step": orders["odds, step by step"][0],
    }
    for name, found in orders.items():
        curves = [[scores(without(model, order[:n]), test)[0] for n in gone] for order in found]
        values[name] = curves if name == "random" else curves[0]
    for name in AGAIN_WAYS:
        values[f"{name} again"] = [
            scores(trained_again(without(model, orders[name][0][:n])), test)[0] for n in gone_again
        ]
    values |= by_sets(model, sets, test, gone)
    values |= one_by_one(model, asked, test, short)
    for n_heads in FROM_THE_START:
        few = without(start, [(layer, head) for layer, head in ALL if head >= n_heads])
        values[f"{n_heads} from the start"] = scores(trained_again(trained(few)), test)[0]
    if seed == 0 and not smoke:
        values["weights of the model"] = model.state_dict()
    return values


def by_sets(
    model: nn.Module, sets: list[JourneyBatch], test: JourneyBatch, gone: Sequence[int]
) -> dict[str, Any]:
    """Accuracy on the orders that each set of stories gives, and how uneven its losses are: the
    share of a set's loss that its hundredth with the largest losses has."""
    values: dict[str, Any] = {}
    for name, of in (("loss", losses), ("odds", log_odds)):
        orders = [rising(importance(model, of, one)) for one in sets]
        values[f"{name} by set"] = [
            [scores(without(model, order[:n]), test)[0] for n in gone if n in AT_SETS]
            for order in orders
        ]
    shares = []
    with torch.no_grad():
        for one in sets:
            lost = torch.cat([losses(model.eval(), batch) for batch in parts(one)])
            shares.append((lost.topk(max(1, len(lost) // 100)).values.sum() / lost.sum()).item())
    return values | {"loss of the worst hundredth": shares}


def one_by_one(
    model: nn.Module, asked: JourneyBatch, test: JourneyBatch, short: JourneyBatch
) -> dict[str, Any]:
    """The model without one head, in accuracy and in loss, also on shorter stories; and the best
    single head of each layer, chosen on held-out stories and scored on others."""
    alone = {head: scores(without(model, [head]), test) for head in ALL}
    shorter = {head: scores(without(model, [head]), short)[1] for head in ALL}
    best = []
    for layer in range(N_LAYERS):
        left = [
            without(model, [(layer, other) for other in range(N_HEADS) if other != head])
            for head in range(N_HEADS)
        ]
        chosen = min(left, key=lambda one: scores(one, asked)[1])
        best.append(scores(chosen, test)[0])
    return {
        "without one": by_layer({head: right for head, (right, _) in alone.items()}),
        "loss without one": by_layer({head: lost for head, (_, lost) in alone.items()}),
        "short loss": scores(model, short)[1],
        "short loss without one": by_layer(shorter),
        "best head alone": best,
    }


def by_layer(values: dict[Head, float]) -> list[list[float]]:
    """A list for each layer."""
    return [[values[layer, head] for head in range(N_HEADS)] for layer in range(N_LAYERS)]
