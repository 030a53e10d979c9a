"""Does one layer, applied until each token has had enough, do what many different layers do?

Nested lists whose brackets have been read (`frugal.data.nested_lists`): a list of depth d can be
worked out as soon as those of depth d - 1 are, so a model needs about as many steps as a list is
deep. It says the value of every list; trained on expressions of depth 1 to 4, tested on depth 1 to
8, with as many steps as in training and with more.

The arms: plain stacks of 1, 2, 4 and 6 layers; one of 6 narrow layers with the parameters of a
single layer of the others; one layer applied 6 times; and the same layer with halting per token
(graves2016act), at most 6 times, at four prices of a step. No arm adds positions or signals of
the step: the order of two arguments does not matter, and a step more than in training then is
nothing new. All are trained with one rate. Words say how many times a layer was applied to one.
About 30 seconds a run on one core.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from frugal.data import nested_lists
from frugal.data.nested_lists import NestedBatch
from frugal.data.sequences import IGNORE
from frugal.depth.universal import UniversalTransformer
from frugal.model import TransformerConfig
from frugal.penalty import penalty
from frugal.tasks.list_reader import ListReader, list_loss
from frugal.training import train

D_MODEL, D_FF, N_HEADS = 32, 128, 4
NARROW = 12
"""Six layers of this width have about the parameters of one of D_MODEL."""
N_STEPS, START = 6, -2.0
STEPS, BATCH, EVERY = 1600, 128, 200
NEIGHBOURS = 512
"""A batch is drawn from so many expressions of about one length."""
RATE = 1e-2
TRAINED, DEEP = (1, 4), (5, 8)
"""Depths of expressions."""
TRAINING, TESTED = 16000, 600
MORE = (6, 8, 12)
"""Steps at the test of depths beyond training."""
PRICES = (0.0, 1e-3, 3e-3, 1e-2)

ARMS: dict[str, dict[str, Any]] = {
    **{f"plain-{n}": {"layers": n, "width": D_MODEL} for n in (1, 2, 4, 6)},
    "narrow-6": {"layers": 6, "width": NARROW},
    "shared-6": {"layers": 1, "width": D_MODEL, "steps": N_STEPS},
    **{
        f"halting-{price:g}": {"layers": 1, "width": D_MODEL, "steps": N_STEPS, "price": price}
        for price in PRICES
    },
}


def settings() -> dict[str, dict[str, Any]]:
    return ARMS


def reader(setting: dict[str, Any]) -> ListReader:
    """The model of an arm."""
    make_stack = None
    if "steps" in setting:
        make_stack = partial(
            UniversalTransformer,
            n_steps=setting["steps"],
            halting="price" in setting,
            start=START,
            position_signal=False,
            step_signal=False,
        )
    width = setting["width"]
    config = TransformerConfig(
        1,
        d_model=width,
        n_heads=N_HEADS,
        n_layers=setting["layers"],
        d_ff=width * D_FF // D_MODEL,
        positions="none",
        make_stack=make_stack,
    )
    return ListReader(config)


@lru_cache(maxsize=2)
def training_set(n: int, seed: int) -> NestedBatch:
    """Expressions sorted by length; every process encodes them once."""
    batch = nested_lists.encode(nested_lists.draw(n, depths=TRAINED, seed=1_000 + seed))
    order = batch.padding.sum(1).argsort(stable=True)
    return NestedBatch(*(part[order] for part in batch))


def cut(batch: NestedBatch) -> NestedBatch:
    """Without the places where no expression has a word."""
    longest = int(batch.padding.sum(1).max())
    return NestedBatch(*(part[:, :longest] for part in batch))


def examined(model: ListReader, batch: NestedBatch) -> dict[str, Any]:
    """Of all lists, those of each depth and whole expressions the share that is right; the loss;
    for each depth (0: digits) and for all words how many times a layer was applied."""
    model.eval()
    with torch.no_grad():
        scores = model(batch)
    lists = batch.values != IGNORE
    right = scores.argmax(-1) == batch.values
    deepest = int(batch.depths.max())
    stack = model.encoder.stack
    pondered = getattr(stack, "pondering", None)
    same = len(stack.layers) if not hasattr(stack, "n_steps") else stack.n_steps
    steps = torch.full_like(batch.words, same) if pondered is None else pondered.steps
    steps = steps.double()
    words = [batch.padding & (batch.depths == depth) for depth in range(deepest + 1)]
    return {
        "right": right[lists].double().mean().item(),
        "whole": right[:, 0].double().mean().item(),
        "loss": torch.nn.functional.cross_entropy(scores[lists], batch.values[lists]).item(),
        "right_by_depth": [share(right[some]) for some in words[1:]],
        "steps_by_depth": [share(steps[some]) for some in words],
        "steps": steps[batch.padding].mean().item(),
        "correlation": correlation(steps[lists], batch.depths[lists].double()),
    }


def share(values: Tensor) -> float | None:
    return values.double().mean().item() if len(values) else None


def correlation(steps: Tensor, depths: Tensor) -> float:
    """Pearson's, over lists; 0 where all ran equally long."""
    if steps.std() == 0:
        return 0.0
    return torch.corrcoef(torch.stack([steps, depths]))[0, 1].item()


