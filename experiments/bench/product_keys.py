"""A memory of product keys against a dense layer, forward and backward, by its number of values.

Width 256, hidden 1,024, 4 heads that read 32 values each, 2,048 tokens.
"""

from __future__ import annotations

import torch

from experiments.bench import Case, call
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.product_keys import ProductKeyMemory

WIDTH, TOKENS = 256, 2048


def cases(smoke: bool) -> list[Case]:
    """Values from 16 thousand to a quarter of a million; in training the time grows with them."""
    width, tokens = (16, 64) if smoke else (WIDTH, TOKENS)
    x = torch.randn(1, tokens, width)
    found = [Case("dense", call(DenseFeedForward(width, 4 * width), x, training=True))]
    for n_keys in (32,) if smoke else (128, 256, 512):
        layer = ProductKeyMemory(width, n_keys)
        found.append(Case(f"{n_keys**2:,} values", call(layer, x, training=True), "dense"))
    return found
