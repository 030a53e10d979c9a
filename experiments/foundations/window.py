"""How far back must a character model see?

A causal model of two layers over 128 characters whose heads see 1 to 64 characters back, or all.
Bits a character on the second half of held-out pieces, where every window is full, and how far two
layers reach. Rotary positions: with sinusoidal ones, 200 updates left full attention a bit behind
any window, which said how slowly those are learned and nothing about the past. About 40 seconds a
run on one core.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from frugal.attention.patterns import PatternAttention
from frugal.attention.softmax import softmax_attention
from frugal.data import text
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

STEPS = 600
LENGTH = 128
BATCH = 16
N_LAYERS = 2


def settings() -> dict[str, dict[str, Any]]:
    """By name, how many characters back a head sees beside the one it stands on; None: all."""
    return {f"window-{w}": {"window": w} for w in (1, 4, 16, 64)} | {"full": {"window": None}}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train once; bits a character, keys seen by a query, and the reach of the whole model."""
    window = setting["window"]
    length = 32 if smoke else LENGTH
    topics = text.topics()
    attend = softmax_attention if window is None else PatternAttention("window", window=window)
    torch.manual_seed(seed)
    model = Decoder(
        TransformerConfig(
            vocab_size=len(topics.vocabulary),
            d_model=64,
            n_heads=4,
            n_layers=N_LAYERS,
            positions="rope",
            make_attend=lambda index, config: attend,
        )
    )

    def loss(model: Decoder, batch: text.TextBatch) -> torch.Tensor:
        return F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())

    batches = topics.batches("train", length=length, batch_size=2 if smoke else BATCH)
    train(model, batches, loss, steps=3 if smoke else STEPS, seed=seed, progress=False)

    model.eval()
    held_out = topics.windows("valid", length=length)
    losses = []
    with torch.no_grad():
        for start in range(0, 4 if smoke else len(held_out.inputs), 32):
            scores = model(held_out.inputs[start : start + 32])[:, length // 2 :]
            targets = held_out.targets[start : start + 32, length // 2 :]
            losses.append(F.cross_entropy(scores.mT, targets, reduction="none").flatten())
    bits = torch.cat(losses).mean().item() / math.log(2)
    seen = LENGTH - 1 if window is None else window
    return {"bits": bits, "keys": float(seen + 1), "reach": float(min(LENGTH, N_LAYERS * seen))}
