"""Scores of attention that are not products of queries and keys (tay2021synthesizer).

    dense        ReLU(x W_q) P          P one matrix for all heads
    random       R                      one learned matrix per head
    factorized   R₁ᵀ R₂                 the same of low rank
    plus         the products, and these added; plus alpha: (1 - α)·products + α·these

The relative biases come on top. All of the paper's runs had 8 heads of 128 where the model has 12
of 64: the class wrote its own default over the option given.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from frugal.attention.softmax import visible
from frugal.checks import one_of
from frugal.transfer.config import Config, Place
from frugal.transfer.modification import Change, Row
from frugal.transfer.parts import Context, scalar

KINDS = ("dense", "random", "factorized")
WIDER = "attention was a third wider than in the other rows, 8 heads of 128 for 12 of 64"


class SynthesizedAttention(nn.Module):
    """Self-attention by synthesized scores, a sub-layer (see the module's description).

    length: the longest sequence. Parameters: 2 · d_model · n_heads · head_dim for values and
    output, and as much for queries and keys where there are these; dense head_dim · length, random
    n_heads · length², factorized 2 · rank · n_heads · length.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        head_dim: int,
        length: int,
        *,
        kind: str,
        plus: bool = False,
        alpha: bool = False,
        rank: int = 16,
    ) -> None:
        super().__init__()
        one_of(KINDS, kind=kind)
        self.kind, self.n_heads, self.head_dim = kind, n_heads, head_dim
        inner = n_heads * head_dim
        self.to_v = nn.Linear(d_model, inner, bias=False)
        self.to_out = nn.Linear(inner, d_model, bias=False)
        self.to_q = nn.Linear(d_model, inner, bias=False) if plus or kind == "dense" else None
        self.to_k = nn.Linear(d_model, inner, bias=False) if plus else None
        if kind == "dense":
            self.places = nn.Parameter(torch.randn(length, head_dim) * head_dim**-0.5)
        elif kind == "random":
            self.scores = nn.Parameter(torch.randn(n_heads, length, length))
        else:
            shape = (n_heads, length, rank)
            self.rows = nn.Parameter(torch.randn(shape) * rank**-0.25)
            self.columns = nn.Parameter(torch.randn(shape) * rank**-0.25)
        self.logit_of_a = scalar(0) if alpha else None
        for linear in (self.to_v, self.to_out, self.to_q, self.to_k):
            if linear is not None:
                nn.init.xavier_uniform_(linear.weight)

    def split(self, x: Tensor) -> Tensor:
        """(batch, length, heads · head_dim) to (batch, heads, length, head_dim)."""
        return x.unflatten(-1, (self.n_heads, self.head_dim)).transpose(1, 2)

    def synthesized(self, q: Tensor | None, length: int) -> Tensor:
        """(1 or batch, heads, length, length)."""
        if self.kind == "dense":
            return q.relu() @ self.places[:length].mT.to(q.dtype)
        if self.kind == "random":
            return self.scores[None, :, :length, :length]
        return (self.rows[:, :length] @ self.columns[:, :length].mT)[None]

    def forward(self, x: Tensor, context: Context) -> Tensor:
        length = x.shape[1]
        q = None if self.to_q is None else self.split(self.to_q(x))
        scores = self.synthesized(q, length)
        if self.to_k is not None:
            products = q @ self.split(self.to_k(x)).mT / math.sqrt(self.head_dim)
            if self.logit_of_a is None:
                scores = products + scores
            else:
                scores = (1 - self.share) * products + self.share * scores
        if context.bias is not None:
            scores = scores + context.bias
        v = self.split(self.to_v(x))  # (batch, heads, length, head_dim)
        seen = visible(v, v, padding=context.padding, causal=context.causal)
        if seen is None:
            weights = scores.softmax(-1)
        else:
            weights = scores.masked_fill(~seen, -torch.inf).softmax(-1).masked_fill(~seen, 0.0)
        return self.to_out((weights.to(v.dtype) @ v).transpose(1, 2).flatten(2))

    @property
    def share(self) -> Tensor:
        """α, 0.5 at first."""
        return self.logit_of_a.sigmoid()


def synthesizer(
    kind: str, *, plus: bool = False, alpha: bool = False, wider: bool = True
) -> Change:
    """wider: two thirds of the heads, of twice the width, as published."""

    def change(size: Config) -> dict[str, Any]:
        n_heads, head_dim = size.n_heads, size.head_dim
        if wider:
            n_heads, head_dim = n_heads * 2 // 3, head_dim * 2

        def attention(config: Config, place: Place) -> SynthesizedAttention:
            return SynthesizedAttention(
                config.d_model,
                n_heads,
                head_dim,
                config.max_length,
                kind=kind,
                plus=plus,
                alpha=alpha,
                rank=max(1, config.head_dim // 4),
            )

        return {"self_attention": attention, "relative_heads": n_heads}

    return change


def row(kind: str, **options: bool) -> Row:
    """Both forms: 8 heads of 128 as published, and 12 of 64."""
    return Row(
        synthesizer(kind, **options),
        intended=synthesizer(kind, **options, wider=False),
        confounded=WIDER,
    )
