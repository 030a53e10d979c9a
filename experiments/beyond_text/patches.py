"""How long may a patch or a hop be?

Two questions with the same answer in two senses. Pictures: a digit of 8 x 8 pixels lies somewhere
in 16 x 16, cut into patches of 2, 4, 8 or 16 pixels a side; which digit is it? Sounds: half a
second with a chirp of a tenth of a second, in log-mel frames of one hop each and windows a quarter
longer; where does its pitch go? The same encoder reads both, and only the number of tokens changes.
Positions are rotary: with learned ones the chirps were hardly above chance in a trial of as many
updates, for each place has to find out by itself what a neighbour is. Patches of one pixel, 256
tokens, would take as long as everything else together and are left out. About 14 seconds a run on
one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.data import digits, tones
from frugal.measure import count_flops
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.frames import log_mel
from frugal.tokens.patches import image_patches
from frugal.training import train

STEPS = 600
BATCH = 32
SIDE = 16
N_MELS = 20
PATCHES = (2, 4, 8, 16)
HOPS = (80, 160, 320, 640, 1280, 2560)


def settings() -> dict[str, dict[str, Any]]:
    """By name: the task, and the side of a patch in pixels or the hop in samples."""
    pictures = {f"patch-{p}": {"task": "digits", "patch": p} for p in PATCHES}
    sounds = {f"hop-{hop}": {"task": "chirps", "hop": hop} for hop in HOPS}
    return pictures | sounds


class TokenClassifier(nn.Module):
    """Tokens of `values` numbers each, an encoder, the mean of its output to classes."""

    def __init__(self, values: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(values, 48)
        # the vocabulary is not used: tokens are projected instead of looked up
        config = TransformerConfig(
            1,
            d_model=48,
            n_heads=4,
            n_layers=2,
            positions="rope",
            activation="gelu",
        )
        self.encoder = Encoder(config)
        self.classify = nn.Linear(48, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, length, values); out: (batch, classes)."""
        return self.classify(self.encoder.encode(self.embed(tokens)).mean(1))


def placed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Digits of 8 x 8, each somewhere in an empty picture: (batch, 1, 16, 16)."""
    batch, height, width = images.shape
    down = torch.randint(SIDE - height + 1, (batch, 1, 1), generator=generator)
    right = torch.randint(SIDE - width + 1, (batch, 1, 1), generator=generator)
    rows = down + torch.arange(height)[:, None]
    columns = right + torch.arange(width)[None, :]
    places = (rows * SIDE + columns).flatten(1)
    pictures = torch.zeros(batch, SIDE * SIDE).scatter_(1, places, images.flatten(1))
    return pictures.view(batch, 1, SIDE, SIDE)


def frames(waveforms: Tensor, hop: int) -> Tensor:
    """Log-mel tokens, one a hop, about 0 where there is noise alone: (batch, frames, N_MELS)."""
    energies = log_mel(
        waveforms, window=hop + hop // 4, hop=hop, n_mels=N_MELS, sample_rate=tones.SAMPLE_RATE
    )
    return (energies + 4) / 2


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train once: accuracy on what was not seen, tokens, FLOPs an example, parameters."""
    torch.manual_seed(seed)
    batch_size = 4 if smoke else BATCH
    held_out = torch.Generator().manual_seed(10_000)
    if setting["task"] == "digits":
        patch = setting["patch"]
        supply = digits.batches(digits.load("train"), batch_size)

        def tokens(images: Tensor, generator: torch.Generator) -> Tensor:
            return image_patches(placed(images, generator), patch=patch)

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            images, labels = supply(step, generator)
            return tokens(images, generator), labels

        unseen = digits.load("test")
        test = tokens(unseen.images, held_out), unseen.labels
        classes = 10
    else:
        hop = setting["hop"]

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            sounds = tones.draw(batch_size, seed=generator)
            return frames(sounds.waveforms, hop), sounds.labels

        sounds = tones.draw(16 if smoke else 500, seed=held_out)
        test = frames(sounds.waveforms, hop), sounds.labels
        classes = len(tones.KINDS)

    _, length, values = test[0].shape
    model = TokenClassifier(values, classes)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    train(model, batches, loss, steps=3 if smoke else STEPS, lr=4e-3, seed=seed, progress=False)
    model.eval()
    with torch.no_grad():
        right = model(test[0]).argmax(-1) == test[1]
        flops, _ = count_flops(model, test[0][:1])
    return {
        "accuracy": right.double().mean().item(),
        "tokens": float(length),
        "flops": float(flops),
        "parameters": float(sum(p.numel() for p in model.parameters())),
    }
