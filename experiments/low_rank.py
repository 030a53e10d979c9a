"""Which tasks let attention be of low rank: sorting digits, or looking up an exact place?

Two encoders of two layers. "digits" tell the class of a picture of 8 x 8 pixels, a token each;
"recall" answers six keys among 48 positions, reading in both directions. Linformer shortens the
length to a rank k; "full" is softmax attention. For the latter the singular values of its matrices
are recorded, before and after training, as the error of their best approximation of rank k.
About 15 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.attention.linformer import LinformerAttention
from frugal.attention.softmax import recording
from frugal.data import digits, recall
from frugal.data.sequences import IGNORE
from frugal.model import Encoder, TransformerConfig
from frugal.training import train

STEPS = {"digits": 300, "recall": 500}
LENGTH = {"digits": 64, "recall": 48}
WIDTH, HEADS = 48, 4
PAIRS = {"n_pairs": 6, "length": 48, "n_symbols": 32, "power": 1.0}


def settings() -> dict[str, dict[str, Any]]:
    """By name: the task, and k; None is full attention."""
    ranks = {"digits": (None, 2, 8, 32), "recall": (None, 2, 8, 24, 48)}
    return {
        f"{task}-{'full' if rank is None else rank}": {"task": task, "rank": rank}
        for task in ranks
        for rank in ranks[task]
    }


class Reader(nn.Module):
    """An encoder with a class for the whole sequence (digits) or for every place (recall)."""

    def __init__(self, setting: dict[str, Any]) -> None:
        super().__init__()
        self.task, rank = setting["task"], setting["rank"]
        length = LENGTH[self.task]
        config = TransformerConfig(
            PAIRS["n_symbols"],
            d_model=WIDTH,
            n_heads=HEADS,
            d_ff=2 * WIDTH,
            max_length=length,
            # what recall needs to know is which symbol comes next, digits where each pixel lies
            positions="rope" if self.task == "recall" else "learned",
            make_attend=None
            if rank is None
            else lambda index, config: LinformerAttention(HEADS, length, rank),
        )
        self.encoder = Encoder(config)
        self.embed = nn.Linear(1, WIDTH)
        self.classify = nn.Linear(WIDTH, 10 if self.task == "digits" else PAIRS["n_symbols"])

    def forward(self, x: Tensor) -> Tensor:
        """x: pixels (batch, 64, 1), or ids (batch, length)."""
        if self.task == "digits":
            return self.classify(self.encoder.encode(self.embed(x)).mean(1))
        return self.classify(self.encoder(x))


def supply(task: str, smoke: bool) -> tuple[Any, tuple[Tensor, Tensor]]:
    """Batches for training, and what is tested on: inputs and targets."""
    batch = 4 if smoke else 32
    if task == "recall":
        test = recall.draw(8 if smoke else 512, **PAIRS, seed=1_000_000)

        def pairs(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            drawn = recall.draw(batch, **PAIRS, seed=generator)
            return drawn.inputs, drawn.targets

        return pairs, (test.inputs, test.targets)
    draw, held_out = digits.batches(digits.load("train"), batch), digits.load("test")

    def pictures(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images, labels = draw(step, generator)
        return images.flatten(1)[..., None], labels

    return pictures, (held_out.images.flatten(1)[..., None], held_out.labels)


def rank_errors(model: Reader, x: Tensor) -> list[list[float]]:
    """By layer, ‖P - P_k‖ / ‖P‖ for k = 0 ... N, where P_k is the best of rank k: the mean over
    heads and inputs."""
    with torch.no_grad(), recording(model) as recorder:
        model(x)
    errors = []
    for weights in recorder.weights.values():
        squares = torch.linalg.svdvals(weights.double()).square()  # (batch, heads, N)
        left = squares.flip(-1).cumsum(-1).flip(-1)  # what the values from k on hold
        share = F.pad(left, (0, 1)) / left[..., :1]
        errors.append(share.sqrt().mean((0, 1)).tolist())
    return errors


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: the share of right answers; for full attention the errors of rank k too."""
    torch.manual_seed(seed)
    model, task = Reader(setting), setting["task"]
    batches, (x, targets) = supply(task, smoke)
    looked_at = x[: 2 if smoke else 32]
    start = rank_errors(model, looked_at) if setting["rank"] is None else None

    def loss(model: Reader, batch: tuple[Tensor, Tensor]) -> Tensor:
        scores, wanted = model(batch[0]).flatten(0, -2), batch[1].flatten()
        return F.cross_entropy(scores, wanted, ignore_index=IGNORE)

    steps = 3 if smoke else STEPS[task]
    train(model, batches, loss, steps=steps, lr=3e-3, seed=seed, progress=False)
    model.eval()
    with torch.no_grad():
        right = model(x).argmax(-1) == targets
    values = {"right": right[targets != IGNORE].double().mean().item()}
    if start is not None:
        values |= {"start": start, "errors": rank_errors(model, looked_at)}
    return values
