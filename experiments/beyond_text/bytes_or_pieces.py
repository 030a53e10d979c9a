"""Bytes or pieces: which reads text better for the same FLOPs?

One decoder (2 layers, width 64, 128 tokens) as a language model of the book's topics. Every setting
spends the same FLOPs in training, the output layer included, so a larger vocabulary makes fewer
updates. One more reads as much text as the largest vocabulary does, in batches of the same size,
and pays for it with more updates; beside it stands the largest vocabulary with as many FLOPs.
Judged in bits a byte of held-out text, which does not depend on the tokens; then on the same text
with typing errors. Learning rates of 3e-3 to 2e-2 were tried on one seed and on other text
(`valid`): pieces led at each. About 35 seconds a run on one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.data import text
from frugal.data.typos import add_typos
from frugal.measure import count_flops
from frugal.model import Decoder, TransformerConfig
from frugal.tokens.byte_pairs import BytePairTokenizer
from frugal.tokens.bytes import ByteTokenizer
from frugal.training import train

LENGTH = 128
BATCH = 16
BUDGET = 7.5e11
"""FLOPs of a whole training run, forward and backward."""

RATES = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Shares of letters with a typing error."""

Windows = tuple[Tensor, Tensor]


def settings() -> dict[str, dict[str, Any]]:
    """By name: ids in the vocabulary, and whether the budget is one of FLOPs or of text.

    With "text" the FLOPs are those with which bytes read as much text as 2,048 pieces do.
    """
    return {
        "bytes": {"vocab_size": 259, "budget": "flops"},
        "pieces-512": {"vocab_size": 512, "budget": "flops"},
        "pieces-2048": {"vocab_size": 2048, "budget": "flops"},
        "bytes-same-text": {"vocab_size": 259, "budget": "text"},
        "pieces-2048-more": {"vocab_size": 2048, "budget": "text"},
    }


def tokenizer_of(vocab_size: int) -> ByteTokenizer | BytePairTokenizer:
    """Bytes, or byte pairs learned from the training text."""
    if vocab_size == ByteTokenizer.vocab_size:
        return ByteTokenizer()
    return BytePairTokenizer.train(text.topics().train, vocab_size=vocab_size)


def loss(model: Decoder, windows: Windows) -> Tensor:
    """Mean nats a token."""
    return F.cross_entropy(model(windows[0]).flatten(0, 1), windows[1].flatten())


def supply(ids: Tensor) -> Callable[[int, torch.Generator], Windows]:
    """Random windows of a text, and the token after each of theirs."""
    rows = ids.unfold(0, LENGTH + 1, 1)

    def windows(step: int, generator: torch.Generator) -> Windows:
        chosen = rows[torch.randint(len(rows), (BATCH,), generator=generator)]
        return chosen[:, :-1], chosen[:, 1:]

    return windows


def flops_of_update(model: Decoder, windows: Windows) -> float:
    """Forward and backward."""
    flops, _ = count_flops(lambda: loss(model, windows).backward())
    model.zero_grad()
    return float(flops)


@torch.no_grad()
def bits_a_byte(model: Decoder, ids: Tensor, n_bytes: int) -> float:
    """Bits for each byte of a text, each token judged after at least half a window.

    The first half window is left out, and so is a rest at the end: the bits a token of what is
    judged, times the tokens of the text, over its bytes.
    """
    rows = ids.unfold(0, LENGTH + 1, LENGTH // 2)
    nats = F.cross_entropy(model(rows[:, :-1]).mT, rows[:, 1:], reduction="none")
    judged = nats[:, LENGTH // 2 :]
    return judged.mean().item() / math.log(2) * len(ids) / n_bytes


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; bits a byte on held-out text, and at each rate of typing errors."""
    topics = text.topics()
    tokenizer, ids, bytes_a_token = read_by(setting["vocab_size"])
    windows = supply(ids)
    torch.manual_seed(seed)
    model = decoder(tokenizer.vocab_size)
    cost = flops_of_update(model, windows(0, torch.Generator()))
    budget = flops_of_same_text() if setting["budget"] == "text" else BUDGET
    steps = 3 if smoke else round(budget / cost)
    train(model, windows, loss, steps=steps, lr=1e-2, seed=seed, progress=False)

    model.eval()
    held_out = topics.test[:3000] if smoke else topics.test
    bits, counts = [], []
    for rate in RATES:
        typed = add_typos(held_out, rate, seed=1)
        typed_ids = torch.tensor(tokenizer.encode(typed, eos=False))
        bits.append(bits_a_byte(model, typed_ids, len(typed.encode())))
        counts.append(len(typed_ids))
    return {
        "bits": bits[0],
        "bits_by_rate": bits,
        "tokens_by_rate": counts,
        "flops": cost * steps,
        "updates": steps,
        "bytes_a_token": bytes_a_token,
        "bytes_read": steps * BATCH * LENGTH * bytes_a_token,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def decoder(vocab_size: int) -> Decoder:
    """The one model of this experiment."""
    shape = {"d_model": 64, "n_heads": 4, "n_layers": 2, "positions": "rope"}
    return Decoder(TransformerConfig(vocab_size, **shape))


def read_by(vocab_size: int) -> tuple[ByteTokenizer | BytePairTokenizer, Tensor, float]:
    """A tokenizer, the training text as its ids, and how many bytes an id has on average."""
    tokenizer, learned = tokenizer_of(vocab_size), text.topics().train
    ids = torch.tensor(tokenizer.encode(learned, eos=False))
    return tokenizer, ids, len(learned.encode()) / len(ids)


def flops_of_same_text() -> float:
    """What bytes cost in training if they read as much text as 2,048 pieces do within `BUDGET`."""
    costs, bytes_a_token = {}, {}
    for size in (ByteTokenizer.vocab_size, 2048):
        tokenizer, ids, bytes_a_token[size] = read_by(size)
        costs[size] = flops_of_update(
            decoder(tokenizer.vocab_size), supply(ids)(0, torch.Generator())
        )
    updates = round(BUDGET / costs[2048]) * bytes_a_token[2048]  # a byte is one token
    return updates * costs[ByteTokenizer.vocab_size]
