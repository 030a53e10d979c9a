"""How many random features does recall need, and what do a fresh draw and a gate change?

Six pairs of a key and a value, then every key again, asking for its value: two layers of width 64,
two heads of 32 with rotary positions, 500 updates. "favor-m" are Performers with m positive
orthogonal features drawn once, "favor-64-redrawn" draws them anew at every update, "elu" has 32
features without randomness, "rfa-64" has 64 random vectors and a gate, "rfa-64-open" no gate.
About 15 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.attention.kernel_gate import RandomFeatureAttention
from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.softmax import Attend, softmax_attention
from frugal.data import recall
from frugal.data.sequences import IGNORE, SequenceBatch
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

STEPS, BATCH = 500, 32
WIDTH, HEADS = 64, 2
TASK = {"n_pairs": 6, "length": 36, "n_symbols": 32, "power": 1.0}


def settings() -> dict[str, dict[str, Any]]:
    """By name: the kind of attention and what it takes."""
    return {
        "softmax": {"kind": "softmax"},
        "elu": {"kind": "elu"},
        "favor-16": {"kind": "favor", "n_features": 16},
        "favor-64": {"kind": "favor", "n_features": 64},
        "favor-256": {"kind": "favor", "n_features": 256},
        "favor-64-redrawn": {"kind": "favor", "n_features": 64, "redraw_every": 1},
        "rfa-64": {"kind": "rfa", "n_features": 64, "gate": True},
        "rfa-64-open": {"kind": "rfa", "n_features": 64, "gate": False},
    }


def attend_of(setting: dict[str, Any]) -> Attend:
    """The attention of a setting, one for each layer."""
    options = {name: value for name, value in setting.items() if name != "kind"}
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
    test = recall.draw(16 if smoke else 512, **TASK, seed=1_000_000)
    asked = test.targets != IGNORE

    def share(model: Decoder) -> dict[str, float]:
        right = model(test.inputs).argmax(-1) == test.targets
        return {"right": right[asked].double().mean().item()}

    history = train(
        model,
        lambda step, generator: recall.draw(4 if smoke else BATCH, **TASK, seed=generator),
        loss,
        steps=4 if smoke else STEPS,
        lr=3e-3,
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
