"""A memory of product keys against a dense layer, forward and backward, by its number of values.

Width 256, hidden 1,024, 4 heads that read 32 values each, 2,048 tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from experiments.bench import Case
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.product_keys import ProductKeyMemory

WIDTH, TOKENS = 256, 2048


def cases(smoke: bool) -> list[Case]:
    """Values from 16 thousand to a quarter of a million; the time hardly depends on them."""
    width, tokens = (16, 64) if smoke else (WIDTH, TOKENS)
    x = torch.randn(1, tokens, width, requires_grad=True)
    found = [Case("dense", _both(DenseFeedForward(width, 4 * width), x))]
    for n_keys in (32,) if smoke else (128, 256, 512):
        layer = ProductKeyMemory(width, n_keys)
        found.append(Case(f"{n_keys**2:,} values", _both(layer, x), "dense"))
    return found


def _both(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    given = [x, *layer.parameters()]
    grad = torch.randn_like(x)

    def run() -> None:
        torch.autograd.grad(layer(x), given, grad)

    return run
