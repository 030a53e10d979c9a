"""Which way of mixing tokens learns what, at equal parameters and updates, and for how much time?

Models of two layers and width 64 that differ in how positions meet, and in nothing else: the
feed-forward network is as wide as it takes to give all the same number of parameters.

- recall: six pairs of a key and a value, then every key again, asking for its value; 48 positions.
- listops: nested minima, maxima, medians and sums of digits, at most 64 words, ten classes.
- text: the next character of the help topics, from at most 128 characters.

Positions are learned; heads of attention also rotate their queries and keys, which only they can.
Every mixer is trained with the same learning rates of its task; a chapter takes the rate that is
best on validation data and reads the test once. Recorded at several moments of a run, so that a
plateau can be seen, with the processor time of an update at the very length that is learned.
About 32 seconds a run on one core.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.attention.kernels import KernelAttention
from frugal.attention.kernels.features import FavorFeatures
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.attention.linformer import LinformerAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import sliding_window_attention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import Attend, MultiHeadAttention, softmax_attention
from frugal.data import listops, recall, text
from frugal.data.sequences import IGNORE, SequenceBatch
from frugal.mixing.convolution import DynamicConv, LightweightConv
from frugal.mixing.fourier import FourierMixing
from frugal.mixing.synthesizer import Synthesizer
from frugal.model import Decoder, Encoder, TransformerConfig
from frugal.positions import RotaryPositions
from frugal.training import train

STEPS = {"recall": 2400, "listops": 1800, "text": 1500}
N_MOMENTS = 6
"""Models are read after this many equal parts of the updates."""
RATES = {
    "recall": (2e-3, 5e-3),
    "listops": (1e-3, 3e-3, 9e-3),
    "text": (5e-3, 15e-3, 45e-3),
}
WIDTH, HEADS, LAYERS = 64, 2, 2
HEAD_DIM, FEATURES = WIDTH // HEADS, 64
D_FF = 256
"""Of the softmax model, whose number of parameters all others get."""
N_PAIRS, N_SYMBOLS = 6, 32
EXPRESSIONS = 8000
CONVOLUTION_HEADS, KERNEL = 16, 15


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a mixer is to work: the longest sequence, and whether the future is hidden."""

    length: int
    causal: bool

    @property
    def chunk(self) -> int:
        """Tokens in a bucket or block: few enough that something is left out."""
        return max(8, min(64, self.length // 8))

    @property
    def rank(self) -> int:
        """Rows to which Linformer shortens keys and values."""
        return min(256, self.length // 4)


@dataclasses.dataclass(frozen=True)
class Task:
    """length: of the sequences. causal: a decoder learns it, else an encoder. classes: what is to
    be told apart. vocabulary: ids that can be read."""

    length: int
    causal: bool
    classes: int
    vocabulary: int

    @property
    def place(self) -> Place:
        return Place(self.length, self.causal)


def tasks() -> dict[str, Task]:
    """The tasks by name."""
    characters = len(text.topics().vocabulary)
    words = len(listops.VOCABULARY)
    return {
        "recall": Task(48, causal=True, classes=N_SYMBOLS, vocabulary=N_SYMBOLS),
        "listops": Task(64, causal=False, classes=10, vocabulary=words),
        "text": Task(128, causal=True, classes=characters, vocabulary=characters),
    }


def attends(make: Callable[[Place], Attend]) -> Callable[[Place], nn.Module]:
    """A mixer that is multi-head attention with another attend."""
    return lambda place: Attending(make(place), place.causal)


class Attending(nn.Module):
    """Multi-head attention as a mixer: x -> x."""

    def __init__(self, attend: Attend, causal: bool) -> None:
        super().__init__()
        rotate = RotaryPositions(HEAD_DIM)
        self.heads = MultiHeadAttention(WIDTH, HEADS, attend, rotate=rotate)
        self.causal = causal
        if isinstance(attend, LshAttention):
            self.heads.to_k = self.heads.to_q  # it reads no keys of their own

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(x, causal=self.causal)


def convolution(kind: type[nn.Module]) -> Callable[[Place], nn.Module]:
    """A convolution whose kernels look as far back as a window of 15."""
    return lambda place: kind(WIDTH, CONVOLUTION_HEADS, KERNEL, causal=place.causal)


def synthesizer(kind: str, **options: bool) -> Callable[[Place], nn.Module]:
    """A Synthesizer with places for the whole sequence."""
    return lambda place: Synthesizer(
        WIDTH, HEADS, place.length, kind=kind, causal=place.causal, **options
    )


def sorting(place: Place) -> Attend:
    """Sinkhorn attention on blocks of the size of a bucket."""
    blocks = math.ceil(place.length / place.chunk)
    return SinkhornAttention(HEADS, HEAD_DIM, block_size=place.chunk, max_blocks=blocks)


MIXERS: dict[str, Callable[[Place], nn.Module]] = {
    "softmax": attends(lambda place: softmax_attention),
    "window": attends(lambda place: partial(sliding_window_attention, window=KERNEL - 1)),
    "lsh": attends(lambda place: LshAttention(place.chunk, 4)),
    "sinkhorn": attends(sorting),
    "linformer": attends(lambda place: LinformerAttention(HEADS, place.length, place.rank)),
    "linear": attends(lambda place: KernelAttention()),
    "favor": attends(lambda place: KernelAttention(FavorFeatures(HEAD_DIM, FEATURES))),
    "rfa": attends(lambda place: RandomFeatureAttention(HEADS, HEAD_DIM, FEATURES)),
    "fourier": lambda place: FourierMixing(),
    "lightconv": convolution(LightweightConv),
    "dynamicconv": convolution(DynamicConv),
    "synthesizer-dense": synthesizer("dense"),
    "synthesizer-random": synthesizer("random"),
}
FURTHER = {
    "synthesizer-plus": synthesizer("random", plus=True, alpha=True),
    "dynamicconv-far": lambda place: DynamicConv(
        WIDTH, CONVOLUTION_HEADS, place.length, causal=place.causal
    ),
}
"""What no bench times alone: a random matrix mixed with products of queries and keys, as the
paper's best; a dynamic kernel as long as a causal text, so that it reaches every earlier place."""

ARMS = {
    "recall": ("softmax", "linear", "dynamicconv", "synthesizer-random", "synthesizer-plus"),
    "listops": ("softmax", "fourier", "synthesizer-random"),
    "text": (
        "softmax",
        "window",
        "lightconv",
        "dynamicconv",
        "synthesizer-dense",
        "synthesizer-random",
        "synthesizer-plus",
    ),
}
"""On each task the mixers that it can tell something about."""


class Labelled(nn.Module):
    """An encoder and a class for the whole sequence, from the mean over its real positions."""

    def __init__(self, config: TransformerConfig, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.to_classes = nn.Linear(config.d_model, classes)

    def forward(self, ids: Tensor) -> Tensor:
        # Padding is a symbol like others, since some mixers know no masks; the mean leaves it out.
        real = (ids != listops.VOCABULARY.pad)[..., None]
        return self.to_classes((self.encoder(ids) * real).sum(1) / real.sum(1))


def count(model: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in model.parameters())


def with_hidden_width(mixer: str, task: Task, d_ff: int) -> nn.Module:
    """The model of a task with that mixer and feed-forward width."""
    config = TransformerConfig(
        vocab_size=task.vocabulary,
        d_model=WIDTH,
        n_heads=HEADS,
        n_layers=LAYERS,
        d_ff=d_ff,
        max_length=task.length,
        positions="learned",
        make_mixer=lambda index, config: (MIXERS | FURTHER)[mixer](task.place),
    )
    return Decoder(config) if task.causal else Labelled(config, task.classes)


def model_of(mixer: str, task: Task) -> nn.Module:
    """A model with as many parameters as the softmax model of the task, to a unit of width."""
    goal = count(with_hidden_width("softmax", task, D_FF))
    least, one_more = (count(with_hidden_width(mixer, task, width)) for width in (1, 2))
    d_ff = 1 + round((goal - least) / (one_more - least))
    if d_ff < 1:
        raise ValueError(f"mixer is {mixer!r}; alone it has more parameters than the whole model.")
    return with_hidden_width(mixer, task, d_ff)


def settings() -> dict[str, dict[str, Any]]:
    """By name `task-mixer-rate`: the task, the mixer and the learning rate."""
    return {
        f"{task}-{mixer}-{rate:g}": {"task": task, "mixer": mixer, "lr": rate}
        for task, arms in ARMS.items()
        for mixer in arms
        for rate in RATES[task]
    }


Draw = Callable[[int, torch.Generator], Any]


@lru_cache
def expressions_of(n: int, split: str, length: int) -> listops.ListOpsBatch:
    """The same expressions for every model."""
    limits = {"max_depth": 4, "max_args": 5, "min_length": 4, "max_length": length}
    return listops.encode(listops.expressions(n, split, seed=0, **limits), length=length)


def supply(name: str, task: Task, smoke: bool) -> tuple[Draw, dict[str, list[Any]]]:
    """Batches for training, and what is held out: "valid" and "test", in parts of a batch."""
    size = 2 if smoke else 1024 // task.length
    if name == "text":
        topics = text.topics()
        held_out = {part: topics.windows(part, length=task.length) for part in ("valid", "test")}
        rows = 4 if smoke else None
        return topics.batches("train", length=task.length, batch_size=size), {
            part: in_parts(windows.inputs[:rows], windows.targets[:rows])
            for part, windows in held_out.items()
        }
    if name == "listops":
        known = expressions_of(40 if smoke else EXPRESSIONS, "train", task.length)
        new = {
            part: expressions_of(20 if smoke else many, part, task.length)
            for part, many in (("valid", 1000), ("test", 2000))
        }

        def expressions(step: int, generator: torch.Generator) -> SequenceBatch:
            rows = torch.randint(len(known.values), (size,), generator=generator)
            return SequenceBatch(known.tokens[rows], known.values[rows])

        return expressions, {part: in_parts(one.tokens, one.values) for part, one in new.items()}
    options = {"n_pairs": N_PAIRS, "length": task.length, "n_symbols": N_SYMBOLS, "power": 1.0}

    def pairs(step: int, generator: torch.Generator) -> SequenceBatch:
        return recall.draw(size, **options, seed=generator)

    tests = 1 if smoke else 4
    return pairs, {
        part: [recall.draw(128, **options, seed=seed + n) for n in range(tests)]
        for part, seed in (("valid", 2_000_000), ("test", 1_000_000))
    }


def in_parts(inputs: Tensor, targets: Tensor) -> list[SequenceBatch]:
    """Parts of 128 rows, which fit in memory."""
    return [
        SequenceBatch(*part) for part in zip(inputs.split(128), targets.split(128), strict=True)
    ]


def nats(model: nn.Module, batch: SequenceBatch) -> Tensor:
    """The mean loss over what is asked."""
    scores = model(batch.inputs)
    return F.cross_entropy(scores.flatten(0, -2), batch.targets.flatten(), ignore_index=IGNORE)


def quality(model: nn.Module, tests: list[SequenceBatch]) -> dict[str, float]:
    """The share of right answers, and the bits of surprise, over all that is asked."""
    model.eval()
    right = asked = bits = 0.0
    with torch.no_grad():
        for batch in tests:
            known = batch.targets != IGNORE
            scores = model(batch.inputs)[known]
            answers = batch.targets[known]
            right += (scores.argmax(-1) == answers).sum().item()
            bits += F.cross_entropy(scores, answers, reduction="sum").item() / math.log(2)
            asked += len(answers)
    return {"right": right / asked, "bits": bits / asked, "asked": asked}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """A model of equal size, trained once."""
    torch.manual_seed(seed)
    model = model_of(setting["mixer"], tasks()[setting["task"]])
    return trained(model, setting, seed, smoke)


def trained(model: nn.Module, setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; the quality on test and validation data at the end and at each moment before, and
    processor seconds an update."""
    name = setting["task"]
    batches, held_out = supply(name, tasks()[name], smoke)
    steps = 2 if smoke else STEPS[name]
    moments = [steps] if smoke else [steps * n // N_MOMENTS for n in range(1, N_MOMENTS + 1)]
    began = time.process_time()
    history = train(
        model,
        batches,
        nats,
        steps=steps,
        lr=setting["lr"],
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    seconds = time.process_time() - began
    curve = []
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        curve.append(quality(model, held_out["valid"]))
    return {
        **quality(model, held_out["test"]),
        "valid_right": curve[-1]["right"],
        "valid_bits": curve[-1]["bits"],
        "moments": moments,
        "right_curve": [one["right"] for one in curve],
        "bits_curve": [one["bits"] for one in curve],
        "update_ms": 1e3 * seconds / steps,
        "parameters": count(model),
    }
