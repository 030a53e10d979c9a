"""The one encoder-decoder that all rows of the table are modifications of.

Source: narang2021modifications. Chapter: the-modification-zoo.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal import model
from frugal.checks import check_padding
from frugal.embeddings import check_ids
from frugal.positions import LearnedPositions, NoPositions
from frugal.tokens.pooling import pool_padding
from frugal.transfer.config import Config, Place, Sides, sides
from frugal.transfer.parts import Context


def _layers(config: Config, side: str) -> list[nn.Module]:
    """All layers of a side; the same one each time where they are shared."""
    if config.share_layers:
        return [config.layer(config, Place(side, 0))] * config.n_layers
    return [config.layer(config, Place(side, index)) for index in range(config.n_layers)]


def _positions(config: Config) -> nn.Module:
    if config.positions == "learned":
        return LearnedPositions(config.max_length, config.d_model)
    return NoPositions()


class Encoder(model.Encoder):
    """forward(ids, padding=None): ids (batch, length) -> the decoder's memory."""

    def __init__(self, config: Config, table: nn.Module) -> None:
        nn.Module.__init__(self)
        self.table = table
        self.positions = _positions(config)
        self.stack = config.stack(config, "encoder", _layers(config, "encoder"))

    def forward(
        self,
        ids: Int[Tensor, "batch length"],
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch kept width"]:
        check_ids(ids)
        check_padding(padding, tuple(ids.shape))
        x = self.positions(self.table(ids))
        return self.stack(x, Context(causal=False, padding=padding))


class Decoder(model.Decoder):
    """forward(ids, memory): ids (batch, length) -> scores (batch, length, vocabulary)."""

    def __init__(self, config: Config, table: nn.Module, output: nn.Module) -> None:
        nn.Module.__init__(self)
        self.table, self.output = table, output
        self.positions = _positions(config)
        self.stack = config.stack(config, "decoder", _layers(config, "decoder"))

    def hidden(
        self,
        ids: Int[Tensor, "batch length"],
        memory: Float[Tensor, "batch source width"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        memory_padding: Bool[Tensor, "batch unpooled"] | None = None,
    ) -> Float[Tensor, "batch length d_model"]:
        """What the scores are made from."""
        check_ids(ids)
        check_padding(padding, tuple(ids.shape))
        if memory_padding is not None:
            while memory_padding.shape[1] > memory.shape[1]:  # the encoder has pooled
                memory_padding = pool_padding(memory_padding)
        x = self.positions(self.table(ids))
        context = Context(
            causal=True, padding=padding, memory=memory, memory_padding=memory_padding
        )
        return self.stack(x, context)

    def forward(
        self,
        ids: Int[Tensor, "batch length"],
        memory: Float[Tensor, "batch source width"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        memory_padding: Bool[Tensor, "batch unpooled"] | None = None,
        caches: Any = None,
    ) -> Float[Tensor, "batch length vocabulary"]:
        if caches is not None:
            self.new_caches()
        x = self.hidden(ids, memory, padding=padding, memory_padding=memory_padding)
        return self.output.logits(x)

    def new_caches(self, *_: Any) -> None:
        """Refused: half of the rows have no keys and values to keep."""
        raise ValueError("cache is True; it must be False: the rows of the table keep no caches.")


class EncoderDecoder(model.EncoderDecoder):
    """Read a source, write a target: the vanilla model, or a row of the table.

    forward(source, target, source_padding=None, target_padding=None): ids (batch, length) each ->
    scores (batch, target length, vocabulary). `config` is the configuration that it was made from.
    For `frugal.decoding.translate`, with cache=False.
    """

    def __init__(self, config: Config, parts: Sides | None = None) -> None:
        nn.Module.__init__(self)
        self.config = config
        both, encoder, decoder = sides(config) if parts is None else parts
        first = both.table(both)
        second = first if both.tied in ("all", "inputs") else both.table(both)
        if both.tied in ("all", "decoder"):
            output = second
        else:
            output = (both.table if both.output is None else both.output)(both)
        self.encoder = Encoder(encoder, first)
        self.decoder = Decoder(decoder, second, output)

    def loss(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
        labels: Int[Tensor, "batch target"],
        source_padding: Bool[Tensor, "batch source"] | None = None,
        target_padding: Bool[Tensor, "batch target"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean of -log p(label) over real tokens, in nats, as the row trains with.

        labels: what is to be written after each token of the target. A row that saves work in its
        softmax, or passes over tokens, does so here and not in `forward`.
        """
        memory = self.encoder(source, source_padding)
        x = self.decoder.hidden(
            target, memory, padding=target_padding, memory_padding=source_padding
        )
        own = getattr(self.decoder.output, "losses", None)
        if own is None:
            scores = self.decoder.output.logits(x)
            lost = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="none")
            lost = lost.view_as(labels)
        else:
            lost = own(x, labels)
        if target_padding is None:
            return lost.mean()
        return (lost * target_padding).sum() / target_padding.sum().clamp(min=1)
