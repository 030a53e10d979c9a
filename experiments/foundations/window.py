"""How far back must a character model see?

A causal model of two layers over 128 characters whose heads see 1 to 64 characters back, or all.
Rotary positions: with sinusoidal ones, a first run left full attention a bit behind any window,
which said how slowly those are learned and nothing about the past. All arms have the same learning
rate.

Bits per character on the second half of held-out pieces, where every window is full: on validation
data at several moments of every run, so that it can be seen whether the order has settled, and on
test data at the end. And how far two layers reach. About 40 seconds a run on one core.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.attention.patterns import PatternAttention
from frugal.attention.softmax import softmax_attention
from frugal.data import text
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

MOMENTS = (300, 600, 1200, 2400)
"""Updates after which a model is read; the last is the end of the run."""
LENGTH = 128
BATCH = 4
N_LAYERS = 2


def settings() -> dict[str, dict[str, Any]]:
    """By name, how many characters back a head sees beside the one it stands on; None: all."""
    return {f"window-{w}": {"window": w} for w in (1, 4, 16, 64)} | {"full": {"window": None}}


def bits(model: Decoder, data: text.TextBatch) -> float:
    """Per character of the second half of each piece."""
    half = data.inputs.shape[1] // 2
    losses = []
    model.eval()
    with torch.no_grad():
        for inputs, targets in zip(data.inputs.split(32), data.targets.split(32), strict=True):
            scores = model(inputs)[:, half:]
            losses.append(F.cross_entropy(scores.mT, targets[:, half:], reduction="none").flatten())
    return torch.cat(losses).mean().item() / math.log(2)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; bits per character, keys seen by a query, and the reach of the whole model."""
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

    def loss(model: Decoder, batch: text.TextBatch) -> Tensor:
        return F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())

    moments = (2, 4) if smoke else MOMENTS
    history = train(
        model,
        topics.batches("train", length=length, batch_size=2 if smoke else BATCH),
        loss,
        steps=moments[-1],
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    held_out = {split: topics.windows(split, length=length) for split in ("valid", "test")}
    if smoke:
        held_out = {s: text.TextBatch(d.inputs[:4], d.targets[:4]) for s, d in held_out.items()}
    curve = []
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        curve.append(bits(model, held_out["valid"]))
    seen = LENGTH - 1 if window is None else window
    return {
        "bits": bits(model, held_out["test"]),
        "valid": curve[-1],
        "valid_curve": curve,
        "moments": list(moments),
        "characters": held_out["test"].targets[:, length // 2 :].numel(),
        "keys": float(seen + 1),
        "reach": float(min(LENGTH, N_LAYERS * seen)),
    }
