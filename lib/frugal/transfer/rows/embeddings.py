"""Which of the three tables of a model are one, and tables of fewer numbers.

Factorized: E = A B with a narrow width between (lan2020albert). Adaptive: rare words have narrower
vectors (baevski2019adaptive).
"""

from __future__ import annotations

from typing import Any

from frugal.transfer import parts
from frugal.transfer.config import Config
from frugal.transfer.row import Change
from frugal.transfer.vocabulary import FactorizedEmbedding


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
