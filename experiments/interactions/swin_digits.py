"""Swin against a plain Transformer on pictures, at equal FLOPs.

Digits of 8 x 8 pixels, one token a pixel. Three networks spend the same: a plain encoder whose 64
tokens all see each other, Swin (windows of 4 x 4, a merge, then one window), and Swin without
shifts. Three further settings take the merge away and ask a question that crosses windows: do two
bars that meet the line between them make one bar? (A first question, whether two marked pixels
beside the line are equal, was not learned reliably by any network, the plain one among them.)
About 15 seconds a run on one core.
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
from frugal.training import train

STEPS = 300
BATCH = 32
SIDE = 8
WINDOW = 4


def settings() -> dict[str, dict[str, Any]]:
    """By name: the task and the network."""
    return {
        "vit": {"task": "digits", "network": "vit"},
        "swin": {"task": "digits", "network": "swin", "depths": (2, 2), "shift": 2},
        "swin-unshifted": {"task": "digits", "network": "swin", "depths": (2, 2), "shift": 0},
        "bars-vit": {"task": "bars", "network": "vit"},
        "bars-shifted": {"task": "bars", "network": "swin", "depths": (4,), "shift": 2},
        "bars-unshifted": {"task": "bars", "network": "swin", "depths": (4,), "shift": 0},
    }


class PixelClassifier(nn.Module):
    """Pixels to tokens, an encoder on (batch, height, width, d_model), the mean to classes."""

    def __init__(self, encoder: nn.Module, d_model: int, d_out: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(1, d_model)
        self.place = nn.Parameter(torch.randn(SIDE, SIDE, d_model) * 0.02)
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
        config = TransformerConfig(
            1, d_model=48, n_heads=4, n_layers=2, positions="none", activation="gelu"
        )
        return PixelClassifier(Flat(config), 48, 48, classes)
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


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train once: accuracy on pictures that were not seen, FLOPs a picture, parameters."""
    torch.manual_seed(seed)
    model = network(setting)
    batch = 8 if smoke else BATCH
    if setting["task"] == "digits":
        supply = digits.batches(digits.load("train"), batch)
        held_out = digits.load("test")
        test_pixels, test_labels = held_out.images[..., None], held_out.labels

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            images, labels = supply(step, generator)
            return images[..., None], labels
    else:
        test_pixels, test_labels = bars(512, torch.Generator().manual_seed(10_000))

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return bars(batch, generator)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    train(model, batches, loss, steps=3 if smoke else STEPS, lr=2e-3, seed=seed, progress=False)
    model.eval()
    with torch.no_grad():
        right = model(test_pixels).argmax(-1) == test_labels
        flops, _ = count_flops(model, test_pixels[:1])
    return {
        "accuracy": right.double().mean().item(),
        "flops": float(flops),
        "parameters": float(sum(p.numel() for p in model.parameters())),
    }
