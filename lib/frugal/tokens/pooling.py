"""Halve the sequence between blocks of layers, and widen it again where every token is asked about.

A funnel is a stack of blocks. At the border of two blocks neighbours are averaged in pairs, and the
pairs become the *queries* of the next layer; its keys and values are still the single tokens, so
that the layer itself decides what to keep of each. After D blocks the sequence has N / 2^(D-1)
vectors. A decoder repeats each of them 2^(D-1) times and adds what the first block, which ran at
full length, had to say about every token.

Source: dai2020funnel. Cost: a layer of block n takes 2^-(n-1) of a full layer's projections and
feed-forward network, and 4^-(n-1) of its scores; the layer at a border still projects all the keys.
Chapter: pooling-tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal.arithmetic.fewer_tokens import pooled_length
from frugal.attention.alibi import AlibiAttention
from frugal.attention.relative import RelativeAttention
from frugal.checks import at_least, check_input, check_padding, refuse
from frugal.embeddings import TokenEmbedding
from frugal.model import TransformerConfig, TransformerLayer
from frugal.norms import norm
from frugal.telling import told


def pool(
    x: Float[Tensor, "batch length d_model"],
    padding: Bool[Tensor, "batch length"] | None = None,
    *,
    keep_first: bool = False,
) -> Float[Tensor, "batch shorter d_model"]:
    """The mean of each two neighbours: (batch, length, d_model) to (batch, ⌈length/2⌉, d_model).

    padding: True = real token; the mean is over real tokens, and zeros where a pair has none. The
    last token of an odd length stays alone. keep_first: the first token is passed on as it is, and
    pairs begin at the second. Raises ValueError for fewer than two tokens to pool.
    """
    check_input(x, padding)
    pooled_length(x.shape[1], keep_first=keep_first)
    if keep_first:
        rest = pool(x[:, 1:], None if padding is None else padding[:, 1:])
        return torch.cat([x[:, :1], rest], dim=1)
    odd = x.shape[1] % 2
    if padding is None and not odd:
        return x.unflatten(1, (-1, 2)).mean(2)
    if padding is None:
        padding = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    padding = padding.expand(x.shape[:2])
    real = F.pad(padding, (0, odd)).unflatten(1, (-1, 2))[..., None].to(x.dtype)
    pairs = F.pad(x, (0, 0, 0, odd)).unflatten(1, (-1, 2))  # (batch, shorter, 2, d_model)
    return (pairs * real).sum(2) / real.sum(2).clamp(min=1)


def pool_padding(
    padding: Bool[Tensor, "batch length"], *, keep_first: bool = False
) -> Bool[Tensor, "batch shorter"]:
    """Which pooled tokens are real: those with a real token in their pair."""
    check_padding(padding, tuple(padding.shape))
    pooled_length(padding.shape[1], keep_first=keep_first)
    if keep_first:
        return torch.cat([padding[:, :1], pool_padding(padding[:, 1:])], dim=1)
    return F.pad(padding, (0, padding.shape[1] % 2)).unflatten(1, (-1, 2)).any(2)


def upsample(
    x: Float[Tensor, "batch shorter d_model"],
    length: int,
    *,
    factor: int,
    keep_first: bool = False,
) -> Float[Tensor, "batch length d_model"]:
    """Each vector `factor` times in a row, cut to `length`: what undoes log₂(factor) poolings.

    keep_first: the first vector is not repeated.
    """
    if keep_first:
        rest = upsample(x[:, 1:], length - 1, factor=factor)
        return torch.cat([x[:, :1], rest], dim=1)
    at_least(1, factor=factor, length=length)
    if length > x.shape[1] * factor:
        raise ValueError(
            f"factor is {factor}; it must be at least {-(-length // max(1, x.shape[1]))} for "
            f"{x.shape[1]} vectors to fill {length} places."
        )
    return x.repeat_interleave(factor, dim=1)[:, :length]


def check_blocks(blocks: Any) -> None:
    """One sentence for blocks of layers that are none."""
    if not isinstance(blocks, Sequence) or not blocks:
        raise ValueError(f"blocks is {blocks!r}; it must have a number of layers for each block.")
    for size in blocks:
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"blocks is {blocks!r}; each block needs at least one layer.")


class FunnelStack(nn.Module):
    """The layers of an `Encoder`, run as a funnel: for `TransformerConfig(make_stack=...)`.

    layers: what `make_stack` is given. blocks: layers in each block. Layers beyond those of the
    blocks are the decoder: they run at full length on the upsampled output plus the residual of the
    first block. Without any, the output is as short as the last block's. keep_first: the first
    token, such as [CLS], is never pooled with others.

    Shapes: (batch, length, d_model) to the same, or to (batch, ⌈length / 2^(len(blocks) - 1)⌉,
    d_model). A pooled token mixes its pair, so causal=True, masks and a memory are refused; so are
    rotary and ALiBi positions, which take a query's index for its place.
    """

    def __init__(
        self,
        layers: Sequence[TransformerLayer],
        *,
        blocks: Sequence[int],
        keep_first: bool = False,
    ) -> None:
        super().__init__()
        check_blocks(blocks)
        if sum(blocks) > len(layers):
            raise ValueError(
                f"blocks is {tuple(blocks)}, {sum(blocks)} layers; there are {len(layers)}."
            )
        self.keep_first = keep_first
        self.blocks = nn.ModuleList()
        start = 0
        for size in blocks:
            self.blocks.append(nn.ModuleList(layers[start : start + size]))
            start += size
        self.decoder = nn.ModuleList(layers[start:])
        for block in self.blocks[1:]:
            self._check_border(block[0])

    def extra_repr(self) -> str:
        return told(self, "keep_first")

    @staticmethod
    def _check_border(layer: TransformerLayer) -> None:
        if not layer.attends:
            raise ValueError(
                "make_mixer is given; a layer at a border needs attention, "
                "whose queries may be fewer than its keys."
            )
        heads = layer.mix.sublayer
        if heads.rotate is not None or isinstance(heads.attend, AlibiAttention):
            raise ValueError(
                "positions is 'rope' or 'alibi'; a pooled query stands elsewhere than its index "
                "says, so a funnel needs 'sinusoidal', 'learned', 'none' or RelativeAttention."
            )

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: Tensor | None = None,
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch shorter_or_same d_model"]:
        refuse("a funnel mixes neighbours, so it must not be.", memory=memory, **options)
        check_input(x, padding)
        padding = None if padding is None else padding.expand(x.shape[:2])
        places = torch.arange(x.shape[1], device=x.device)
        full = x, padding, places
        for depth, block in enumerate(self.blocks):
            for index, layer in enumerate(block):
                if depth and not index:
                    x, padding, places = self.cross_border(layer, x, padding, places)
                else:
                    x = layer(x, padding=padding, **self.places_for(layer, places, places))
            if not depth:
                full = x, padding, places
        return self.widen(x, *full) if self.decoder else x

    def cross_border(
        self,
        layer: TransformerLayer,
        x: Float[Tensor, "batch length d_model"],
        padding: Bool[Tensor, "batch length"] | None,
        places: Int[Tensor, " length"],
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """The first layer of a block: pooled queries, unpooled keys and values, residual on the
        queries. Gives what `pool` gives of x, padding and places."""
        shorter = pool(x, padding, keep_first=self.keep_first)
        if self.keep_first:
            # as if the pair of the first token lay before it
            stride = places[1] - places[0]
            pooled_places = torch.cat([places[:1] - stride, places[1::2]])
        else:
            pooled_places = places[::2]
        context = layer.mix.before(x)
        options = self.places_for(layer, pooled_places, places)
        shorter = layer.mix(shorter, context, padding=padding, **options)
        if padding is not None:
            padding = pool_padding(padding, keep_first=self.keep_first)
        shorter = layer.feed_forward(shorter, padding=padding)
        return shorter, padding, pooled_places

    def widen(
        self,
        x: Float[Tensor, "batch shorter d_model"],
        first: Float[Tensor, "batch length d_model"],
        padding: Bool[Tensor, "batch length"] | None,
        places: Int[Tensor, " length"],
    ) -> Float[Tensor, "batch length d_model"]:
        """The decoder: repeat, add the first block's output, run the remaining layers."""
        factor = 2 ** (len(self.blocks) - 1)
        x = first + upsample(x, first.shape[1], factor=factor, keep_first=self.keep_first)
        for layer in self.decoder:
            x = layer(x, padding=padding, **self.places_for(layer, places, places))
        return x

    @staticmethod
    def places_for(layer: TransformerLayer, queries: Tensor, keys: Tensor) -> dict[str, Tensor]:
        """Where queries and keys stand, for an attention that asks."""
        relative = layer.attends and isinstance(layer.mix.sublayer.attend, RelativeAttention)
        return {"query_places": queries, "key_places": keys} if relative else {}


