"""A funnel against a plain encoder at equal FLOPs: one label for a sequence, one for every token.

"digits": which digit is a picture of 8 x 8 pixels, read as 64 tokens? The output may stay short.
Every seed draws its own 900 pictures to train on, 200 to choose the learning rate by and 697 to
test on. "ranks": where does each of 64 numbers stand among the others, from 0 for the least to 1?
The output must be widened again. A plain encoder of four layers meets a funnel whose FLOPs agree
within 3 %. Two further settings take one thing away: keys and values pooled like the queries, and
no residual from the first block. (Tried first for every token: masked characters of English and
hidden pixels of the digits. In as many updates the plain encoder learned neither, so there was
nothing to compare. With small learned positions instead of sinusoids all three networks were still
below 60 % on the digits when training ended.) About 30 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.data import digits
from frugal.measure import count_flops
from frugal.model import TransformerConfig
from frugal.tokens.pooling import FunnelEncoder, FunnelStack, pool, pool_padding
from frugal.training import train

STEPS = {"digits": 600, "ranks": 300}
RATES = {"digits": (1e-3, 3e-3), "ranks": (2e-3,)}
EVERY, BATCH = 100, 32
TRAIN, VALID = 900, 200  # pictures; the other 697 are the test
TOKENS = 64
WIDTH = 48


def settings() -> dict[str, dict[str, Any]]:
    """By name: the task, the layers of each block and of the decoder, what is taken away, and the
    peak learning rate (a chapter takes the one that is better on the validation data)."""
    kinds: dict[str, dict[str, Any]] = {
        "digits-plain": {"task": "digits", "blocks": [4], "decoder": 0},
        "digits-funnel": {"task": "digits", "blocks": [2, 2, 4], "decoder": 0},
        "digits-pooled-keys": {
            "task": "digits",
            "blocks": [2, 2, 4],
            "decoder": 0,
            "without": "unpooled keys",
        },
        "ranks-plain": {"task": "ranks", "blocks": [4], "decoder": 0},
        "ranks-funnel": {"task": "ranks", "blocks": [1, 1, 2], "decoder": 2},
        "ranks-no-residual": {
            "task": "ranks",
            "blocks": [1, 1, 2],
            "decoder": 2,
            "without": "residual",
        },
    }
    return {
        f"{name}, rate {lr:g}": kind | {"lr": lr}
        for name, kind in kinds.items()
        for lr in RATES[kind["task"]]
    }


class PooledKeys(FunnelStack):
    """Pool everything at a border, not the queries alone."""

    def cross_border(
        self, layer: nn.Module, x: Tensor, padding: Tensor | None, places: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        x = pool(x, padding)
        padding = None if padding is None else pool_padding(padding)
        return layer(x, padding=padding), padding, places[::2]


class NoResidual(FunnelStack):
    """Widen without what the first block said about every token."""

    def widen(self, x: Tensor, first: Tensor, padding: Tensor | None, places: Tensor) -> Tensor:
        return super().widen(x, torch.zeros_like(first), padding, places)


STACKS = {None: FunnelStack, "unpooled keys": PooledKeys, "residual": NoResidual}


def encoder(setting: dict[str, Any]) -> FunnelEncoder:
    """The encoder of a setting. Its embedding is not used: numbers are projected, not looked up."""
    config = TransformerConfig(
        1,
        d_model=WIDTH,
        n_heads=4,
        d_ff=2 * WIDTH,
        # where a pixel lies matters, where a number stands does not
        positions="sinusoidal" if setting["task"] == "digits" else "none",
        activation="gelu",
    )
    built = FunnelEncoder(config, blocks=setting["blocks"], n_decoder_layers=setting["decoder"])
    layers = [*(layer for block in built.stack.blocks for layer in block), *built.stack.decoder]
    built.stack = STACKS[setting.get("without")](layers, blocks=setting["blocks"])
    return built


class Network(nn.Module):
    """A token a number, the encoder, then ten scores of the mean, or one number for every token."""

    def __init__(self, setting: dict[str, Any]) -> None:
        super().__init__()
        self.classifies = setting["task"] == "digits"
        self.number = nn.Linear(1, WIDTH)
        self.encoder = encoder(setting)
        self.answer = nn.Linear(WIDTH, 10 if self.classifies else 1)

    def forward(self, numbers: Tensor) -> Tensor:
        """numbers: (batch, tokens) -> (batch, 10), or (batch, tokens)."""
        x = self.encoder.encode(self.number(numbers[..., None]))
        return self.answer(x.mean(1)) if self.classifies else self.answer(x)[..., 0]


def draw_ranks(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Normal numbers around a random middle, of a random width, and the rank of each, 0 ... 1."""
    middle = torch.randn(batch, 1, generator=generator)
    width = torch.exp(0.7 * torch.randn(batch, 1, generator=generator))
    numbers = middle + width * torch.randn(batch, TOKENS, generator=generator)
    return numbers, numbers.argsort(1).argsort(1) / (TOKENS - 1)


def draw_pictures(seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Pictures (n, tokens) and labels (n,) of each part; the parts are drawn anew for each seed."""
    every = [digits.load(part) for part in ("train", "valid", "test")]
    images = torch.cat([part.images for part in every]).flatten(1)
    labels = torch.cat([part.labels for part in every])
    rows = torch.randperm(len(labels), generator=torch.Generator().manual_seed(30_000 + seed))
    parts = zip(("train", "valid", "test"), rows.tensor_split((TRAIN, TRAIN + VALID)), strict=True)
    return {name: (images[part], labels[part]) for name, part in parts}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once. On what was not seen: the accuracy, or the share of the ranks' variance that is
    explained, and its curve; the number of answers tested; and the FLOPs of the encoder."""
    torch.manual_seed(seed)
    model, size, task = Network(setting), 4 if smoke else BATCH, setting["task"]
    if task == "digits":
        parts = draw_pictures(seed)

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            rows = torch.randint(TRAIN, (size,), generator=generator)
            return tuple(part[rows] for part in parts["train"])

    else:
        parts = {
            part: draw_ranks(16 if smoke else 512, torch.Generator().manual_seed(first + seed))
            for part, first in (("valid", 20_000), ("test", 10_000))
        }

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return draw_ranks(size, generator)

    def loss(model: Network, batch: tuple[Tensor, Tensor]) -> Tensor:
        numbers, answers = batch
        distance = F.cross_entropy if model.classifies else F.mse_loss
        return distance(model(numbers), answers)

    def score(model: Network, numbers: Tensor, answers: Tensor) -> float:
        if model.classifies:
            return (model(numbers).argmax(-1) == answers).double().mean().item()
        return (1 - F.mse_loss(model(numbers), answers) / answers.var(correction=0)).item()

    history = train(
        model,
        batches,
        loss,
        steps=4 if smoke else STEPS[task],
        lr=setting["lr"],
        seed=seed,
        evaluate=lambda model: {part: score(model, *parts[part]) for part in ("valid", "test")},
        every=2 if smoke else EVERY,
        progress=False,
    )
    last = history.evaluations[-1]
    with torch.no_grad():
        flops, _ = count_flops(model.encoder.encode, torch.randn(1, TOKENS, WIDTH))
    return {
        "score": last["test"],
        "valid": last["valid"],
        "curve": [[one["step"], one["test"]] for one in history.evaluations],
        "tested": parts["test"][1].numel(),
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "flops": float(flops),
    }
