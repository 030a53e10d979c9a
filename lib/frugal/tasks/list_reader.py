"""A model that says what every list of a nested expression is worth, and how often it is right.

Chapter: one-layer-many-times.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from frugal.data.nested_lists import MOST, WORDS, NestedBatch
from frugal.data.sequences import IGNORE
from frugal.model import Encoder, TransformerConfig

VALUES = 10


class ListReader(nn.Module):
    """An encoder over the words of nested lists; at every word, scores of the values 0 ... 9.

    A word goes in as the sum of three embeddings: the word, the list that it begins and the list
    that it stands in. config: its vocabulary and positions are not used; give positions="none",
    since the order of two arguments does not matter. forward(batch): (batch, length, 10).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(len(WORDS), config.d_model)
        self.own = nn.Embedding(MOST + 1, config.d_model)
        self.inside = nn.Embedding(MOST + 1, config.d_model)
        self.encoder = Encoder(config)
        self.value = nn.Linear(config.d_model, VALUES)

    def forward(self, batch: NestedBatch) -> Float[Tensor, "batch length values"]:
        x = self.word(batch.words) + self.own(batch.own) + self.inside(batch.inside)
        return self.value(self.encoder.encode(x, batch.padding))


def list_loss(model: ListReader, batch: NestedBatch) -> Float[Tensor, ""]:
    """The cross-entropy of the values of all lists; digits do not count."""
    scores = model(batch)
    return F.cross_entropy(scores.flatten(0, 1), batch.values.flatten(), ignore_index=IGNORE)