class FunnelEncoder(nn.Module):
    """An encoder whose sequence is halved between blocks, with or without a decoder.

    config: widths, heads, norms and positions; its n_layers and make_stack are replaced. blocks:
    layers in each block. n_decoder_layers: layers at full length after upsampling; with 0 the
    output stays short, which is all that classifying a sequence needs. keep_first: never pool the
    first token. relative: the paper's positions, by distance, instead of config.positions.

    forward(ids, padding=None): ids (batch, length) -> (batch, length, d_model), or without a
    decoder (batch, ⌈length / 2^(len(blocks) - 1)⌉, d_model), where `output_padding(padding)` says
    which are real. encode(x, padding=None): the same from vectors. What stands in the padding
    changes nothing. Pad at the right: at the left, padding moves which tokens are pairs, and is the
    first token.
    Raises ValueError for a sequence too short to be pooled that often.

    Source: dai2020funnel, section 2.
    """

    def __init__(
        self,
        config: TransformerConfig,
        *,
        blocks: Sequence[int] = (2, 2, 2),
        n_decoder_layers: int = 0,
        keep_first: bool = False,
        relative: bool = False,
    ) -> None:
        super().__init__()
        at_least(0, n_decoder_layers=n_decoder_layers)
        check_blocks(blocks)
        make_attend = config.make_attend
        if relative:
            if make_attend is not None:
                raise ValueError("relative and make_attend are both given; a layer takes one.")
            make_attend = partial(_relative, keep_first)
        self.config = replace(
            config,
            n_layers=max(1, sum(blocks) + n_decoder_layers),
            positions="none" if relative else config.positions,
            make_attend=make_attend,
            make_stack=partial(FunnelStack, blocks=tuple(blocks), keep_first=keep_first),
        )
        self.embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.positions = self.config.add_positions()
        self.dropout = nn.Dropout(config.dropout)
        self.stack = self.config.stack(self.config.n_layers, cross=False)
        self.norm = norm(config.norm if config.norm_first else "none", config.d_model)

    def forward(
        self,
        ids: Int[Tensor, "batch length"],
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch shorter_or_same d_model"]:
        return self.encode(self.embedding(ids), padding)

    def encode(
        self,
        x: Float[Tensor, "batch length d_model"],
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch shorter_or_same d_model"]:
        check_input(x, padding, d_model=self.config.d_model)
        if padding is not None:
            padding = padding.expand(x.shape[:2])
        x = self.dropout(self.positions(x))
        return self.norm(self.stack(x, padding=padding))

    def output_padding(
        self, padding: Bool[Tensor, "batch length"]
    ) -> Bool[Tensor, "batch shorter_or_same"]:
        """Which vectors of the output are of real tokens."""
        if self.stack.decoder:
            return padding
        for _ in self.stack.blocks[1:]:
            padding = pool_padding(padding, keep_first=self.stack.keep_first)
        return padding


def _relative(keep_first: bool, index: int, config: TransformerConfig) -> RelativeAttention:
    return RelativeAttention(config.n_heads, config.d_model, first_apart=keep_first)
