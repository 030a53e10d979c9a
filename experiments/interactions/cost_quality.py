"""How right is each way of mixing tokens, and what does it cost, at one length and on one task?

Encoders of two layers and width 32 that differ in how positions meet, and in nothing else: the
feed-forward network is as wide as it takes to give all the same number of parameters.

The task, a lookup: in a text of 256 tokens every one of 4 marks stands once, at a random place, and
the token tells the mark and one of 4 symbols. At 64 other random places a mark is asked for, and
its symbol is the answer. All other tokens are noise. So what is asked may stand near or far, before
or behind; a guess among a mark's symbols is right in 1 of 4 cases. Where a token stands tells
nothing, so the models get no positions; a window or a convolution knows what is near all the same.

Every mixer is trained with the same two learning rates; the rate that is better on validation data
is taken and the test is read once. Recorded at several moments of a run, so that a plateau can be
seen, with the processor time of an update and of a text that is only read, both at that length and
after the run, on one core. About 27 seconds a run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.models import Tagger
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.kernels import KernelAttention
from frugal.attention.kernels.features import FavorFeatures
from frugal.attention.linformer import LinformerAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.data.sequences import IGNORE, SequenceBatch, distinct
from frugal.mixing.convolution import DynamicConv
from frugal.mixing.fourier import FourierMixing
from frugal.mixing.synthesizer import Synthesizer
from frugal.model import TransformerConfig
from frugal.training import train

LENGTH, MARKS, SYMBOLS, ASKED, NOISE = 256, 4, 4, 64, 16
VOCABULARY = NOISE + MARKS * SYMBOLS + MARKS
WIDTH, HEADS, LAYERS, D_FF = 32, 2, 2, 256
HEAD_DIM = WIDTH // HEADS
WINDOW, BLOCK, RANK, FEATURES = 16, 32, 32, 32
STEPS, BATCH, WARMUP, RATES = 2550, 4, 50, (2e-3, 5e-3)
N_MOMENTS = 6
"""Models are read after this many equal parts of the updates."""
READINGS = 15
"""A time is the median of so many."""


def heads(attend: Callable[..., Tensor]) -> nn.Module:
    """Multi-head attention with another attend."""
    layer = MultiHeadAttention(WIDTH, HEADS, attend)
    if isinstance(attend, LshAttention):
        layer.to_k = layer.to_q  # it reads no keys of their own
    return layer


MIXERS: dict[str, Callable[[], nn.Module]] = {
    "softmax": lambda: heads(softmax_attention),
    "window": lambda: heads(PatternAttention("window", window=WINDOW)),
    "window+global": lambda: heads(
        PatternAttention("window+global", window=WINDOW, global_tokens=(0,))
    ),
    "span": lambda: heads(AdaptiveSpan(HEADS, LENGTH, start=LENGTH)),
    "lsh": lambda: heads(LshAttention(BLOCK, 4)),
    "sinkhorn": lambda: heads(
        SinkhornAttention(HEADS, HEAD_DIM, block_size=BLOCK, max_blocks=LENGTH // BLOCK)
    ),
    "linformer": lambda: heads(LinformerAttention(HEADS, LENGTH, RANK)),
    "linear": lambda: heads(KernelAttention()),
    "favor": lambda: heads(KernelAttention(FavorFeatures(HEAD_DIM, FEATURES))),
    "entmax": lambda: heads(EntmaxAttention(HEADS, alpha=1.5)),
    "dynamicconv": lambda: DynamicConv(WIDTH, HEADS, 2 * WINDOW + 1, causal=False),
    "fourier": FourierMixing,
    "synthesizer": lambda: Synthesizer(WIDTH, HEADS, LENGTH, kind="factorized"),
}
FURTHER: dict[str, Callable[[], nn.Module]] = {
    "dynamicconv-far": lambda: DynamicConv(WIDTH, HEADS, 2 * LENGTH - 1, causal=False),
}
"""A kernel that reaches every place from every other."""


def count(model: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in model.parameters())


def with_hidden_width(mixer: str, d_ff: int) -> Tagger:
    """The model with that mixer and feed-forward width."""
    config = TransformerConfig(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        n_heads=HEADS,
        n_layers=LAYERS,
        d_ff=d_ff,
        max_length=LENGTH,
        positions="none",
        make_mixer=lambda index, config: Mixing((MIXERS | FURTHER)[mixer]()),
    )
    return Tagger(config)


class Mixing(nn.Module):
    """A mixer of both directions: x -> x."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: Tensor) -> Tensor:
        return self.mixer(x)


