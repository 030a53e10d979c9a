"""Sentences that lose tokens on their way up a trained model. Chapter: dropping-tokens."""

from frugal.figures.dropping_tokens.token_pruning import PruningExample, TokenPruning

__all__ = ["PruningExample", "TokenPruning"]
