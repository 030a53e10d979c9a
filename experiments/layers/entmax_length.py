"""Does attention with exact zeros survive longer contexts, and what α do heads learn?

"length": an address book. Every token is an entry, a name of two symbols and a number, or one of 8
questions: a name whose number is to be said. All names of a book differ, but many share one symbol.
Nothing tells where a token stands. Trained on books of 16 to 64 tokens, tested on 64 to 1,024:
the questions stay as they are, the entries that nobody asks for become more. Softmax; softmax of
scores times s·log n, s learned per head; entmax with α = 1.5; both with the scale of ASEntmax,
1 + β·(log n)^γ with β and γ from the query. Every kind is trained with the same two learning
rates; a chapter takes the rate with the least loss on validation books and reads the tests once.

"dates": written dates to ISO dates, an encoder-decoder whose self-attention is softmax, entmax with
α = 1.5, or entmax with an α per head that starts at 1.5 and is learned. α of every head during
training, and the loss per character on held-out dates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.attention.contract import Attention
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.recording import recording
from frugal.attention.softmax import Attend, attention_weights, softmax_attention
from frugal.data import dates
from frugal.data.sequences import IGNORE
from frugal.model import Encoder, EncoderDecoder, TransformerConfig
from frugal.training import train

HALVES = 32
"""Symbols for each half of a name: 1,024 names."""
NUMBERS, QUESTIONS = 16, 8
SHORTEST, LONGEST = 16, 64
"""Tokens of a book in training."""
LENGTHS = (64, 128, 256, 512, 1024)
ASKED = 512
"""Questions of validation, and of the test at each length."""
STEPS, BATCH = 500, 32
RATES = (3e-3, 1e-2)
KINDS = ("softmax", "softmax-log", "softmax-scaled", "entmax", "entmax-scaled")

DATE_STEPS, DATE_BATCH, EVERY = 800, 32, 50
HELD_OUT = 500
"""Dates of days that no model was trained on."""
DATE_KINDS = ("softmax", "entmax", "learned")


def settings() -> dict[str, dict[str, Any]]:
    """By name `length-kind-rate` or `dates-kind`."""
    found: dict[str, dict[str, Any]] = {
        f"length-{kind}-{lr:g}": {"task": "length", "kind": kind, "lr": lr}
        for kind in KINDS
        for lr in RATES
    }
    return found | {f"dates-{kind}": {"task": "dates", "kind": kind} for kind in DATE_KINDS}


class ScaledAttention(Attention):
    """Attention whose scores grow with the number n of keys.

    attend: what is called with the queries times a scale. adaptive: the scale is 1 + β·(log n)^γ,
    β = softplus(w·q) and γ = 2·tanh(u·q) for every head and token (vasylenko2026long, where β and γ
    read the layer's input); else s·log n with an s for each head (nakanishi2025scalable).
    """

    def __init__(self, attend: Attend, n_heads: int, head_dim: int, *, adaptive: bool) -> None:
        super().__init__()
        self.attend, self.adaptive = attend, adaptive
        if adaptive:
            bound = head_dim**-0.5
            self.beta = nn.Parameter(torch.empty(n_heads, head_dim, 1).uniform_(-bound, bound))
            self.gamma = nn.Parameter(torch.empty(n_heads, head_dim, 1).uniform_(-bound, bound))
        else:
            self.s = nn.Parameter(torch.full((n_heads, 1, 1), 1 / math.log(LONGEST)))

    def scaled(self, q: Tensor, n: int) -> Tensor:
        if not self.adaptive:
            return q * self.s * math.log(n)
        beta, gamma = F.softplus(q @ self.beta), 2 * torch.tanh(q @ self.gamma)
        return q * (1 + beta * math.log(n) ** gamma)

    def weights(self, q: Tensor, k: Tensor, *, padding: Tensor | None = None) -> Tensor:
        weights = getattr(self.attend, "weights", attention_weights)
        return weights(self.scaled(q, k.shape[2]), k, padding=padding)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, *, padding: Tensor | None = None) -> Tensor:
        return self.attend(self.scaled(q, k.shape[2]), k, v, padding=padding)


def attend_of(kind: str, config: TransformerConfig) -> Attend:
    """The attention of one layer."""
    heads, head_dim = config.n_heads, config.d_model // config.n_heads
    if kind == "learned":
        return EntmaxAttention(heads, learned=True)
    attend = EntmaxAttention(heads) if kind.startswith("entmax") else softmax_attention
    if "-" not in kind:
        return attend
    return ScaledAttention(attend, heads, head_dim, adaptive=kind.endswith("scaled"))


def maker(kind: str) -> Callable[[int, TransformerConfig], Attend]:
    return lambda index, config: attend_of(kind, config)


def book(size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Names (size, length), numbers (0: asked for, else 1 … 16), answers; questions come first."""
    entries = length - QUESTIONS
    names = torch.rand(size, HALVES**2, generator=generator).argsort(1)[:, :entries]
    numbers = torch.randint(1, NUMBERS + 1, (size, entries), generator=generator)
    names = torch.cat([names[:, :QUESTIONS], names], 1)
    answers = torch.full((size, length), IGNORE)
    answers[:, :QUESTIONS] = numbers[:, :QUESTIONS] - 1
    return names, torch.cat([torch.zeros_like(numbers[:, :QUESTIONS]), numbers], 1), answers


class Reader(nn.Module):
    """An encoder of entries; at every token, scores of the numbers."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        config = TransformerConfig(1, d_ff=128, positions="none", make_attend=maker(kind))
        self.first = nn.Embedding(HALVES, config.d_model)
        self.second = nn.Embedding(HALVES, config.d_model)
        self.number = nn.Embedding(NUMBERS + 1, config.d_model)
        self.encoder = Encoder(config)
        self.answer = nn.Linear(config.d_model, NUMBERS)

    def forward(self, names: Tensor, numbers: Tensor) -> Tensor:
        x = self.first(names // HALVES) + self.second(names % HALVES) + self.number(numbers)
        return self.answer(self.encoder.encode(x))


def read(model: Reader, length: int, asked: int, seed: int) -> dict[str, float]:
    """Of `asked` questions the share that is answered right and the loss; and of the head that
    looks most at the entries asked for, the weight there and the share of keys that it sees."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    right, losses, weight, seen = [], [], [], []
    with torch.no_grad():
        for batch in range(max(1, asked // (QUESTIONS * 8))):
            names, numbers, answers = book(8, length, generator)
            with recording(model) if batch < 2 else nullcontext() as recorder:
                scores = model(names, numbers)[:, :QUESTIONS].flatten(0, 1)
            answers = answers[:, :QUESTIONS].flatten()
            right.append((scores.argmax(-1) == answers).double().mean())
            losses.append(F.cross_entropy(scores, answers).double())
            if recorder is None:
                continue
            rows = torch.stack([*recorder.weights.values()])[..., :QUESTIONS, :]
            there = rows[..., QUESTIONS : 2 * QUESTIONS].diagonal(dim1=-2, dim2=-1)
            weight.append(there.mean((1, 3)))  # (layers, heads)
            seen.append((rows > 0).double().mean((1, 3, 4)))
    weights = torch.stack(weight).mean(0).flatten()
    best = weights.argmax()
    shares = torch.stack(seen).mean(0).flatten()
    return {
        "right": torch.stack(right).mean().item(),
        "loss": torch.stack(losses).mean().item(),
        "weight": weights[best].item(),
        "seen": shares[best].item(),
    }


def run_length(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = Reader(setting["kind"])

    def batches(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        length = int(torch.randint(SHORTEST, LONGEST + 1, (1,), generator=generator))
        return book(4 if smoke else BATCH, length, generator)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        names, numbers, answers = batch
        scores = model(names, numbers)[:, :QUESTIONS]
        return F.cross_entropy(scores.flatten(0, 1), answers[:, :QUESTIONS].flatten())

    history = train(
        model,
        batches,
        loss,
        steps=4 if smoke else STEPS,
        lr=setting["lr"],
        seed=seed,
        progress=False,
    )
    asked = QUESTIONS * 8 if smoke else ASKED
    lengths = LENGTHS[:2] if smoke else LENGTHS
    tests = [read(model, length, asked, 10_000 + seed) for length in lengths]
    valid = read(model, LONGEST, asked, 20_000 + seed)
    return {
        "lengths": list(lengths),
        **{name: [one[name] for one in tests] for name in tests[0]},
        "valid": valid["right"],
        "valid_loss": valid["loss"],
        "asked": asked,
        "update_ms": 1e3 * history.seconds / history.steps,
    }


def run_dates(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    vocabulary = dates.vocabulary()
    held_out = dates.encode(dates.pairs("test", n=20 if smoke else HELD_OUT, seed=1), vocabulary)
    torch.manual_seed(seed)
    config = TransformerConfig(len(vocabulary), max_length=64, make_attend=maker(setting["kind"]))
    model = EncoderDecoder(config)

    def loss(model: nn.Module, batch: dates.DateBatch) -> Tensor:
        scores = model(batch.source, batch.target_in, batch.source_padding)
        target = batch.target_out.flatten()
        return F.cross_entropy(scores.flatten(0, 1), target, ignore_index=vocabulary.pad)

    def alphas() -> list[float]:
        return [
            value
            for module in model.modules()
            if isinstance(module, EntmaxAttention)
            for value in module.alphas.tolist()
        ]

    over_time = [alphas()]

    def evaluate(model: nn.Module) -> dict[str, float]:
        over_time.append(alphas())
        return {"loss": loss(model, held_out).item()}

    history = train(
        model,
        dates.batches(
            dates.pairs("train", n=200 if smoke else None, seed=seed),
            vocabulary,
            batch_size=8 if smoke else DATE_BATCH,
        ),
        loss,
        steps=4 if smoke else DATE_STEPS,
        lr=5e-3,
        seed=seed,
        evaluate=evaluate,
        every=2 if smoke else EVERY,
        progress=False,
    )
    found = {
        "moments": [0] + [int(one["step"]) for one in history.evaluations],
        "curve": [one["loss"] for one in history.evaluations],
        "held_out": history.evaluations[-1]["loss"],
        "dates": len(held_out.source),
        "update_ms": 1e3 * history.seconds / history.steps,
    }
    return found | ({"alphas": over_time} if setting["kind"] == "learned" else {})


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once. "length": a list over `lengths` for each of right, loss, weight and seen, and
    the share right and the loss in validation; "dates": α by head at each moment, and the loss on
    held-out dates."""
    return (run_length if setting["task"] == "length" else run_dates)(setting, seed, smoke)
