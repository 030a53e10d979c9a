"""Who looks at whom, for every layer and head. Chapter: the-vanilla-transformer."""

from frugal.figures.the_vanilla_transformer.attention_explorer import (
    AttentionExample,
    AttentionExplorer,
    recorded_weights,
)

__all__ = ["AttentionExample", "AttentionExplorer", "recorded_weights"]
