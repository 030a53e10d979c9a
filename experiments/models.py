"""Small models that several experiments train."""

from __future__ import annotations

from torch import Tensor, nn

from frugal.model import Encoder, TransformerConfig


class Tagger(nn.Module):
    """An encoder and, at every position, scores over the vocabulary."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)

    def forward(self, ids: Tensor) -> Tensor:
        return self.encoder.embedding.logits(self.encoder(ids))
