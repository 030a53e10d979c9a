"""Write each token through as few layers as it takes a lower one to be sure (schuster2022calm).

A token that leaves behind layer l gives the layers above it no keys and values, and a later token
that climbs higher would miss them. They are made from the state at the exit, by the projections
alone: an approximation that costs little. Chapter: writing-with-fewer-layers.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from frugal.attention.cache import KeyValueCache
from frugal.checks import at_least, one_of, within
from frugal.decoding.by_layer import check_ending, embed, head, layers_of, run
from frugal.embeddings import check_ids
from frugal.model import Decoder, LayerCache, TransformerLayer
from frugal.modes import in_evaluation

MISSING = ("projected", "absent")


class Early(NamedTuple):
    """ids: the prompt and what was written. layers: how many layers each new token went through, 0
    for padding behind the end of a row."""

    ids: Int[Tensor, "batch longer"]
    layers: Int[Tensor, "batch new"]


def lead(logits: Float[Tensor, "*batch vocabulary"]) -> Float[Tensor, "*batch"]:
    """How far the likeliest token is ahead: its probability minus that of the second."""
    best = logits.softmax(-1).topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


def threshold_at(step: int, *, threshold: float | int, decay: float | int, n_steps: int) -> float:
    """λ (0.9 + 0.1 e^(-decay · step / n_steps)), at most 1: lower for later tokens, on which less
    depends (schuster2022calm, equation 5)."""
    return min(1.0, threshold * (0.9 + 0.1 * math.exp(-decay * step / n_steps)))


def generate_early(
    model: Decoder,
    prompt: Int[Tensor, "batch length"],
    *,
    threshold: float | int,
    max_new_tokens: int,
    first: int = 1,
    decay: float | int = 0.0,
    missing: str = "projected",
    eos: int | None = None,
    pad: int = 0,
) -> Early:
    """Continue prompts of one length greedily; a token leaves where `lead` is above the threshold.

    threshold: from 0 to 1, where no token leaves early and the text is that of `generate`. first:
    the first layer behind which a token may leave, 1 for the lowest. decay: see `threshold_at`.
    missing: the keys and values of a token above its exit are "projected" from its state there, or
    "absent", hidden from later tokens. The prompt goes through all layers but for its last token.
    Rows leave one by one; those that are left go on without them. Raises ValueError for a model
    whose layers do not all attend or that reads a memory, and for options out of their range.
    """
    layers = layers_of(model)
    check_ids(prompt, name="prompt")
    at_least(1, max_new_tokens=max_new_tokens, first=first)
    within(0, 1, threshold=threshold)
    one_of(MISSING, missing=missing)
    if isinstance(decay, bool) or not isinstance(decay, Real) or not decay >= 0:
        raise ValueError(f"decay is {decay!r}; it must be 0 or more.")
    check_ending(eos, pad)
    if first > len(layers):
        raise ValueError(f"first is {first}; it must be at most {len(layers)}, the layers.")
    batch, length = prompt.shape
    model = in_evaluation(model)
    layers = layers_of(model)
    with torch.no_grad():
        writer = _Writer(model, layers, batch, length + max_new_tokens, missing)
        if length > 1:
            run(layers, embed(model, prompt[:, :-1]), writer.caches)
        ids, depth = prompt, []
        rows = torch.arange(batch, device=prompt.device)
        for step in range(max_new_tokens):
            bar = threshold_at(step, threshold=threshold, decay=decay, n_steps=max_new_tokens)
            logits, used = writer.write(ids[rows, -1:], rows, bar, first)
            token = ids.new_full((batch,), pad)
            token[rows] = logits.argmax(-1)
            ids = torch.cat([ids, token[:, None]], 1)
            depth.append(ids.new_zeros(batch).index_copy(0, rows, used))
            if eos is not None:
                rows = rows[token[rows] != eos]
                if not len(rows):
                    break
        return Early(ids, torch.stack(depth, 1))


class _Writer:
    """Keys and values of all rows in all layers, and the climb of one token per row."""

    def __init__(
        self,
        model: Decoder,
        layers: list[TransformerLayer],
        batch: int,
        capacity: int,
        missing: str,
    ) -> None:
        self.model, self.layers, self.missing = model, layers, missing
        some = model.embedding.table
        self.caches = []
        for layer in layers:
            heads = layer.mix.sublayer
            shape = (batch, heads.n_kv_heads, capacity, heads.head_dim)
            keys, values = some.new_zeros(shape), some.new_zeros(shape)
            self.caches.append(KeyValueCache(capacity, 0, keys, values))
        self.seen = torch.ones(len(layers), batch, capacity, dtype=torch.bool, device=some.device)

    def write(
        self, token: Int[Tensor, "rows 1"], rows: Tensor, bar: float, first: int
    ) -> tuple[Tensor, Tensor]:
        """The scores of the next token of each row, and behind which layer they were read."""
        start = self.caches[0].length
        state = embed(self.model, token, start)
        logits = state.new_zeros(len(rows), len(self.model.embedding.table))
        used = rows.new_full((len(rows),), len(self.layers))
        climbing = torch.arange(len(rows), device=rows.device)  # places in `rows`
        for index, (layer, cache) in enumerate(zip(self.layers, self.caches, strict=True)):
            if len(climbing) < len(rows):
                left = used <= index
                if self.missing == "projected":
                    self._remember(layer, state[left], cache, rows[left], start)
                else:
                    self.seen[index, rows[left], start] = False
            if not len(climbing):
                continue
            x = self._climb(index, state[climbing], cache, rows[climbing], start)
            state[climbing] = x.to(state.dtype)
            if index + 1 < first and index + 1 < len(self.layers):
                continue
            scores = head(self.model, x)[:, -1]
            done = lead(scores) > bar
            if index + 1 == len(self.layers):
                done = torch.ones_like(done)
            logits[climbing[done]] = scores[done].to(logits.dtype)
            used[climbing[done]] = index + 1
            climbing = climbing[~done]
        for cache in self.caches:
            cache.length = start + 1
        return logits, used

    def _climb(
        self, index: int, x: Tensor, cache: KeyValueCache, rows: Tensor, start: int
    ) -> Tensor:
        """One layer for some rows; only their part of the cache is read and written."""
        whole = len(rows) == len(cache.k)
        part = KeyValueCache(start + 1, start, cache.k, cache.v)
        if not whole:
            part.k, part.v = cache.k[rows, :, : start + 1], cache.v[rows, :, : start + 1]
        padding = None if self.missing == "projected" else self.seen[index, rows, : start + 1]
        x = self.layers[index](x, cache=LayerCache(part), causal=True, padding=padding)
        if not whole:
            cache.k[rows, :, start] = part.k[:, :, start].to(cache.k.dtype)
            cache.v[rows, :, start] = part.v[:, :, start].to(cache.v.dtype)
        return x

    @staticmethod
    def _remember(
        layer: TransformerLayer, x: Tensor, cache: KeyValueCache, rows: Tensor, start: int
    ) -> None:
        """The keys and values that the layer makes of a state, and nothing else of it."""
        heads = layer.mix.sublayer
        read = layer.mix.before(x)
        k, v = heads.split(heads.to_k(read)), heads.split(heads.to_v(read))
        if heads.rotate is not None:
            k = heads.rotate(k, start)
        cache.k[rows, :, start] = k[:, :, 0].to(cache.k.dtype)
        cache.v[rows, :, start] = v[:, :, 0].to(cache.v.dtype)
