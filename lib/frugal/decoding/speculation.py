"""Draft with the lower layers, check with the rest in one pass (elhoushi2024layerskip).

The lower layers write a few tokens, each read off by the shared head. The layers above then take
the states of all of them at once and say what the whole model would have written at each place. The
drafts are kept up to the first that differs, and there the whole model's own token stands: the text
is that of greedy decoding, whatever the drafts are worth. Keys, values and states of the lower
layers serve draft and check alike. Chapter: writing-with-fewer-layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from frugal.attention.cache import KeyValueCache
from frugal.checks import at_least
from frugal.decoding.by_layer import check_ending, embed, head, layers_of, run
from frugal.embeddings import check_ids
from frugal.model import Decoder
from frugal.modes import in_evaluation


class Speculation(NamedTuple):
    """ids: the prompt and what was written. drafted, accepted: tokens that the lower layers wrote,
    and those of them that the whole model writes too. checks: passes of the upper layers."""

    ids: Int[Tensor, "batch longer"]
    drafted: int
    accepted: int
    checks: int


def speculate(
    model: Decoder,
    prompt: Int[Tensor, "batch length"],
    *,
    draft_layers: int,
    n_drafted: int,
    max_new_tokens: int,
    eos: int | None = None,
    pad: int = 0,
) -> Speculation:
    """Continue a prompt greedily, with the tokens that `generate` writes.

    draft_layers: the layers that draft, fewer than the model has. n_drafted: tokens drafted before
    each check. A check costs the upper layers one pass over n_drafted + 1 positions and gives
    between 1 and n_drafted + 1 tokens. Rows keep different numbers of drafts and are written one
    after the other; a row that has written `eos` gets `pad`. Raises ValueError for a model whose
    layers do not all attend or that reads a memory, and for options out of their range.
    """
    layers = layers_of(model)
    check_ids(prompt, name="prompt")
    at_least(1, draft_layers=draft_layers, n_drafted=n_drafted, max_new_tokens=max_new_tokens)
    check_ending(eos, pad)
    if draft_layers >= len(layers):
        raise ValueError(
            f"draft_layers is {draft_layers}; it must be below {len(layers)}, the layers."
        )
    writer = in_evaluation(model)
    texts, drafted, accepted, checks = [], 0, 0, 0
    with torch.no_grad():
        for row in prompt:
            text, *counts = _one(
                writer, row[None], draft_layers, n_drafted, len(row) + max_new_tokens, eos
            )
            texts.append(text[0])
            drafted, accepted, checks = (
                total + count
                for total, count in zip((drafted, accepted, checks), counts, strict=True)
            )
    longest = max((len(text) for text in texts), default=prompt.shape[1])
    ids = [F.pad(text, (0, longest - len(text)), value=pad) for text in texts]
    return Speculation(torch.stack(ids) if ids else prompt, drafted, accepted, checks)


def _one(
    model: Decoder, ids: Tensor, draft_layers: int, n_drafted: int, end: int, eos: int | None
) -> tuple[Tensor, int, int, int]:
    """One row up to `end` tokens. Between rounds the caches hold all tokens but the last."""
    layers = layers_of(model)
    caches = [KeyValueCache(end + n_drafted + 1) for _ in layers]
    lower, upper = layers[:draft_layers], layers[draft_layers:]
    below, above = caches[:draft_layers], caches[draft_layers:]
    if ids.shape[1] > 1:
        run(layers, embed(model, ids[:, :-1]), caches)
    drafted = accepted = checks = 0
    while ids.shape[1] < end:
        known = ids.shape[1]
        n = min(n_drafted, end - known - 1)  # the check adds one
        states, last = [], ids[:, -1:]
        for _ in range(n + 1):
            states.append(run(lower, embed(model, last, below[0].length), below))
            last = head(model, states[-1]).argmax(-1)
            ids = torch.cat([ids, last], 1)
        drafts = ids[:, known : known + n]
        wanted = head(model, run(upper, torch.cat(states, 1), above)).argmax(-1)  # (1, n + 1)
        same = int((drafts == wanted[:, :n]).long().cumprod(1).sum())
        ids = torch.cat([ids[:, : known + same], wanted[:, same : same + 1]], 1)
        drafted, accepted, checks = drafted + n, accepted + same, checks + 1
        if eos is not None and (ids[0, known:] == eos).any():
            ids = ids[:, : known + int((ids[0, known:] == eos).nonzero()[0]) + 1]
            break
        for cache in caches:
            cache.length = ids.shape[1] - 1
    return ids, drafted, accepted, checks
