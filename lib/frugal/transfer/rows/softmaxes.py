"""Other ways to the probability of a token.

Adaptive: first the cluster, then the token in it (grave2017adaptive), with tables as in
`AdaptiveEmbedding`. Mixture: several softmaxes, each from another context (yang2018mos).
"""

from __future__ import annotations

from typing import Any

from frugal.transfer.config import Config
from frugal.transfer.modification import Change
from frugal.transfer.rows.embeddings import clusters
from frugal.transfer.vocabulary import AdaptiveSoftmax, Cluster, MixtureOfSoftmaxes

SENTINELS = 128 / 32128
"""The share of the vocabulary that marks where text was taken out; the last tokens."""

OVERFLOW = (
    "labels of rare tokens beyond a quarter of a sequence's positions were left out of the loss"
)


def adaptive(*, narrow: bool, share: float | None = 0.25) -> Change:
    """narrow: rarer clusters have narrower vectors. share: see `AdaptiveSoftmax`."""

    def table(config: Config) -> AdaptiveSoftmax:
        *most, last = clusters(config)
        marks = max(1, round(SENTINELS * config.vocab_size))
        parts = [*most, last._replace(size=last.size - marks), Cluster(marks, config.d_model)]
        if not narrow:
            parts = [part._replace(width=config.d_model) for part in parts]
        return AdaptiveSoftmax(config.d_model, parts, share=share)

    return lambda size: {"table": table}


def mixture(size: Config) -> dict[str, Any]:
    """15 softmaxes at the paper's size."""
    return {
        "table": lambda config: MixtureOfSoftmaxes(
            config.vocab_size, config.d_model, config.n_softmaxes
        )
    }
