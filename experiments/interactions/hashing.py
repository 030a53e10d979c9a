"""How many rounds of hashing does a model need that was trained with another number?

The task of the Reformer's second table, smaller: symbols, a mark, the same symbols again. One layer
with shared queries and keys is trained with all pairs, or with 4, 2 or 1 rounds of hashing, and
then runs with each of these and 8. Every call draws new random directions.

The share of repeated symbols that are right, on new sequences; chance is 1/16. Each model is also
read on the way, run as it is trained, so that it can be seen whether it has come to rest. About 35
seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.attention.lsh import LshAttention
from frugal.data import copying
from frugal.data.sequences import IGNORE, SequenceBatch
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

SYMBOLS = 16
COPIED = 32
BUCKET_SIZE = 8
MOMENTS = (200, 400, 600, 800)
"""Updates after which a model is read; the last is the end of the run."""
ROUNDS = (8, 4, 2, 1)
"""Rounds to run with, beside all pairs."""


def settings() -> dict[str, dict[str, Any]]:
    """By name, the rounds of training; None means all pairs."""
    return {
        "full": {"n_hashes": None},
        "lsh-4": {"n_hashes": 4},
        "lsh-2": {"n_hashes": 2},
        "lsh-1": {"n_hashes": 1},
    }


def hashed(n_hashes: int | None) -> LshAttention:
    """Attention with so many rounds. One bucket for all tokens is attention to all pairs."""
    return LshAttention(2 * COPIED if n_hashes is None else BUCKET_SIZE, n_hashes or 1)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; then the share that is right with all pairs and with each number of rounds."""
    torch.manual_seed(seed)
    config = TransformerConfig(
        1 + SYMBOLS,
        n_layers=1,
        make_attend=lambda index, config: hashed(setting["n_hashes"]),
    )
    model = Decoder(config)

    def loss(model: torch.nn.Module, batch: SequenceBatch) -> Tensor:
        scores = model(batch.inputs).flatten(0, 1)
        return F.cross_entropy(scores, batch.targets.flatten(), ignore_index=IGNORE)

    def draw(size: int, generator: torch.Generator) -> SequenceBatch:
        return copying.draw(size, n=COPIED, n_symbols=SYMBOLS, seed=generator)

    def share_right(batch: SequenceBatch) -> float:
        model.eval()
        with torch.no_grad():
            right = model(batch.inputs).argmax(-1) == batch.targets
        return right[batch.targets != IGNORE].float().mean().item()

    moments = (1, 2) if smoke else MOMENTS
    history = train(
        model,
        lambda step, generator: draw(2 if smoke else 32, generator),
        loss,
        steps=moments[-1],
        lr=1e-2,
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    size = 2 if smoke else 256
    on_the_way = draw(size, torch.Generator().manual_seed(20_000 + seed))
    curve = []
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        curve.append(share_right(on_the_way))
    test = draw(size, torch.Generator().manual_seed(10_000 + seed))
    found: dict[str, Any] = {
        "curve": curve,
        "moments": list(moments),
        "answers": int((test.targets != IGNORE).sum()),
    }
    heads = model.stack.layers[0].mix.sublayer
    for n_hashes in (None, *ROUNDS):
        heads.attend = hashed(n_hashes)
        name = "right_full" if n_hashes is None else f"right_{n_hashes}"
        found[name] = share_right(test)
    return found
