"""A funnel against a plain encoder of as many layers, and against Hugging Face's Funnel.

Batch 1, width 64, 4 heads, six layers in three blocks of two, float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from experiments.bench import Case, Encoded, call
from frugal.model import TransformerConfig
from frugal.tokens.pooling import FunnelEncoder

WIDTH, HEADS, BLOCKS = 64, 4, (2, 2, 2)


def cases(smoke: bool) -> list[Case]:
    """Forward and training at two lengths, with and without a decoder; positions by distance."""
    found = []
    for length in (32, 64) if smoke else (512, 2048):
        kinds = {
            "plain": encoder(blocks=(sum(BLOCKS),)),
            "funnel": encoder(),
            "funnel and decoder": encoder(n_decoder_layers=2),
        }
        for direction in ("forward", "training"):
            plain = f"{direction} {length} plain"
            for name, model in kinds.items():
                found.append(
                    Case(
                        f"{direction} {length} {name}",
                        call(Encoded(model), vectors(length), training=direction == "training"),
                        against=None if name == "plain" else plain,
                        bar=0.65 if name == "funnel" and length > 1000 else None,
                    )
                )
    return found + peers(32 if smoke else 512)


def encoder(**options: Any) -> FunnelEncoder:
    """A funnel of this bench's width, of three blocks of two layers unless told otherwise."""
    config = TransformerConfig(
        1,
        d_model=WIDTH,
        n_heads=HEADS,
        norm_first=False,
        positions="none",
        activation="gelu",
    )
    return FunnelEncoder(config, **({"blocks": BLOCKS} | options))


def vectors(length: int) -> Tensor:
    """A random sequence of this bench's width."""
    return torch.randn(1, length, WIDTH)


def peers(length: int) -> list[Case]:
    """Encoders with positions by distance, theirs and ours; none where transformers is missing."""
    try:
        from transformers import FunnelConfig
        from transformers.models.funnel.modeling_funnel import FunnelEncoder as Theirs
    except ImportError:
        print("transformers is not installed, so its Funnel is left out.")
        return []
    config = FunnelConfig(
        block_sizes=list(BLOCKS),
        d_model=WIDTH,
        n_head=HEADS,
        d_head=WIDTH // HEADS,
        d_inner=4 * WIDTH,
        hidden_act="gelu",
        separate_cls=False,
    )
    theirs = Theirs(config).eval()
    real = torch.ones(1, length)
    peer = f"forward {length} Funnel of Hugging Face"
    return [
        Case(
            peer,
            call(lambda x: theirs(x, attention_mask=real).last_hidden_state, vectors(length)),
        ),
        Case(
            f"forward {length} funnel, positions by distance",
            call(encoder(relative=True).encode, vectors(length)),
            against=peer,
            bar=0.9,
        ),
    ]
