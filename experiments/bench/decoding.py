"""One more token after a long text: a state and a rolling window against all keys and values.

A decoder of two layers of width 64 with four heads writes 64 tokens after a text of so many. The
peer is softmax attention with a cache of keys and values. Linear attention goes on from its state;
"keys kept" is the same attention with a cache of all keys instead. The window sees 32 keys back.
The text is random keys and values that are put into the caches: to read it is no part of this. A
step goes through the whole model, which costs the same after any text. A bar is on what a step
costs more after 16,384 and 32,768 tokens than after 256.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.bench import Case
from frugal.attention.cache import KeyValueCache, OwnCache
from frugal.attention.contract import Attend
from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.softmax import softmax_attention
from frugal.model import Decoder, LayerCache, TransformerConfig
from frugal.modes import in_evaluation

VOCABULARY, WIDTH, HEADS, LAYERS = 64, 64, 4, 2
HEAD_DIM = WIDTH // HEADS
TOKENS = 64
"""Written by one run of a case."""
ROOM = 2**12
"""Positions beyond the text: for all runs of a case."""
LENGTHS = (256, 4096, 16384, 32768)
WAYS: dict[str, Callable[[], Attend]] = {
    "softmax": lambda: softmax_attention,
    "window": lambda: PatternAttention("window", window=32),
    "linear": KernelAttention,
    "Performer": lambda: KernelAttention(FavorFeatures(HEAD_DIM, 64)),
    "linear, keys kept": KernelAttention,
}
FLAT = 1.25
"""How many times the cost after the shortest text a step may have after a longer one."""


class Writing:
    """Greedy steps of a decoder after a text of `length`; each call writes `TOKENS` more."""

    def __init__(self, way: str, length: int) -> None:
        torch.manual_seed(0)
        config = TransformerConfig(
            VOCABULARY,
            d_model=WIDTH,
            n_heads=HEADS,
            n_layers=LAYERS,
            positions="rope",
            make_attend=lambda index, config: WAYS[way](),
        )
        self.decoder = in_evaluation(Decoder(config))
        self.caches = [
            self.filled(layer.mix.sublayer.attend, length, whole="kept" in way)
            for layer in self.decoder.stack.layers
        ]
        self.last = torch.zeros(1, 1, dtype=torch.int64)

    @staticmethod
    def filled(attend: Attend, length: int, *, whole: bool) -> LayerCache:
        """What a layer remembers of a text of random keys and values."""
        own = OwnCache(length + ROOM)
        kept = own.made_for(attend, whole=whole)
        q, k, v = torch.randn(3, 1, HEADS, length, HEAD_DIM)
        if isinstance(kept, KeyValueCache):
            kept.append(k, v)
        else:
            kept.attend(attend, q, k, v, {"causal": True})
        return LayerCache(own)

    def __call__(self) -> Tensor:
        with torch.no_grad():
            for _ in range(TOKENS):
                logits = self.decoder(self.last, caches=self.caches)
                self.last = logits[:, -1:].argmax(-1)
        return self.last


def cases(smoke: bool) -> list[Case]:
    """Every way after every length, against itself after the shortest text; softmax, the peer,
    beside it."""
    lengths = (64, 128) if smoke else LENGTHS
    found = []
    for way in WAYS:
        for length in lengths:
            first = length == lengths[0]
            bar = None if first or way in ("softmax", "linear, keys kept") else FLAT
            against = None if first else f"{way} {lengths[0]}"
            found.append(Case(f"{way} {length}", Writing(way, length), against, bar))
    return found
