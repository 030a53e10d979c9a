"""What does a longer context buy, and what does it cost?

The same character model reads 8 to 512 characters back; every update sees the same 4,096
characters, so that only the cut between them differs. Bits a character on the last character of
held-out windows, and the FLOPs of an update. Rotary positions; sinusoidal ones as well for two
lengths, since a first run showed that they learn slowly to look back. About 50 seconds a run on
one core.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from frugal.arithmetic.transformer import TransformerShape, flops
from frugal.data import text
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

STEPS = 400
CHARACTERS = 4096


def settings() -> dict[str, dict[str, Any]]:
    """By name, how many characters the model sees, and how it knows where they stand."""
    plan = [("rope", length) for length in (8, 32, 128, 512)]
    plan += [("sinusoidal", length) for length in (8, 128)]
    return {f"{kind}-{length}": {"length": length, "positions": kind} for kind, length in plan}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train once; bits a character with a full context, and the FLOPs of an update."""
    length = setting["length"]
    characters = 512 if smoke else CHARACTERS
    topics = text.topics()
    shape = {"d_model": 64, "n_heads": 4, "n_layers": 2}
    torch.manual_seed(seed)
    config = TransformerConfig(len(topics.vocabulary), positions=setting["positions"], **shape)
    model = Decoder(config)

    def loss(model: Decoder, batch: text.TextBatch) -> torch.Tensor:
        return F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())

    batch_size = max(1, characters // length)
    batches = topics.batches("train", length=length, batch_size=batch_size)
    train(model, batches, loss, steps=3 if smoke else STEPS, seed=seed, progress=False)

    model.eval()
    generator = torch.Generator().manual_seed(1)
    held_out = topics.batches("valid", length=length, batch_size=4 if smoke else 64)
    losses = []
    with torch.no_grad():
        for step in range(1 if smoke else 16):
            windows = held_out(step, generator)
            last = model(windows.inputs)[:, -1]
            losses.append(F.cross_entropy(last, windows.targets[:, -1]).item())
    bits = sum(losses) / len(losses) / math.log(2)
    spent = flops(
        TransformerShape(length=length, d_ff=256, batch=batch_size, **shape),
        "training",
    )
    return {"bits": bits, "flops": float(spent.total), "attention_share": spent.attention_share}
