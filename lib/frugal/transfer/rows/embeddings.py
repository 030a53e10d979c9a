"""Which of the three tables of a model are one, and tables of fewer numbers.

Factorized: E = A B with a narrow width between (lan2020albert). Adaptive: rare words have narrower
vectors (baevski2019adaptive).
"""

from __future__ import annotations

from typing import Any

from frugal.transfer import parts
from frugal.transfer.config import Config
from frugal.transfer.modification import Change
from frugal.transfer.vocabulary import AdaptiveEmbedding, Cluster, FactorizedEmbedding


def tied(which: str) -> Change:
    """Both inputs are one table, or both of the decoder's, or none."""
    return lambda size: {"tied": which}


def narrow(config: Config) -> FactorizedEmbedding:
    """A sixth of d_model wide inside: 128 of 768."""
    return FactorizedEmbedding(config.vocab_size, config.d_model, config.d_model // 6)


def factorized(size: Config) -> dict[str, Any]:
    """One narrow table for both inputs; the softmax has a matrix of its own, in full."""
    return {"table": narrow, "tied": "inputs", "output": parts.table}


def factorized_tied(size: Config) -> dict[str, Any]:
    """One narrow table for everything."""
    return {"table": narrow}


COMMON, RARE = 2500 / 32128, 6000 / 32128
"""The shares of the vocabulary that have vectors of d_model, and of a third of it."""


def clusters(config: Config) -> list[Cluster]:
    """2,500 tokens of width 768, 6,000 of 256 and the others of 64, in proportion."""
    first, second = (max(1, round(share * config.vocab_size)) for share in (COMMON, RARE))
    d_model = config.d_model
    return [
        Cluster(first, d_model),
        Cluster(second, d_model // 3),
        Cluster(config.vocab_size - first - second, d_model // 12),
    ]


def adaptive(size: Config) -> dict[str, Any]:
    """Narrower vectors for rarer tokens, in the softmax too, which is one over all."""
    return {"table": lambda config: AdaptiveEmbedding(config.d_model, clusters(config))}
