"""A product-key memory in the place of the last but one network of the decoder (lample2019pkm).

n_keys² values of d_model. The file with the number of heads and of values read was not published.
The operations say it: 4 heads that read 32 values each are 128 looked up, and 128 products with
all 262,144 values are the paper's count. Queries are normed half by half, by a LayerNorm.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from frugal.feedforward.product_keys import ProductKeyMemory
from frugal.transfer import parts
from frugal.transfer.config import Config, Place
from frugal.transfer.parts import PositionWise


def memory(size: Config) -> dict[str, Any]:
    return {"decoder": {"feed_forward": feed_forward}}


def feed_forward(config: Config, place: Place) -> PositionWise:
    if place.index != max(0, config.n_layers - 2):
        return parts.feed_forward(config, place)
    d_key = 2 * config.head_dim
    network = ProductKeyMemory(
        config.d_model,
        config.n_keys,
        heads=config.memory_heads,
        k=config.n_read,
        d_key=d_key,
    )
    network.to_query = nn.Sequential(network.to_query, HalfNorm(d_key // 2))
    return PositionWise(network)


class HalfNorm(nn.Module):
    """A LayerNorm over each piece of so many channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.unflatten(-1, (-1, *self.norm.normalized_shape))).flatten(-2)
