"""Several ways to write the same text, on one clock. Chapter: decoding-in-parallel."""

from frugal.figures.decoding_in_parallel.decoding_player import (
    DecodingExample,
    DecodingPlayer,
    DecodingRun,
    DecodingStep,
)

__all__ = ["DecodingExample", "DecodingPlayer", "DecodingRun", "DecodingStep"]