def neighbours(known: NestedBatch, size: int, step: int, generator: torch.Generator) -> NestedBatch:
    """A batch of expressions of about one length."""
    around = min(NEIGHBOURS, len(known.words))
    first = torch.randint(len(known.words) - around + 1, (1,), generator=generator)
    rows = first + torch.randperm(around, generator=generator)[:size]
    batch = cut(NestedBatch(*(part[rows] for part in known)))
    return nested_lists.renumbered(batch, generator)


def priced(price: float, model: ListReader, batch: NestedBatch) -> Tensor:
    """The loss, and what the steps cost."""
    found = list_loss(model, batch)
    return found + price * penalty(model) if price else found


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once, and test at the depths of training and beyond: see `examined`. `deep_*`: a list
    over MORE of what is right at depths 5 to 8, for arms that can take more steps."""
    torch.manual_seed(seed)
    model = reader(setting)
    known = training_set(200 if smoke else TRAINING, seed)
    tested = nested_lists.draw(40 if smoke else TESTED, depths=TRAINED, seed=20_000 + seed)
    valid, test = (nested_lists.encode(half) for half in (tested[::2], tested[1::2]))

    curve: list[list[float]] = []

    def evaluate(model: ListReader) -> dict[str, float]:
        found = examined(model, valid)
        curve.append([found["right"], found["steps"]])
        return {"right": found["right"]}

    history = train(
        model,
        partial(neighbours, known, 8 if smoke else BATCH),
        partial(priced, setting.get("price", 0.0)),
        steps=4 if smoke else STEPS,
        lr=RATE,
        seed=seed,
        evaluate=evaluate,
        every=2 if smoke else EVERY,
        progress=False,
    )
    found = examined(model, test)
    deep = nested_lists.encode(
        nested_lists.draw(20 if smoke else TESTED // 2, depths=DEEP, seed=30_000 + seed)
    )
    stack = model.encoder.stack
    tried = MORE if hasattr(stack, "n_steps") else MORE[:1]
    beyond = []
    for steps in tried:
        if hasattr(stack, "n_steps"):
            stack.n_steps = steps
        beyond.append(examined(model, deep))
    values = {
        **found,
        "curve_at": [int(one["step"]) for one in history.evaluations],
        "curve": [right for right, _ in curve],
        "curve_steps": [steps for _, steps in curve],
        "deep_steps_allowed": list(tried),
        "deep_whole": [one["whole"] for one in beyond],
        "deep_by_depth": [one["right_by_depth"] for one in beyond],
        "deep_steps": [one["steps"] for one in beyond],
        "lists": int((test.values != IGNORE).sum()),
        "parameters": sum(p.numel() for p in stack.parameters()),
        "update_ms": 1e3 * history.seconds / history.steps,
    }
    if seed == 0 and "price" in setting:
        values["weights"] = model.state_dict()
    return values
