"""Which features learn to recall: with or without chance, drawn once or anew, with a gate or not?

Four pairs of a key and a value, then every key again, asking for its value: two layers of width 64,
two heads of 32 with rotary positions, 420 updates of 64 sequences. "favor" are Performers with 64
positive orthogonal features, drawn once or "redrawn" at every update, each with two learning rates;
"elu" has 32 features without randomness, "rfa" 32 random vectors (64 features, redrawn) and a gate,
"rfa-open" no gate. About 20 seconds a run on one core.

The other rates are from short trials with another seed: 2e-3 for softmax, 5e-3 for elu and rfa.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.attention.softmax import Attend, softmax_attention
from frugal.data import recall
from frugal.data.sequences import IGNORE, SequenceBatch
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

STEPS, BATCH = 420, 64
WIDTH, HEADS = 64, 2
TASK = {"n_pairs": 4, "length": 16, "n_symbols": 32, "power": 1.0, "noise": False}


def settings() -> dict[str, dict[str, Any]]:
    """By name: the kind of attention, its learning rate, and what it takes."""
    favor = {"kind": "favor", "n_features": 64}
    rfa = {"kind": "rfa", "lr": 5e-3, "n_features": 32}
    return {
        "softmax": {"kind": "softmax", "lr": 2e-3},
        "elu": {"kind": "elu", "lr": 5e-3},
        "favor-0.002": {**favor, "lr": 2e-3},
        "favor-0.005": {**favor, "lr": 5e-3},
        "favor-redrawn-0.002": {**favor, "lr": 2e-3, "redraw_every": 1},
        "favor-redrawn-0.005": {**favor, "lr": 5e-3, "redraw_every": 1},
        "rfa": {**rfa, "gate": True},
        "rfa-open": {**rfa, "gate": False},
    }


def attend_of(setting: dict[str, Any]) -> Attend:
    """The attention of a setting, one for each layer."""
    options = {name: value for name, value in setting.items() if name not in ("kind", "lr")}
    if setting["kind"] == "softmax":
        return softmax_attention
    if setting["kind"] == "elu":
        return KernelAttention()
    if setting["kind"] == "favor":
        return KernelAttention(FavorFeatures(WIDTH // HEADS, **options))
    return RandomFeatureAttention(HEADS, WIDTH // HEADS, **options)


def loss(model: Decoder, batch: SequenceBatch) -> Tensor:
    scores = model(batch.inputs).flatten(0, 1)
    return F.cross_entropy(scores, batch.targets.flatten(), ignore_index=IGNORE)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: the share of values recalled, at the end and every 50 updates."""
    torch.manual_seed(seed)
    config = TransformerConfig(
        TASK["n_symbols"],
        d_model=WIDTH,
        n_heads=HEADS,
        d_ff=2 * WIDTH,
        positions="rope",
        make_attend=lambda index, config: attend_of(setting),
    )
    model = Decoder(config)
    test = recall.draw(16 if smoke else 256, **TASK, seed=1_000_000)
    asked = test.targets != IGNORE

    def share(model: Decoder) -> dict[str, float]:
        right = model(test.inputs).argmax(-1) == test.targets
        return {"right": right[asked].double().mean().item()}

    history = train(
        model,
        lambda step, generator: recall.draw(4 if smoke else BATCH, **TASK, seed=generator),
        loss,
        steps=4 if smoke else STEPS,
        lr=setting["lr"],
        seed=seed,
        evaluate=share,
        every=2 if smoke else 50,
        progress=False,
    )
    return {
        "right": history.evaluations[-1]["right"],
        "curve": [[one["step"], one["right"]] for one in history.evaluations],
        "update_ms": 1e3 * history.seconds / history.steps,
    }
