"""What does a longer context buy, and what does it cost?

The same character model reads 8 to 512 characters back; every update sees the same 1,024
characters, so that only the cut between them differs. Rotary positions; sinusoidal ones as well for
two lengths, since a first run showed that they learn slowly to look back. All arms have the same
learning rate.

Bits per character, where each model has all the context it was made for. All of them predict the
same characters: on validation data at several moments of every run, so that it can be seen whether
the order has settled, and on test data at the end. The FLOPs of an update are counted. About 40
seconds a run on one core.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.arithmetic.transformer import TransformerShape, flops
from frugal.data import text
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

MOMENTS = (200, 400, 800, 1600)
"""Updates after which a model is read; the last is the end of the run."""
CHARACTERS = 1024
LENGTHS = (8, 32, 128, 512)
JUDGED = {"valid": 1024, "test": 2048}
"""How many characters of each split are predicted."""


def settings() -> dict[str, dict[str, Any]]:
    """By name, how many characters the model sees, and how it knows where they stand."""
    plan = [("rope", length) for length in LENGTHS]
    plan += [("sinusoidal", length) for length in (8, 128)]
    return {f"{kind}-{length}": {"length": length, "positions": kind} for kind, length in plan}


def with_full_context(tokens: Tensor, length: int, count: int) -> text.TextBatch:
    """`count` characters spread over a split, the same for every length, and the `length` before.

    Inputs (count, length), targets (count,).
    """
    places = torch.linspace(max(LENGTHS), len(tokens) - 1, count).long()
    rows = tokens.unfold(0, length + 1, 1)[places - length]
    return text.TextBatch(rows[:, :-1], rows[:, -1])


def bits(model: Decoder, data: text.TextBatch) -> float:
    """Per character, where the model has its full context."""
    model.eval()
    with torch.no_grad():
        losses = [
            F.cross_entropy(model(inputs)[:, -1], targets, reduction="none")
            for inputs, targets in zip(data.inputs.split(64), data.targets.split(64), strict=True)
        ]
    return torch.cat(losses).mean().item() / math.log(2)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; bits per character at each moment and at the end, and the FLOPs of an update."""
    length = setting["length"]
    topics = text.topics()
    shape = {"d_model": 64, "n_heads": 4, "n_layers": 2}
    torch.manual_seed(seed)
    config = TransformerConfig(len(topics.vocabulary), positions=setting["positions"], **shape)
    model = Decoder(config)

    def loss(model: Decoder, batch: text.TextBatch) -> Tensor:
        return F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())

    moments = (2, 4) if smoke else MOMENTS
    batch_size = max(1, (512 if smoke else CHARACTERS) // length)
    history = train(
        model,
        topics.batches("train", length=length, batch_size=batch_size),
        loss,
        steps=moments[-1],
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    held_out = {
        split: with_full_context(topics.tokens(split), length, 8 if smoke else count)
        for split, count in JUDGED.items()
    }
    curve = []
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        curve.append(bits(model, held_out["valid"]))
    spent = flops(
        TransformerShape(length=length, d_ff=256, batch=batch_size, **shape),
        "training",
    )
    return {
        "bits": bits(model, held_out["test"]),
        "valid": curve[-1],
        "valid_curve": curve,
        "moments": list(moments),
        "characters": len(held_out["test"].targets),
        "flops": float(spent.total),
        "attention_share": spent.attention_share,
    }
