"""Two sizes of the vanilla model: the paper's, and one that trains in minutes on a CPU.

Source: narang2021modifications, section 3.1. Chapter: the-modification-zoo.
"""

from __future__ import annotations

from dataclasses import replace

from frugal.transfer import parts
from frugal.transfer.config import Config

PAPER = Config(
    vocab_size=32128,
    d_model=768,
    n_heads=12,
    head_dim=64,
    d_ff=3072,
    n_layers=12,
    max_length=512,
    table=parts.table,
    self_attention=parts.self_attention,
    cross_attention=parts.cross_attention,
    feed_forward=parts.feed_forward,
    residual=parts.residual,
    layer=parts.layer,
    final=parts.final,
    stack=parts.stack,
)
"""223M parameters: T5-base with biases in the feed-forward network, and LayerNorm."""

BOOK = replace(
    PAPER,
    vocab_size=2048,
    d_model=48,
    n_heads=6,
    head_dim=8,
    d_ff=192,
    n_layers=6,
    max_length=128,
    n_experts=8,
    n_keys=32,
    n_read=8,
    memory_heads=2,
    n_softmaxes=5,
    n_steps=6,
)
"""The same proportions, a sixteenth as wide and half as deep, so that every row fits in it."""

SIZES = {"paper": PAPER, "book": BOOK}