def model_of(mixer: str) -> Tagger:
    """A model with as many parameters as the softmax model, to a unit of feed-forward width."""
    goal = count(with_hidden_width("softmax", D_FF))
    least, one_more = (count(with_hidden_width(mixer, width)) for width in (1, 2))
    return with_hidden_width(mixer, max(1, 1 + round((goal - least) / (one_more - least))))


def settings() -> dict[str, dict[str, Any]]:
    """By name `mixer-rate`: the mixer and the learning rate."""
    return {f"{mixer}-{rate:g}": {"mixer": mixer, "lr": rate} for mixer in MIXERS for rate in RATES}


def draw(batch_size: int, generator: torch.Generator) -> SequenceBatch:
    """Texts and what is asked. Ids: 16 of noise, 4 symbols for each of 4 marks, 4 questions."""
    ids = torch.randint(NOISE, (batch_size, LENGTH), generator=generator)
    symbols = torch.randint(SYMBOLS, (batch_size, MARKS), generator=generator)
    places = distinct(LENGTH, batch_size, MARKS + ASKED, generator)
    ids.scatter_(1, places[:, :MARKS], NOISE + SYMBOLS * torch.arange(MARKS) + symbols)
    wanted = torch.randint(MARKS, (batch_size, ASKED), generator=generator)
    ids.scatter_(1, places[:, MARKS:], NOISE + MARKS * SYMBOLS + wanted)
    targets = torch.full_like(ids, IGNORE)
    answers = (NOISE + SYMBOLS * wanted) + symbols.gather(1, wanted)
    targets.scatter_(1, places[:, MARKS:], answers)
    return SequenceBatch(ids, targets)


def nats(model: nn.Module, batch: SequenceBatch) -> Tensor:
    """The mean loss over what is asked."""
    scores = model(batch.inputs)
    return F.cross_entropy(scores.flatten(0, -2), batch.targets.flatten(), ignore_index=IGNORE)


def right(model: nn.Module, tests: list[SequenceBatch]) -> float:
    """The share of right answers."""
    model.eval()
    with torch.no_grad():
        found = [
            (model(batch.inputs).argmax(-1) == batch.targets)[batch.targets != IGNORE]
            for batch in tests
        ]
    return torch.cat(found).float().mean().item()


def milliseconds(call: Callable[[], object], readings: int) -> float:
    """The median processor time of a call, after one that is not counted."""
    call()
    found = []
    for _ in range(readings):
        began = time.process_time()
        call()
        found.append(1e3 * (time.process_time() - began))
    return statistics.median(found)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """A model of equal size, trained once."""
    torch.manual_seed(seed)
    return trained(model_of(setting["mixer"]), setting["lr"], seed, smoke)


def trained(model: nn.Module, lr: float, seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; the share of right answers on test and validation data, and the times."""
    steps, size = (2, 2) if smoke else (STEPS, BATCH)
    held_out = {
        part: [
            draw(size, torch.Generator().manual_seed(first + n)) for n in range(1 if smoke else 16)
        ]
        for part, first in (("valid", 2_000_000), ("test", 1_000_000))
    }
    moments = [steps] if smoke else [steps * n // N_MOMENTS for n in range(1, N_MOMENTS + 1)]
    history = train(
        model,
        lambda step, generator: draw(size, generator),
        nats,
        steps=steps,
        lr=lr,
        warmup=WARMUP,
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    curve = []
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        curve.append(right(model, held_out["valid"]))
    texts = held_out["test"][0]
    readings = 1 if smoke else READINGS
    with torch.no_grad():
        reading = milliseconds(partial(model, texts.inputs), readings)
    model.train()
    update = milliseconds(lambda: nats(model, texts).backward(), readings)
    return {
        "right": right(model, held_out["test"]),
        "valid_right": curve[-1],
        "moments": moments,
        "right_curve": curve,
        "reading_ms": reading / size,
        "update_ms": update / size,
        "parameters": count(model),
    }
