"""Which features learn to recall: with or without chance, drawn once or anew, with a gate or not?

Four pairs of a key and a value, then every key again, asking for its value: two layers of width 64,
two heads of 32 with rotary positions, 900 updates of 64 sequences. "favor" are Performers with 64
positive orthogonal features, drawn once or "redrawn" at every update; "elu" has 32 features without
randomness, "rfa" 32 random vectors (64 features, redrawn) and a gate, "rfa-open" no gate.

Every kind is trained with the same two learning rates; a chapter takes the rate that is best on the
validation texts and reads the test once. Recorded every 75 updates, so that a plateau can be seen.
About 25 seconds a run on one core.
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

STEPS, BATCH, EVERY = 900, 64, 75
RATES = (2e-3, 5e-3)
WIDTH, HEADS = 64, 2
TASK = {"n_pairs": 4, "length": 16, "n_symbols": 32, "power": 1.0, "noise": False}


def settings() -> dict[str, dict[str, Any]]:
    """By name `kind-rate`: the kind of attention, its learning rate, and what it takes."""
    rfa = {"kind": "rfa", "n_features": 32}
    kinds = {
        "softmax": {"kind": "softmax"},
        "elu": {"kind": "elu"},
        "favor": {"kind": "favor", "n_features": 64},
        "favor-redrawn": {"kind": "favor", "n_features": 64, "redraw_every": 1},
        "rfa": rfa | {"gate": True},
        "rfa-open": rfa | {"gate": False},
    }
    return {
        f"{name}-{rate:g}": kind | {"lr": rate} for name, kind in kinds.items() for rate in RATES
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
    """Train once: the share of values recalled in validation and test texts, and its curve."""
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
    size = 16 if smoke else 256
    held_out = {
        part: recall.draw(size, **TASK, seed=seed)
        for part, seed in (("valid", 2_000_000), ("test", 1_000_000))
    }

    def shares(model: Decoder) -> dict[str, float]:
        found = {}
        for part, texts in held_out.items():
            asked = texts.targets != IGNORE
            right = model(texts.inputs).argmax(-1) == texts.targets
            found[part] = right[asked].double().mean().item()
        return found

    history = train(
        model,
        lambda step, generator: recall.draw(4 if smoke else BATCH, **TASK, seed=generator),
        loss,
        steps=4 if smoke else STEPS,
        lr=setting["lr"],
        seed=seed,
        evaluate=shares,
        every=2 if smoke else EVERY,
        progress=False,
    )
    last = history.evaluations[-1]
    return {
        "right": last["test"],
        "valid": last["valid"],
        "curve": [[one["step"], one["test"]] for one in history.evaluations],
        "asked": (held_out["test"].targets != IGNORE).sum().item(),
        "update_ms": 1e3 * history.seconds / history.steps,
    }
