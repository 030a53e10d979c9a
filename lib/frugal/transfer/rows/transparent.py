"""Each decoder layer reads a mixture of all encoder layers of its own (bapna2018transparent).

    memory_j = Σᵢ softmax(W)ᵢⱼ hᵢ

over the embeddings (h₀), the layers and, as the last, the normed output. The encoder's memory
holds those of all decoder layers side by side, (batch, source, decoder layers · d_model).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from frugal.transfer import parts
from frugal.transfer.config import Config, Place
from frugal.transfer.parts import Context, CrossAttention, Stack


def transparent(size: Config) -> dict[str, Any]:
    return {
        "encoder": {"stack": TransparentStack},
        "decoder": {"cross_attention": cross_attention},
    }


class TransparentStack(Stack):
    """The layers of an encoder, and a mixture of their outputs for each layer of the decoder."""

    def __init__(self, config: Config, side: str, layers: Sequence[nn.Module]) -> None:
        super().__init__(config, side, layers)
        n_outputs = config.n_layers + 1
        self.shares = nn.Parameter(torch.randn(n_outputs, config.n_layers) * n_outputs**-0.5)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        context = self.with_bias(x, context)
        found = [self.dropout(x)]
        for layer in self.layers:
            found.append(layer(found[-1], context))
        found[-1] = self.final(found[-1])
        shares = self.shares.softmax(0).to(x.dtype)
        return torch.einsum("ij,ibnd->bnjd", shares, torch.stack(found)).flatten(2)


class OwnMemory(CrossAttention):
    """Attention to the memory of one decoder layer."""

    def __init__(self, heads: nn.Module, index: int) -> None:
        super().__init__(heads)
        self.index = index

    def forward(self, x: Tensor, context: Context) -> Tensor:
        width = x.shape[-1]
        own = context.memory[..., self.index * width : (self.index + 1) * width]
        return super().forward(x, replace(context, memory=own))


def cross_attention(config: Config, place: Place) -> OwnMemory:
    return OwnMemory(parts.cross_attention(config, place).heads, place.index)
