"""One layer, as often as there were layers (lan2020albert)."""

from __future__ import annotations

from typing import Any

from frugal.transfer.config import Config
from frugal.transfer.rows.embeddings import factorized, factorized_tied

ROUNDED = (
    "One layer per side and a table of 32,128 · 128 are 20.7 million; the table prints 20, in "
    "whole millions."
)
SHARED = {"share_layers": True}


def blocks(size: Config) -> dict[str, Any]:
    """In both stacks; the softmax has a matrix of its own, as in all rows that share layers."""
    return {**SHARED, "tied": "inputs"}


def blocks_factorized(size: Config) -> dict[str, Any]:
    return {**SHARED, **factorized(size)}


def blocks_factorized_tied(size: Config) -> dict[str, Any]:
    return {**SHARED, **factorized_tied(size)}


def encoder_blocks(size: Config) -> dict[str, Any]:
    return {"encoder": SHARED, "tied": "inputs"}


def decoder_blocks(size: Config) -> dict[str, Any]:
    return {"decoder": SHARED, "tied": "inputs"}
