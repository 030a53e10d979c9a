"""A language model's layers one by one, each with the scores that it would give.

The shared head reads the state behind any layer as it reads that behind the last
(schuster2022calm, elhoushi2024layerskip). Chapter: writing-with-fewer-layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from frugal.attention.cache import KeyValueCache
from frugal.checks import check_tensor, given
from frugal.decoding.autoregressive import check_model
from frugal.embeddings import check_ids
from frugal.model import Decoder, LayerCache, Stack, TransformerLayer


def layers_of(decoder: Decoder) -> list[TransformerLayer]:
    """The layers, where they run one after the other, attend, and attend to no memory."""
    check_model("decoder", decoder, Decoder, "new_caches")
    if type(decoder.stack) is not Stack:
        name = type(decoder.stack).__name__
        raise ValueError(f"the decoder's stack is of class {name}; it must be a plain Stack.")
    layers = list(decoder.stack.layers)
    if not all(layer.attends and layer.cross is None for layer in layers):
        raise ValueError("a layer mixes without attention or reads a memory; none must.")
    return layers


def check_ending(eos: int | None, pad: int) -> None:
    """One sentence for an end, or for what stands behind it, that is no token's id."""
    for name, one in (("pad", pad), *given(eos=eos).items()):
        if isinstance(one, bool) or not isinstance(one, Integral):
            raise ValueError(f"{name} is {one!r}; it must be a token id.")


def embed(
    decoder: Decoder, ids: Int[Tensor, "batch length"], start: int = 0
) -> Float[Tensor, "batch length d_model"]:
    """What the first layer reads of tokens of which `start` others stand before."""
    return decoder.dropout(decoder.positions(decoder.embedding(ids), start))


def head(
    decoder: Decoder, x: Float[Tensor, "batch length d_model"]
) -> Float[Tensor, "batch length vocabulary"]:
    """The scores of the next token, from the state behind any layer."""
    x = decoder.norm(x)
    return decoder.embedding.logits(x) if decoder.output is None else decoder.output(x)


def run(
    layers: Sequence[TransformerLayer],
    x: Float[Tensor, "batch length d_model"],
    caches: Sequence[KeyValueCache],
) -> Float[Tensor, "batch length d_model"]:
    """Some layers on new positions; their caches, one a layer, grow by these."""
    for layer, cache in zip(layers, caches, strict=True):
        x = layer(x, cache=LayerCache(cache), causal=True)
    return x


def exit_logits(
    decoder: Decoder, ids: Int[Tensor, "batch length"]
) -> Float[Tensor, "layers batch length vocabulary"]:
    """The scores behind each layer; the last are those of the decoder itself."""
    layers = layers_of(decoder)
    check_ids(ids)
    x, found = embed(decoder, ids), []
    for layer in layers:
        x = layer(x, causal=True)
        found.append(head(decoder, x))
    return torch.stack(found)


def exit_loss(
    decoder: Decoder, ids: Int[Tensor, "batch length"], targets: Int[Tensor, "batch length"]
) -> Float[Tensor, ""]:
    """The loss of every layer's scores, of weight l / Σ l for layer l (schuster2022calm, section
    3.4): the last counts most. targets: what each position is to predict.
    """
    logits = exit_logits(decoder, ids)
    check_tensor(targets=targets)
    if targets.shape != ids.shape or targets.dtype != torch.int64:
        raise ValueError(
            f"targets has shape {tuple(targets.shape)} and dtype {targets.dtype}; it must be that "
            f"of ids, {tuple(ids.shape)}, and torch.int64."
        )
    wanted = targets.expand(len(logits), -1, -1)
    try:
        each = F.cross_entropy(logits.movedim(-1, 1), wanted, reduction="none").flatten(1).mean(1)
    except IndexError:
        raise ValueError(
            f"targets run from {targets.min()} to {targets.max()}; they must be from 0 to "
            f"{logits.shape[-1] - 1}."
        ) from None
    weight = torch.arange(1, len(each) + 1, dtype=each.dtype, device=each.device)
    return (each * weight).sum() / weight.sum()
