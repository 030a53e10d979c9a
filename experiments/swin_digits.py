"""Swin against a plain Transformer on pictures, at equal FLOPs.

Digits of 8 x 8 pixels, one token a pixel. Three networks spend the same: a plain encoder whose 64
tokens all see each other, Swin (windows of 4 x 4, a merge, then one window), and Swin without
shifts. Two further settings take the merge away and ask a question that crosses windows: do two
marked pixels have the same grey? About 10 seconds a run on one core.
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
        "pair-vit": {"task": "pairs", "network": "vit"},
        "pair-shifted": {"task": "pairs", "network": "swin", "depths": (4,), "shift": 2},
        "pair-unshifted": {"task": "pairs", "network": "swin", "depths": (4,), "shift": 0},
    }


class PixelClassifier(nn.Module):
    """Pixels to tokens, an encoder on (batch, height, width, d_model), the mean to classes."""

    def __init__(self, encoder: nn.Module, channels: int, d_model: int, d_out: int, classes: int):
        super().__init__()
        self.embed = nn.Linear(channels, d_model)
        self.place = nn.Parameter(torch.randn(SIDE, SIDE, d_model) * 0.02)
        self.encoder = encoder
        self.classify = nn.Linear(d_out, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (batch, height, width, channels); out: (batch, classes)."""
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
    channels, classes = (1, 10) if setting["task"] == "digits" else (2, 2)
    if setting["network"] == "vit":
        # the embedding is not used: pixels are projected instead of looked up
        config = TransformerConfig(
            1, d_model=48, n_heads=4, n_layers=2, positions="none", activation="gelu"
        )
        return PixelClassifier(Flat(config), channels, 48, 48, classes)
    depths = setting["depths"]
    d_model = 36
    encoder = SwinEncoder(d_model, 4, WINDOW, depths=depths, shift=setting["shift"])
    return PixelClassifier(encoder, channels, d_model, d_model * 2 ** (len(depths) - 1), classes)


def pairs(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures of noise with two marked pixels in different windows: have they the same grey?

    Channel 0 is grey, 0 or 1; channel 1 marks the two. The pixels lie next to the line between
    the left and the right windows, so that a shift by half a window brings them together.
    """
    grey = torch.randint(2, (batch, SIDE, SIDE), generator=generator).float()
    rows = torch.randint(SIDE, (batch,), generator=generator)
    every = torch.arange(batch)
    left, right = SIDE // 2 - 1, SIDE // 2
    marks = torch.zeros(batch, SIDE, SIDE)
    marks[every, rows, left] = marks[every, rows, right] = 1.0
    labels = (grey[every, rows, left] == grey[every, rows, right]).long()
    return torch.stack([grey, marks], dim=-1), labels


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
        test_pixels, test_labels = pairs(512, torch.Generator().manual_seed(10_000))

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return pairs(batch, generator)

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
