"""Does it pay that each head learns how far back it looks, beside windows that cost as much?

Character models of four layers of four heads on the help topics. Spans may move between 0 and 64
tokens (sukhbaatar2019adaptive), with a ramp of 8:

- started at 32 or at 0, as in the paper, with and without a price per token of span;
- "dynamic": a span for each query, read from it, started at 32 with a price;
- "window-8" ... "window-64": one window for all heads of all layers, which is what learned spans
  are to replace.

What an arm reads is counted twice, in keys per query and layer: what its heads see one by one, and
what its longest head sees, which all heads of a layer read in practice. Both count the ramp. Bits
per character on validation data at several moments of every run, so that a plateau can be seen, and
on test data at the end; the spans of all heads at the end, and of one seed on the way. All arms
have the same learning rate. About 50 seconds a run on one core.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.patterns import PatternAttention
from frugal.attention.softmax import Attend
from frugal.attention.span import AdaptiveSpan
from frugal.data import text
from frugal.model import Decoder, TransformerConfig
from frugal.penalty import penalty
from frugal.training import train

MOMENTS = (100, 200, 400, 700, 1000, 1300, 1700)
"""Updates after which a model is read; the last is the end of the run."""
WATCHED = (0, 25, 50, *MOMENTS)
"""Updates after which the spans of seed 0 are kept."""
LENGTH = 96
BATCH = 6
RATE = 5e-3
MAX_SPAN = 64
RAMP = 8
WIDTH, D_FF = 64, 128
N_HEADS = 4
N_LAYERS = 4
WINDOWS = (8, 16, 32, 64)
PRICE = 1e-4
"""λ of a token of span, per layer."""


def settings() -> dict[str, dict[str, Any]]:
    """By name: the kind of span; for learned ones λ and where they start, for a window its keys."""
    learned = {
        "free": {"kind": "span", "price": 0.0, "start": 32},
        "priced": {"kind": "span", "price": PRICE, "start": 32},
        "from-0": {"kind": "span", "price": 0.0, "start": 0},
        "from-0-priced": {"kind": "span", "price": PRICE, "start": 0},
        "dynamic": {"kind": "dynamic", "price": PRICE, "start": 32},
    }
    return learned | {f"window-{n}": {"kind": "window", "keys": n} for n in WINDOWS}


def attend_of(setting: dict[str, Any]) -> Attend:
    """The attention of one layer."""
    if setting["kind"] == "window":
        return PatternAttention("window", window=setting["keys"] - 1)
    if setting["kind"] == "dynamic":
        return DynamicSpan(N_HEADS, WIDTH // N_HEADS, MAX_SPAN, RAMP, start=setting["start"])
    return AdaptiveSpan(N_HEADS, MAX_SPAN, RAMP, start=setting["start"])


def character_model(vocab_size: int, setting: dict[str, Any]) -> Decoder:
    """A decoder with rotary positions, which have no length."""
    config = TransformerConfig(
        vocab_size=vocab_size,
        d_model=WIDTH,
        n_heads=N_HEADS,
        n_layers=N_LAYERS,
        d_ff=D_FF,
        positions="rope",
        make_attend=lambda index, config: attend_of(setting),
    )
    return Decoder(config)


def nats(model: Decoder, batch: text.TextBatch) -> Tensor:
    """Per character."""
    return F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())


def bits(model: Decoder, data: text.TextBatch) -> float:
    """Per character of texts side by side."""
    model.eval()
    with torch.no_grad():
        parts = [
            nats(model, text.TextBatch(*rows)).item() * rows[0].numel()
            for rows in zip(data.inputs.split(32), data.targets.split(32), strict=True)
        ]
    return sum(parts) / data.targets.numel() / math.log(2)


def spans_of(model: Decoder, inputs: Tensor) -> Tensor:
    """z, in tokens, of each layer, head and query of `inputs`: (layers, heads, 1 or queries)."""
    found = []

    def look(attend: DynamicSpan, args: tuple[Tensor, ...]) -> None:
        found.append(attend.spans(args[0]).transpose(0, 1).flatten(1))

    attends = [layer.mix.sublayer.attend for layer in model.stack.layers]
    if isinstance(attends[0], AdaptiveSpan):
        return torch.stack([attend.spans.detach()[:, None] for attend in attends])
    hooks = [attend.register_forward_pre_hook(look) for attend in attends]
    with torch.no_grad():
        model(inputs)
    for hook in hooks:
        hook.remove()
    return torch.stack(found)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: bits per character at each moment, spans, and how many keys are read."""
    topics = text.topics()
    torch.manual_seed(seed)
    model = character_model(len(topics.vocabulary), setting)
    price = setting.get("price", 0.0)

    def loss(model: Decoder, batch: text.TextBatch) -> Tensor:
        return nats(model, batch) + (price * penalty(model) if price else 0.0)

    moments, watched = ((2, 4), (0, 2, 4)) if smoke else (MOMENTS, WATCHED)
    history = train(
        model,
        topics.batches("train", length=LENGTH, batch_size=2 if smoke else BATCH),
        loss,
        steps=moments[-1],
        lr=RATE,
        seed=seed,
        checkpoints=watched,
        progress=False,
    )
    held_out = {part: topics.windows(part, length=LENGTH) for part in ("valid", "test")}
    if smoke:
        held_out = {p: text.TextBatch(d.inputs[:4], d.targets[:4]) for p, d in held_out.items()}
    looked_at = held_out["valid"].inputs[:16]
    learned = setting["kind"] != "window"
    curve, way = [], []
    for moment in watched:
        model.load_state_dict(history.checkpoints[moment])
        if moment in moments:
            curve.append(bits(model, held_out["valid"]))
        if learned and seed == 0:
            way.append(spans_of(model, looked_at).mean(-1).round(decimals=2).tolist())
    values: dict[str, Any] = {
        "bits": bits(model, held_out["test"]),
        "valid": curve[-1],
        "valid_curve": curve,
        "moments": list(moments),
        "characters": held_out["test"].targets.numel(),
    }
    if not learned:
        return values | {"read": float(setting["keys"]), "read_longest": float(setting["keys"])}
    spans = spans_of(model, looked_at)
    reads = (spans + RAMP).clamp(max=MAX_SPAN)
    values |= {
        "mean_span": spans.mean().item(),
        "spans": spans.mean(-1).round(decimals=2).tolist(),
        "read": reads.mean().item(),
        # what must be read follows the longest head of each layer
        "read_longest": reads.amax(1).mean().item(),
        # how much a head's span moves from query to query
        "spread": spans.std(-1, correction=0).mean().item(),
    }
    return values | ({"steps": list(watched), "way": way} if seed == 0 else {})
