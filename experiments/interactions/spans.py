"""How far back does each head of a character model look, with and without a price on its span?

Six layers of four heads on the help topics, every span free to move between 0 and 96 tokens, in
the manner of sukhbaatar2019adaptive: the spans of all heads on the way, and bits a character on
held-out text. "from-0" starts the spans where the paper does. About 35 seconds a run on one core.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from frugal.attention.span import AdaptiveSpan
from frugal.data import text
from frugal.model import Decoder, TransformerConfig
from frugal.penalty import penalty
from frugal.training import train

STEPS = 300
EVERY = 20
LENGTH = 128
MAX_SPAN = 96
RAMP = 16
N_HEADS = 4
N_LAYERS = 6


def settings() -> dict[str, dict[str, Any]]:
    """By name: λ, the price of a token of span, and where the spans start, in tokens."""
    return {
        "free": {"penalty": 0.0, "start": 48},
        "penalty": {"penalty": 1e-4, "start": 48},
        "from-0": {"penalty": 0.0, "start": 0},
    }


def character_model(vocab_size: int, start: float) -> Decoder:
    """A decoder whose layers have adaptive spans; rotary positions, which have no length."""
    config = TransformerConfig(
        vocab_size=vocab_size,
        d_model=64,
        n_heads=N_HEADS,
        n_layers=N_LAYERS,
        d_ff=128,
        positions="rope",
        make_attend=lambda _, config: AdaptiveSpan(config.n_heads, MAX_SPAN, RAMP, start=start),
    )
    return Decoder(config)


def spans_of(state: dict[str, torch.Tensor]) -> list[list[float]]:
    """Spans in tokens, a list a layer, from a model's weights."""
    shares = [value for name, value in state.items() if name.endswith("attend.share")]
    return [(MAX_SPAN * share.clamp(0, 1)).tolist() for share in shares]


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; bits a character, and the spans by checkpoint, layer and head."""
    topics = text.topics()
    torch.manual_seed(seed)
    model = character_model(len(topics.vocabulary), setting["start"])
    price = setting["penalty"]

    def nats(model: Decoder, batch: text.TextBatch) -> torch.Tensor:
        return F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())

    def loss(model: Decoder, batch: text.TextBatch) -> torch.Tensor:
        return nats(model, batch) + price * penalty(model)

    steps, every = (4, 2) if smoke else (STEPS, EVERY)
    history = train(
        model,
        topics.batches("train", length=LENGTH, batch_size=2 if smoke else 8),
        loss,
        steps=steps,
        lr=5e-3,
        seed=seed,
        checkpoints=range(0, steps + 1, every),
        progress=False,
    )
    model.eval()
    held_out = topics.windows("valid", length=LENGTH)
    losses = []
    with torch.no_grad():
        for start in range(0, 4 if smoke else len(held_out.inputs), 16):
            rows = slice(start, start + 16)
            losses.append(
                nats(model, text.TextBatch(held_out.inputs[rows], held_out.targets[rows]))
            )
    spans = [spans_of(state) for state in history.checkpoints.values()]
    last = torch.tensor(spans[-1])
    return {
        "bits": torch.stack(losses).mean().item() / math.log(2),
        "mean_span": last.mean().item(),
        # what must be read and stored follows the longest head of each layer
        "mean_longest": last.amax(1).mean().item(),
        "steps": list(history.checkpoints),
        "spans": spans,
    }
