"""Attention weights that are not made by comparing: Synthesizers.

The weights of softmax attention come from products of queries and keys. Here the scores S of a head
come from the query's position alone ("dense"), or from nothing at all ("random", "factorized"):

    dense       S[i] = W₂ ReLU(W₁ x[i])      one score for each place 0 ... length - 1
    random      S    = W                      a learned matrix, the same for every input
    factorized  S    = W₁ W₂ᵀ                 the same of low rank

and the output is softmax(S) (X W_V), as usual. `plus` adds S to the products of queries and keys.
The scores belong to places, so the length is fixed when the model is made.

Source: tay2021synthesizer; names of the rows as in narang2021modifications, whose "factorized" is
the factorized *random* matrix. Cost for N tokens: still N² weights per head; random saves the
queries and keys, 4·N·d_model² + 2·N²·d_model FLOPs. Chapter: no-attention.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.attention.softmax import causal_mask
from frugal.checks import at_least, check_divides, check_input, check_same_dtype, one_of
from frugal.mixing.mixer import Mixer
from frugal.telling import told

Kind = Literal["dense", "random", "factorized"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Synthesizer(Mixer):
    """A mixer whose attention weights are synthesized (see the module's description).

    d_model, n_heads: as in `MultiHeadAttention`. length: the longest sequence; a shorter one takes
    the first rows and columns of the scores, a longer one is refused. kind: "dense", "random" or
    "factorized". plus: scores q kᵀ / √head_dim + S. alpha: with plus, (1 - α)·q kᵀ / √head_dim +
    α·S with a learned α, 0.5 at first. rank: columns of W₁ and W₂. causal: no weight on later
    positions.

    Parameters: 2·d_model² (values and output), and for dense d_model² + d_model·length, for random
    n_heads·length², for factorized 2·n_heads·length·rank, for plus 2·d_model².
    """

    takes_padding = True

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        length: int,
        *,
        kind: Kind = "dense",
        plus: bool = False,
        alpha: bool = False,
        rank: int = 8,
        causal: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_divides(n_heads, d_model)
        one_of(KINDS, kind=kind)
        at_least(1, length=length, rank=rank)
        if alpha and not plus:
            raise ValueError("alpha is True and plus False; alpha weighs what plus adds.")
        self.d_model, self.n_heads, self.length = d_model, n_heads, length
        self.head_dim = d_model // n_heads
        self.kind, self.causal = kind, causal
        self.to_v = nn.Linear(d_model, d_model, bias=bias)
        self.to_out = nn.Linear(d_model, d_model, bias=bias)
        layers = [self.to_v, self.to_out]
        if kind == "dense":
            self.to_hidden = nn.Linear(d_model, d_model, bias=bias)
            self.places = nn.Parameter(torch.empty(n_heads, length, self.head_dim))
            layers.append(self.to_hidden)
        elif kind == "random":
            self.scores = nn.Parameter(torch.randn(n_heads, length, length))
        else:
            # Products of these have variance 1, as the random scores.
            spread = rank**-0.25
            self.rows = nn.Parameter(spread * torch.randn(n_heads, length, rank))
            self.columns = nn.Parameter(spread * torch.randn(n_heads, length, rank))
        self.to_q = nn.Linear(d_model, d_model, bias=bias) if plus else None
        self.to_k = nn.Linear(d_model, d_model, bias=bias) if plus else None
        layers += [layer for layer in (self.to_q, self.to_k) if layer is not None]
        self.logit_of_a = nn.Parameter(torch.zeros(())) if alpha else None
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            if bias:
                nn.init.zeros_(layer.bias)
        if kind == "dense":
            for head in self.places:
                nn.init.xavier_uniform_(head)

    def extra_repr(self) -> str:
        return told(self, "kind", "n_heads", "length", "causal", plus=self.to_q is not None)

    @property
    def share(self) -> Float[Tensor, ""]:
        """a: the weight of the synthesized scores against that of queries and keys."""
        if self.logit_of_a is None:
            raise ValueError("share belongs to alpha=True; this Synthesizer was made without it.")
        return self.logit_of_a.sigmoid()

    def synthesized(
        self, x: Float[Tensor, "batch length d_model"]
    ) -> Float[Tensor, "one_or_batch n_heads length length"]:
        """B for x; "random" and "factorized" give one for the whole batch."""
        check_input(x, None, d_model=self.d_model)
        length = x.shape[1]
        if length > self.length:
            raise ValueError(
                f"x has length {length}; this Synthesizer has scores for {self.length} places, so "
                "make it with a larger length."
            )
        if self.kind == "dense":
            hidden = self._split(self.to_hidden(x).relu())  # (batch, n_heads, length, head_dim)
            return hidden @ self.places[:, :length].mT
        if self.kind == "random":
            return self.scores[None, :, :length, :length]
        return (self.rows[:, :length] @ self.columns[:, :length].mT)[None]

    def weights(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "one_or_batch n_heads length length"]:
        """The weights that `forward` uses; each row sums to 1, or to 0 if it may see nothing."""
        check_input(x, padding, d_model=self.d_model)
        check_same_dtype(x, self.to_v)
        scores = self.synthesized(x)
        if self.to_q is not None:
            products = self._split(self.to_q(x)) @ self._split(self.to_k(x)).mT
            products = products / math.sqrt(self.head_dim)
            if self.logit_of_a is None:
                scores = products + scores
            else:
                scores = torch.lerp(products, scores.to(products.dtype), self.share)
        hidden = None if padding is None else ~padding[:, None, None, :]
        if self.causal:
            later = ~causal_mask(x.shape[1], x.shape[1], device=x.device)
            hidden = later if hidden is None else hidden | later
        if hidden is None:
            return scores.softmax(-1)
        scores = scores.masked_fill(hidden, -torch.inf)
        return scores.softmax(-1).masked_fill(hidden, 0.0)  # a row of -inf gives NaN, then zeros

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length d_model"]:
        """padding: True = real token; the others get no weight."""
        weights = self.weights(x, padding=padding)
        v = self._split(self.to_v(x))  # (batch, n_heads, length, head_dim)
        if len(weights) == 1:  # one matrix product a head for the whole batch
            rows = v.permute(1, 2, 0, 3).flatten(2)  # (n_heads, length, batch · head_dim)
            out = weights[0].to(v.dtype) @ rows  # (n_heads, length, batch · head_dim)
            out = out.unflatten(2, (len(x), self.head_dim)).permute(2, 1, 0, 3)
        else:
            out = (weights.to(v.dtype) @ v).transpose(1, 2)
        return self.to_out(out.flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(batch, length, d_model) to (batch, n_heads, length, head_dim)."""
        return x.unflatten(-1, (self.n_heads, self.head_dim)).transpose(1, 2)
