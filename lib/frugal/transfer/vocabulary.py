"""Tables of tokens that are more than a matrix, and what makes probabilities of them.

Each has forward(ids) -> (batch, length, d_model) and logits(x) -> (batch, length, vocabulary); one
whose training loss is not the cross-entropy of its logits has losses(x, labels) -> (batch, length).
Chapter: the-modification-zoo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
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


class Cluster(NamedTuple):
    """So many tokens, in the order of their numbers, with vectors of this width."""

    size: int
    width: int


def _cluster_table(cluster: Cluster, d_model: int, *, extra: int = 0) -> nn.Module:
    """A table for a cluster; `extra` rows more at its end."""
    if cluster.width == d_model:
        return TokenEmbedding(cluster.size + extra, d_model)
    return FactorizedEmbedding(cluster.size + extra, d_model, cluster.width)


class AdaptiveEmbedding(nn.Module):
    """Clusters of tokens, the rarer the narrower, each widened to d_model (baevski2019adaptive).

    clusters: sizes and widths, the commonest tokens (the smallest ids) first. The logits are those
    of all clusters side by side, under one softmax.
    """

    def __init__(self, d_model: int, clusters: Sequence[Cluster]) -> None:
        super().__init__()
        self.sizes = [cluster.size for cluster in clusters]
        self.tables = nn.ModuleList(_cluster_table(one, d_model) for one in clusters)

    def forward(self, ids: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        return _from_clusters(ids, self.tables, self.sizes)

    def logits(self, x: Float[Tensor, "batch length d_model"]) -> Tensor:
        return torch.cat([table.logits(x) for table in self.tables], dim=-1)


def _from_clusters(ids: Tensor, tables: nn.ModuleList, sizes: list[int]) -> Tensor:
    """The sum over clusters of the vectors of those ids that are in it."""
    found, first = 0.0, 0
    for table, size in zip(tables, sizes, strict=True):
        inside = (ids >= first) & (ids < first + size)
        vectors = table(torch.where(inside, ids - first, 0))
        found = found + vectors * inside[..., None]
        first += size
    return found


class AdaptiveSoftmax(nn.Module):
    """p(token) = p(cluster) p(token | cluster), with one table for input and output.

    clusters: sizes and widths. The first is the head: its tokens are classes beside one class for
    each other cluster. logits are log p of all tokens. losses are cheaper: a cluster's softmax is
    computed only where a label is in it. share: at most this share of a sequence's positions, from
    its beginning, are computed in each cluster; the labels beyond them lose the part within the
    cluster, as the paper's configuration had it. None: all are computed.
    """

    def __init__(
        self, d_model: int, clusters: Sequence[Cluster], *, share: float | None = None
    ) -> None:
        super().__init__()
        self.sizes, self.share = [cluster.size for cluster in clusters], share
        self.head = _cluster_table(clusters[0], d_model, extra=len(clusters) - 1)
        self.tails = nn.ModuleList(_cluster_table(one, d_model) for one in clusters[1:])

    def forward(self, ids: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        return _from_clusters(ids, nn.ModuleList([self.head, *self.tails]), self.sizes)

    def logits(self, x: Float[Tensor, "batch length d_model"]) -> Tensor:
        """log p(token), (batch, length, vocabulary)."""
        head = self.head.logits(x).log_softmax(-1)
        parts = [head[..., : self.sizes[0]]]
        for index, tail in enumerate(self.tails):
            within = tail.logits(x).log_softmax(-1)
            parts.append(head[..., self.sizes[0] + index, None] + within)
        return torch.cat(parts, dim=-1)

    def losses(
        self, x: Float[Tensor, "batch length d_model"], labels: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length"]:
        """-log p(label), of which the part within a cluster is missing beyond its `share`."""
        first, classes, found = self.sizes[0], labels, torch.zeros_like(x[..., 0])
        for index, (tail, size) in enumerate(zip(self.tails, self.sizes[1:], strict=True)):
            inside = (labels >= first) & (labels < first + size)
            classes = torch.where(inside, self.sizes[0] + index, classes)
            own = torch.where(inside, labels - first, 0)
            found = found + self._within(tail, x, own, inside)
            first += size
        head = self.head.logits(x).log_softmax(-1)
        return found - head.gather(-1, classes[..., None]).squeeze(-1)

    def _within(self, tail: nn.Module, x: Tensor, own: Tensor, inside: Tensor) -> Tensor:
        """-log p(label | cluster) where labels are inside, 0 elsewhere."""
        if self.share is None:
            lost = -tail.logits(x[inside][None]).log_softmax(-1)  # (1, inside, size)
            lost = lost.gather(-1, own[inside][None, :, None]).to(x.dtype)
            return torch.zeros_like(x[..., 0]).masked_scatter(inside, lost)
        room = math.ceil(self.share * x.shape[1])
        places = (~inside).int().argsort(dim=1, stable=True)[:, :room]  # (batch, room)
        some = x.gather(1, places[..., None].expand(-1, -1, x.shape[-1]))
        lost = -tail.logits(some).log_softmax(-1)  # (batch, room, size)
        lost = lost.gather(-1, own.gather(1, places)[..., None]).squeeze(-1)
        lost = lost * inside.gather(1, places)
        return torch.zeros_like(x[..., 0]).scatter(1, places, lost.to(x.dtype))


class MixtureOfSoftmaxes(nn.Module):
    """log Σ_k π_k softmax(E tanh(W_k h)), with π = softmax(V h): more than one matrix of low rank
    can give (yang2018mos, equation 6). E is the table of the embedding, and h is x / √d_model.

    Parameters: n · d_model · (d_model + 1) beside the table. Cost: n softmaxes.
    """

    def __init__(self, vocab_size: int, d_model: int, n: int) -> None:
        super().__init__()
        at_least(1, n=n)
        self.table = TokenEmbedding(vocab_size, d_model)
        self.to_share = nn.Linear(d_model, n, bias=False)
        self.to_context = nn.Parameter(torch.randn(n, d_model, d_model) * d_model**-0.5)
        self.spread = math.sqrt(d_model)

    def forward(self, ids: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        return self.table(ids)

    def logits(self, x: Float[Tensor, "batch length d_model"]) -> Tensor:
        """log p(token), (batch, length, vocabulary)."""
        h = x / self.spread
        shares = self.to_share(h).log_softmax(-1)  # (batch, length, n)
        contexts = torch.einsum("bld,kde->blke", h, self.to_context).tanh() * self.spread
        each = F.linear(contexts, self.table.table).log_softmax(-1)  # one more axis, of n
        return (shares[..., None] + each).logsumexp(-2)
