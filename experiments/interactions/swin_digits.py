"""Swin against plain Transformers on pictures, at equal FLOPs.

Digits of 8 x 8 pixels, one token per pixel. Networks that spend the same: plain encoders of two and
of four layers whose 64 tokens all see each other, Swin (windows of 4 x 4, a merge, then one
window), and Swin without shifts. Further settings take the merge away and ask a question that
crosses windows: do two bars that meet the line between them make one bar?

Every network is trained with the same two learning rates for the same 600 updates; a chapter takes
the rate that is best on the validation pictures and reads the test pictures once. Recorded at
several moments, so that a plateau can be seen. About 30 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.attention.swin import SwinEncoder
from frugal.data import digits
from frugal.measure import count_flops
from frugal.model import Encoder, TransformerConfig
from frugal.positions import START
from frugal.training import train

MOMENTS = (100, 200, 300, 400, 500, 600)
RATES = (2e-3, 5e-3)
BATCH = 32
SIDE = 8
WINDOW = 4


NETWORKS: dict[str, dict[str, Any]] = {
    "vit": {"task": "digits", "network": "vit", "n_layers": 2, "d_model": 48},
    "vit-deep": {"task": "digits", "network": "vit", "n_layers": 4, "d_model": 32},
    "swin": {"task": "digits", "network": "swin", "depths": (2, 2), "shift": 2},
    "swin-unshifted": {"task": "digits", "network": "swin", "depths": (2, 2), "shift": 0},
    "bars-vit": {"task": "bars", "network": "vit", "n_layers": 2, "d_model": 48},
    "bars-shifted": {"task": "bars", "network": "swin", "depths": (4,), "shift": 2},
    "bars-unshifted": {"task": "bars", "network": "swin", "depths": (4,), "shift": 0},
}


def settings() -> dict[str, dict[str, Any]]:
    """By name `network-rate`: the task, the network and the learning rate."""
    return {
        f"{name}-{rate:g}": network | {"lr": rate}
        for name, network in NETWORKS.items()
        for rate in RATES
    }


class PixelClassifier(nn.Module):
    """Pixels to tokens, an encoder on (batch, height, width, d_model), the mean to classes."""

    def __init__(self, encoder: nn.Module, d_model: int, d_out: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(1, d_model)
        self.place = nn.Parameter(torch.randn(SIDE, SIDE, d_model) * START)
        self.encoder = encoder
        self.classify = nn.Linear(d_out, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (batch, height, width, 1); out: (batch, classes)."""
        tokens = self.encoder(self.embed(pixels) + self.place)
        return self.classify(tokens.flatten(1, 2).mean(1))


class Flat(nn.Module):
    """A plain encoder that sees a picture as one sequence."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder.encode(x.flatten(1, 2)).unflatten(1, x.shape[1:3])


def network(setting: dict[str, Any]) -> PixelClassifier:
    """The network of a setting; widths are chosen so that the FLOPs agree within a few percent."""
    classes = 10 if setting["task"] == "digits" else 2
    if setting["network"] == "vit":
        # the embedding is not used: pixels are projected instead of looked up
        width = setting["d_model"]
        config = TransformerConfig(
            1,
            d_model=width,
            n_heads=4,
            n_layers=setting["n_layers"],
            positions="none",
            activation="gelu",
        )
        return PixelClassifier(Flat(config), width, width, classes)
    depths = setting["depths"]
    d_model = 36
    encoder = SwinEncoder(d_model, 4, WINDOW, depths=depths, shift=setting["shift"])
    return PixelClassifier(encoder, d_model, d_model * 2 ** (len(depths) - 1), classes)


def bars(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two short bars that end at the line between the halves: do they make one long bar?

    The left half has two bright pixels in a row up to the line, the right half two from the line
    on; half the time in the same row. Each half alone says nothing, and the bars lie in different
    windows; a shift by half a window brings them together.
    """
    left = torch.randint(SIDE, (batch,), generator=generator)
    joined = torch.randint(2, (batch,), generator=generator)
    other = (left + torch.randint(1, SIDE, (batch,), generator=generator)) % SIDE
    right = torch.where(joined == 1, left, other)
    pictures = torch.zeros(batch, SIDE, SIDE, 1)
    every, middle = torch.arange(batch), SIDE // 2
    for column in (middle - 2, middle - 1):
        pictures[every, left, column] = 1.0
    for column in (middle, middle + 1):
        pictures[every, right, column] = 1.0
    return pictures, joined


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; accuracy on validation and test pictures at each moment, FLOPs, parameters."""
    torch.manual_seed(seed)
    model = network(setting)
    batch = 8 if smoke else BATCH
    if setting["task"] == "digits":
        supply = digits.batches(digits.load("train"), batch)
        parts = {name: digits.load(name) for name in ("valid", "test")}
        held_out = {name: (part.images[..., None], part.labels) for name, part in parts.items()}

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            images, labels = supply(step, generator)
            return images[..., None], labels
    else:
        seeds = {"valid": 20_000, "test": 10_000}
        size = 64 if smoke else 2048
        held_out = {
            name: bars(size, torch.Generator().manual_seed(one)) for name, one in seeds.items()
        }

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return bars(batch, generator)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    moments = [3] if smoke else list(MOMENTS)
    history = train(
        model,
        batches,
        loss,
        steps=moments[-1],
        lr=setting["lr"],
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    model.eval()
    found: dict[str, Any] = {"moments": moments}
    with torch.no_grad():
        flops, _ = count_flops(model, held_out["test"][0][:1])
        for name, (pixels, labels) in held_out.items():
            curve = []
            for moment in moments:
                model.load_state_dict(history.checkpoints[moment])
                curve.append((model(pixels).argmax(-1) == labels).double().mean().item())
            found |= {f"{name}_curve": curve, name: curve[-1], f"{name}_size": len(labels)}
    parameters = sum(p.numel() for p in model.parameters())
    return found | {"flops": float(flops), "parameters": float(parameters)}
