"""Linformer layers against full attention and the public package.

Batch 1, width 256, 4 heads, rank 256, both directions, float32, projections included. The peer is
`LinformerSelfAttention` of the package linformer 0.2.3 with equal weights. It is optional; if it is
not installed, it is left out, which is said.
"""

from __future__ import annotations

import torch
from torch import nn

from experiments.bench import Case, call
from experiments.bench.kernels import peer
from frugal.attention.linformer import LinformerAttention, LinformerSelfAttention
from frugal.attention.softmax import MultiHeadAttention

WIDTH, HEADS, RANK = 256, 4, 256


def cases(smoke: bool) -> list[Case]:
    """Layers forward and in training: full, mixed after and before projecting, and the peer's."""
    lengths, rank = ((128, 256), 32) if smoke else ((512, 1024, 4096), RANK)
    package = peer("linformer", "linformer")
    found = []
    for length in lengths:
        x = torch.randn(1, length, WIDTH)
        layers: dict[str, nn.Module] = {
            "full": MultiHeadAttention(WIDTH, HEADS),
            "mixed after projecting": MultiHeadAttention(
                WIDTH, HEADS, LinformerAttention(HEADS, length, rank)
            ),
            "one E": LinformerSelfAttention(WIDTH, HEADS, length, rank, sharing="kv"),
        }
        if package is not None:
            layers["linformer package"] = package.LinformerSelfAttention(
                WIDTH, length, k=rank, heads=HEADS
            )
        layers["Linformer"] = LinformerSelfAttention(WIDTH, HEADS, length, rank)
        last = length == lengths[-1] and package is not None
        for direction in ("forward", "training"):
            for name, layer in layers.items():
                against = None if name == "full" else f"{direction} {length} full"
                if name == "Linformer" and package is not None:
                    against = f"{direction} {length} linformer package"
                bar = 1 / 1.4 if last and name == "Linformer" else None
                run = call(layer, x, training=direction == "training")
                found.append(Case(f"{direction} {length} {name}", run, against, bar))
    return found
