"""Tables of tokens that are more than a matrix, and what makes probabilities of them.

Each has forward(ids) -> (batch, length, d_model) and logits(x) -> (batch, length, vocabulary); one
whose training loss is not the cross-entropy of its logits has losses(x, labels) -> (batch, length).
Chapter: the-modification-zoo.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugal.checks import at_least
from frugal.embeddings import TokenEmbedding


class FactorizedEmbedding(nn.Module):
    """A table of narrow vectors, widened by one matrix: E = A B (lan2020albert, section 3.1).

    Parameters: rank · (vocab_size + d_model). Its logits are x Bᵀ Aᵀ.
    """

    def __init__(self, vocab_size: int, d_model: int, rank: int) -> None:
        super().__init__()
        at_least(1, rank=rank)
        self.table = TokenEmbedding(vocab_size, rank)
        self.widen = nn.Linear(rank, d_model, bias=False)
        nn.init.normal_(self.widen.weight, std=rank**-0.5)
        self.narrow = math.sqrt(rank / d_model)

    def forward(self, ids: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        return self.widen(self.table(ids))

    def logits(self, x: Float[Tensor, "batch length d_model"]) -> Tensor:
        """With scores of unit variance for x of unit variance."""
        return self.table.logits(F.linear(x, self.widen.weight.mT) * self.narrow)
