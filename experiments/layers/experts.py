"""What do 4, 8 and 16 experts learn by heart that a dense layer of equal FLOPs does not?

Facts: 96 people keep 96 things each, every thing in one of 32 places that was drawn by chance. A
text is two tokens, a person and a thing; a model of one layer names the place. There is no rule to
find, so what a model gets right it has stored, and every arm trains on all facts: the half by which
the learning rate is chosen is not the half that is reported.

The arms: a dense feed-forward layer; one eight times as wide, which costs eight times the FLOPs;
4, 8 and 16 experts of the dense layer's width, of which a token visits one (fedus2022switch); 16
without the loss of balance; 16 with a skewed start, where the first expert's scores are four times
as large, with the loss, without it, and without it but with room for all; and 16 halves of an
expert, of which a token visits two, balanced by biases (deepseek2024v3). Each is trained with the
same three rates. During training: the loss over all facts, and the share of the tokens that goes to
each expert. Time is that of the processor in updates, evaluations left out.
About 9 seconds a run on one core.
"""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.experts import MixtureOfExperts, SwitchFeedForward
from frugal.feedforward.routing import update_biases
from frugal.model import Encoder, TransformerConfig
from frugal.penalty import penalty
from frugal.training import train

PEOPLE = THINGS = 96
PLACES = 32
D_MODEL, D_FF = 32, 64
STEPS, BATCH, EVERY = 1000, 512, 100
RATES = (5e-3, 1e-2, 2e-2)
CAPACITY_FACTOR = 1.25
LAMBDA = 0.01
NUDGE = 1e-2
"""By which an expert's bias moves after each update."""
SKEW = 4.0

ARMS: dict[str, dict[str, Any]] = {
    "dense": {"kind": "dense", "width": 1},
    "wide": {"kind": "dense", "width": 8},
    "experts-4": {"kind": "switch", "experts": 4, "balanced": True},
    "experts-8": {"kind": "switch", "experts": 8, "balanced": True},
    "experts-16": {"kind": "switch", "experts": 16, "balanced": True},
    "free-16": {"kind": "switch", "experts": 16},
    "skewed-16": {"kind": "switch", "experts": 16, "balanced": True, "skewed": True},
    "skewed-free-16": {"kind": "switch", "experts": 16, "skewed": True},
    "skewed-open-16": {"kind": "switch", "experts": 16, "skewed": True, "open": True},
    "halves-16": {"kind": "halves", "experts": 16},
}


def settings() -> dict[str, dict[str, Any]]:
    """Every arm with every rate, by name `arm-rate`."""
    return {f"{arm}-{lr:g}": {**one, "lr": lr} for arm, one in ARMS.items() for lr in RATES}


def feed_forward(setting: dict[str, Any]) -> nn.Module:
    """The layer that the arms differ in."""
    if setting["kind"] == "dense":
        return DenseFeedForward(D_MODEL, setting["width"] * D_FF)
    n_experts = setting["experts"]
    if setting["kind"] == "halves":
        return MixtureOfExperts(D_MODEL, D_FF // 2, n_experts, 2, n_shared=0)
    factor = None if setting.get("open") else CAPACITY_FACTOR
    layer = SwitchFeedForward(D_MODEL, D_FF, n_experts, factor)
    if setting.get("skewed"):
        with torch.no_grad():
            layer.router.weight[0] *= SKEW
    return layer


class Memory(nn.Module):
    """One layer over a person and a thing, and scores of the places from the second token.

    forward(facts): (batch, 2) -> (batch, places).
    """

    def __init__(self, setting: dict[str, Any]) -> None:
        super().__init__()
        config = TransformerConfig(
            PEOPLE + THINGS,
            d_model=D_MODEL,
            n_heads=2,
            n_layers=1,
            positions="none",
            make_feed_forward=lambda *_: feed_forward(setting),
        )
        self.encoder = Encoder(config)
        self.place = nn.Linear(D_MODEL, PLACES)

    @property
    def layer(self) -> nn.Module:
        """The layer that the arms differ in."""
        return self.encoder.stack.layers[0].feed_forward.sublayer

    def forward(self, facts: Tensor) -> Tensor:
        return self.place(self.encoder(facts)[:, 1])


def facts(seed: int) -> tuple[Tensor, Tensor]:
    """All pairs (facts, 2) in mixed order, and the place of each."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.cartesian_prod(torch.arange(PEOPLE), PEOPLE + torch.arange(THINGS))
    pairs = pairs[torch.randperm(len(pairs), generator=generator)]
    return pairs, torch.randint(PLACES, (len(pairs),), generator=generator)


@torch.no_grad()
def recalled(model: Memory, pairs: Tensor) -> tuple[Tensor, list[float], float]:
    """Scores of the places; the share of all visits that each expert gets, and of the tokens that
    find no room: nothing and 0 for a dense layer."""
    router, seen = getattr(model.layer, "router", None), []
    if router is None:
        return model(pairs), [], 0.0
    hook = router.register_forward_hook(lambda *passed: seen.append(passed[2].experts))
    try:
        scores = model(pairs)
    finally:
        hook.remove()
    visits = seen[0].flatten().bincount(minlength=len(router.weight)).double()
    dropped = 0.0
    if isinstance(model.layer, SwitchFeedForward):
        dropped = 1 - model.layer.kept.double().mean().item()
    return scores, [round(share, 4) for share in (visits / visits.sum()).tolist()], dropped


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: the loss and the share of right places over all facts at each moment, the share
    of tokens by expert and of tokens dropped there, and what is right in the end on either half."""
    every_pair, places = (part[: 256 if smoke else None] for part in facts(seed))
    torch.manual_seed(seed)
    model = Memory(setting)
    halves = setting["kind"] == "halves"
    moments: dict[str, list[Any]] = {"curve": [], "right_at": [], "shares": [], "dropped_at": []}
    spent = 0.0

    def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(places), (16 if smoke else BATCH,), generator=generator)
        return every_pair[rows], places[rows]

    def loss(model: Memory, batch: tuple[Tensor, Tensor]) -> Tensor:
        if halves:  # once an update: it moves by the load of the one before
            update_biases(model, NUDGE)
        value = F.cross_entropy(model(batch[0]), batch[1])
        return value + LAMBDA * penalty(model) if setting.get("balanced") else value

    def evaluate(model: Memory) -> dict[str, float]:
        nonlocal spent
        began = time.process_time()
        scores, shares, dropped = recalled(model, every_pair)
        right = (scores.argmax(-1) == places).double()
        moments["curve"].append(F.cross_entropy(scores, places).item())
        moments["right_at"].append(right.mean().item())
        moments["shares"].append(shares)
        moments["dropped_at"].append(dropped)
        valid, test = right[::2], right[1::2]  # by turns: who comes late finds less room
        spent += time.process_time() - began
        return {"valid": valid.mean().item(), "right": test.mean().item()}

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
    shares = moments["shares"]
    found = {
        "moments": [0] + [int(one["step"]) for one in history.evaluations],
        "valid": last["valid"],
        "right": last["right"],
        "loss": moments["curve"][-1],
        "facts": len(places) // 2,
        "parameters": sum(weight.numel() for weight in model.layer.parameters()),
        "update_ms": 1e3 * seconds / steps,
        "fullest": max(shares[-1], default=0.0),
        "dropped": moments["dropped_at"][-1],
        **{name: moments[name] for name in ("curve", "right_at", "dropped_at")},
    }
    return found | ({"shares": shares} if shares[-1] else {})
