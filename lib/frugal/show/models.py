"""A trained encoder and the linear layer that reads it, for a figure whose page runs them.

`models.js` is the other half: it unpacks the weights and computes in the page.
"""

from __future__ import annotations

from base64 import b64encode

import torch
from torch import Tensor, nn

from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.feedforward.dense import DenseFeedForward
from frugal.model import Encoder, TransformerLayer


def packed(encoder: Encoder, classify: nn.Linear) -> str:
    """All weights in half precision and base64, one after the other as in `sizes`."""
    flat = torch.cat([p.detach().cpu().flatten() for _, p in _named(encoder, classify)])
    return b64encode(flat.numpy().astype("<f2").tobytes()).decode()


def sizes(encoder: Encoder, classify: nn.Linear) -> list[list[str | int]]:
    """The name of each parameter and how many numbers it has; those of `classify` come last."""
    return [[name, p.numel()] for name, p in _named(encoder, classify)]


def is_usual(encoder: Encoder, *, rotate: type | None) -> bool:
    """Whether all layers are whole ones of softmax attention with biases and ReLU that normalise
    first. rotate: the class of rotary positions, None where queries and keys are not rotated."""
    config = encoder.config
    return (
        config.norm_first
        and config.norm == "layer"
        and config.bias
        and config.activation == "relu"
        and all(_is_whole(layer, config.n_heads, rotate) for layer in encoder.stack.layers)
    )


def _is_whole(layer: nn.Module, n_heads: int, rotate: type | None) -> bool:
    if type(layer) is not TransformerLayer or layer.cross is not None:
        return False
    attention = layer.mix.sublayer
    return (
        type(attention) is MultiHeadAttention
        and attention.attend is softmax_attention
        and attention.n_heads == n_heads
        and isinstance(attention.rotate, rotate or type(None))
        and isinstance(layer.feed_forward.sublayer, DenseFeedForward)
    )


def _named(encoder: Encoder, classify: nn.Linear) -> list[tuple[str, Tensor]]:
    read = ((f"classify.{name}", parameter) for name, parameter in classify.named_parameters())
    return [*encoder.named_parameters(), *read]
