"""From token ids to vectors, and from vectors back to scores over the vocabulary.

Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugal.checks import at_least, check_tensor
from frugal.telling import told


def check_ids(ids: Tensor, *, name: str = "ids") -> None:
    """One sentence when ids are not (batch, length) whole numbers that torch can look up."""
    check_tensor(**{name: ids})
    if ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{name} have dtype {ids.dtype}; they must be torch.int64 or torch.int32.")
    if ids.ndim != 2 or ids.shape[1] == 0:
        raise ValueError(
            f"{name} have shape {tuple(ids.shape)}; they must be (batch, length), length >= 1."
        )


class TokenEmbedding(nn.Module):
    """A vector for each token id, multiplied by √d_model (vaswani2017attention, section 3.4).

    The table starts at standard deviation d_model^-½, so that the vectors have unit variance and
    the same table can serve as the output projection (`logits`) with scores of unit variance.
    Shapes: ids (batch, length), integers below vocab_size; out (batch, length, d_model).
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__()
        at_least(1, vocab_size=vocab_size, d_model=d_model)
        self.table = nn.Parameter(torch.empty(vocab_size, d_model))
        nn.init.normal_(self.table, std=d_model**-0.5)

    def extra_repr(self) -> str:
        return told(self, table=tuple(self.table.shape))

    def forward(self, ids: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        check_ids(ids)
        try:
            vectors = nn.functional.embedding(ids, self.table)
        except IndexError:
            raise ValueError(
                f"ids run from {ids.min()} to {ids.max()}; they must be from 0 to "
                f"{self.table.shape[0] - 1}."
            ) from None
        return vectors * math.sqrt(self.table.shape[1])

    def logits(self, x: Float[Tensor, "batch length d_model"]) -> Tensor:
        """Scores (batch, length, vocab_size): x against every row of the table (tied weights)."""
        return nn.functional.linear(x, self.table)
