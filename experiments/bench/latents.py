"""A Perceiver over the number of its inputs, against full attention and Hugging Face's Perceiver.

Batch 1, width 64, 4 heads, 64 latents, 4 layers on them, one output query, float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from experiments.bench import Case, Encoded, call
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.latents import PerceiverIO

WIDTH, HEADS, LATENTS, LAYERS = 64, 4, 64, 4


def cases(smoke: bool) -> list[Case]:
    """Forward and training at 2,048 inputs, and forward over sixteen times as many."""
    middle, short, long = (64, 32, 512) if smoke else (2048, 4096, 65536)
    perceiver = PerceiverIO(WIDTH, WIDTH, LATENTS, n_layers=LAYERS, n_heads=HEADS, widening=4)
    config = TransformerConfig(
        1, d_model=WIDTH, n_heads=HEADS, n_layers=LAYERS, positions="none", activation="gelu"
    )
    full = Encoder(config)
    models: dict[str, Callable[[Tensor], Tensor]] = {
        "full attention": Encoded(full),
        "Perceiver": Asked(perceiver),
    }
    found = []
    for direction in ("forward", "training"):
        baseline = f"{direction} {middle} full attention"
        training = direction == "training"
        found += [
            Case(baseline, call(models["full attention"], vectors(middle), training=training)),
            Case(
                f"{direction} {middle} Perceiver",
                call(models["Perceiver"], vectors(middle), training=training),
                against=baseline,
                bar=0.15,
            ),
        ]
    found += [
        Case(f"forward {short} Perceiver", call(models["Perceiver"], vectors(short))),
        # Sixteen times the inputs: an exponent of 1.1 is 16 ** 1.1 = 21.1 times the time.
        Case(
            f"forward {long} Perceiver",
            call(models["Perceiver"], vectors(long)),
            against=f"forward {short} Perceiver",
            bar=16**1.1,
        ),
    ]
    return found + peers(middle)


class Asked(nn.Module):
    """A Perceiver that answers one learned question."""

    def __init__(self, perceiver: PerceiverIO) -> None:
        super().__init__()
        self.perceiver = perceiver
        self.question = nn.Parameter(torch.randn(1, 1, perceiver.d_query))

    def forward(self, x: Tensor) -> Tensor:
        return self.perceiver(x, self.question)


def vectors(length: int) -> Tensor:
    """A random sequence of this bench's width."""
    return torch.randn(1, length, WIDTH)


def peers(inputs: int) -> list[Case]:
    """The encoders, theirs and ours, of the same shape; none where transformers is missing."""
    try:
        from transformers import PerceiverConfig, PerceiverModel
    except ImportError:
        print("transformers is not installed, so its Perceiver is left out.")
        return []
    shape: dict[str, Any] = {
        "num_latents": LATENTS,
        "d_latents": WIDTH,
        "d_model": WIDTH,
        "qk_channels": WIDTH,
        "v_channels": WIDTH,
    }
    theirs = PerceiverModel(
        PerceiverConfig(
            num_blocks=1,
            num_self_attends_per_block=LAYERS,
            num_self_attention_heads=HEADS,
            num_cross_attention_heads=1,
            **shape,
        )
    ).eval()
    ours = PerceiverIO(WIDTH, WIDTH, LATENTS, n_layers=LAYERS, n_heads=HEADS)
    peer = f"forward {inputs} Perceiver of Hugging Face, encoder"
    return [
        Case(peer, call(lambda x: theirs(x).last_hidden_state, vectors(inputs))),
        Case(
            f"forward {inputs} Perceiver, encoder",
            call(ours.encode, vectors(inputs)),
            peer,
            bar=1.0,
        ),
    ]
