"""How long may a patch or a hop be?

Two questions with the same answer in two senses. Pictures: a digit of 8 x 8 pixels lies somewhere
in 16 x 16, cut into patches of 2, 4, 8 or 16 pixels a side; which digit is it? Sounds: half a
second with a chirp of a tenth of a second, in log-mel frames of one hop each and windows a quarter
longer; where does its pitch go? The same encoder reads both, and only the number of tokens changes.
Each setting tries two learning rates for a sixth of the updates and takes the better one on
validation data. For pictures the seed is the fold: five seeds test every one of the 1,797 digits
once; for sounds each seed tests 1,000 chirps.
Positions are rotary: with learned ones the chirps were hardly above chance in a trial of as many
updates, for each place has to find out by itself what a neighbour is. Patches of one pixel, 256
tokens, would take as long as everything else together and are left out. About 22 seconds a run on
one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.beyond_text.file_bytes import folded
from frugal.data import digits, tones
from frugal.measure import count_flops
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.frames import log_mel
from frugal.tokens.patches import image_patches
from frugal.training import History, train

STEPS = {"digits": 1800, "chirps": 1000}
"""Updates. Pictures need more; `accuracy_by_step` tells whether they were enough."""
TRIAL_SHARE = 6
"""A learning rate is tried for one update in so many."""
RATES = (2e-3, 4e-3)
BATCH = 32
EVERY = 100
SIDE = 16
N_MELS = 20
PATCHES = (2, 4, 8, 16)
HOPS = (80, 160, 320, 640, 1280, 2560)
UNSEEN, N_UNSEEN = 10_000, 1000
"""The seed of the chirps to be tried on, and their number; training draws with its own seeds."""
VALIDATION, N_VALIDATION = 10_001, 200
"""The same for those that choose the learning rate and draw the curve."""


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


@torch.no_grad()
def judged(model: nn.Module, tokens: Tensor, labels: Tensor) -> dict[str, float]:
    """Share that is told right, and the mean loss."""
    scores = torch.cat([model(part) for part in tokens.split(100)])
    right = (scores.argmax(-1) == labels).double().mean().item()
    return {"accuracy": right, "loss": F.cross_entropy(scores, labels).item()}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: accuracy on what was not seen, tokens, FLOPs an example, parameters."""
    batch_size = 4 if smoke else BATCH
    held_out = torch.Generator().manual_seed(UNSEEN)
    if setting["task"] == "digits":
        data, patch = folded(seed), setting["patch"]
        supply = digits.batches(data["train"], batch_size)

        def tokens(images: Tensor, generator: torch.Generator) -> Tensor:
            return image_patches(placed(images, generator), patch=patch)

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            images, labels = supply(step, generator)
            return tokens(images, generator), labels

        test, valid = (
            (tokens(data[name].images, held_out), data[name].labels) for name in ("test", "valid")
        )
        classes = 10
    else:
        hop = setting["hop"]

        def heard(count: int, seed: int | torch.Generator) -> tuple[Tensor, Tensor]:
            sounds = tones.draw(count, seed=seed)
            return frames(sounds.waveforms, hop), sounds.labels

        def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            return heard(batch_size, generator)

        test = heard(16 if smoke else N_UNSEEN, UNSEEN)
        valid = heard(16 if smoke else N_VALIDATION, VALIDATION)
        classes = len(tones.KINDS)

    _, length, values = test[0].shape

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    def trained(rate: float, steps: int) -> tuple[TokenClassifier, History]:
        torch.manual_seed(seed)
        model = TokenClassifier(values, classes)
        history = train(
            model,
            batches,
            loss,
            steps=steps,
            lr=rate,
            seed=seed,
            evaluate=lambda model: judged(model, *valid),
            every=2 if smoke else EVERY,
            progress=False,
        )
        return model.eval(), history

    steps = 4 if smoke else STEPS[setting["task"]]
    trial = 2 if smoke else steps // TRIAL_SHARE
    tried = [trained(rate, trial)[1].evaluations[-1] for rate in RATES]
    losses = [evaluation["loss"] for evaluation in tried]
    rate = RATES[losses.index(min(losses))]
    model, history = trained(rate, steps)
    with torch.no_grad():
        flops, _ = count_flops(model, test[0][:1])
    return {
        "accuracy": judged(model, *test)["accuracy"],
        "accuracy_by_step": [e["accuracy"] for e in history.evaluations],
        "steps": [e["step"] for e in history.evaluations],
        "test_examples": len(test[1]),
        "rate": rate,
        "losses_by_rate": losses,
        "tokens": float(length),
        "flops": float(flops),
        "parameters": float(sum(p.numel() for p in model.parameters())),
    }
