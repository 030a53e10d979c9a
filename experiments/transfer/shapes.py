"""Five layers, shared out between encoder and decoder: 4 + 1, 2 + 3 or 1 + 4.

Digits to number words in two languages, with equal parameters: the feed-forward layers of a shape
with more cross-attention are narrower. Quality is the share of exact texts. Speed is measured on
the same machine in turns, writing 48 characters: seconds for one source, and characters a second
for 128 sources together; beside the three shapes stands a Mask-Predict model of 2 + 3 layers with
1, 4 and 10 passes. About two minutes a run on one core.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from experiments.transfer.parallel_decoding import Task, autoregressive
from frugal.decoding import translate
from frugal.decoding.parallel import MaskedTranslator, mask_predict
from frugal.model import EncoderDecoder

STEPS = 500
SHAPES = {"4-1": (4, 1, 333), "2-3": (2, 3, 282), "1-4": (1, 4, 256)}
"""Encoder layers, decoder layers, and the d_ff that makes the parameters equal."""
CHARACTERS, BATCH, ROUNDS = 48, 128, 7
TOLERANCE = {"rate_*": math.inf}
"""A rate is a speed, which no second run repeats."""


def settings() -> dict[str, dict[str, Any]]:
    """One task."""
    options = {"languages": ("en", "de"), "tagged": True, "largest": 9999}
    return {"numbers": {"data": "numbers", "options": options}}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train and time the three shapes: exact_, parameters_, milliseconds_ and rate_ of each."""
    task = Task(setting, seed, smoke)
    ends = {"bos": task.vocabulary.bos, "eos": task.vocabulary.eos}
    found: dict[str, float] = {}
    write: dict[str, Callable[[torch.Tensor], Any]] = {}
    characters = 4 if smoke else CHARACTERS
    for name, (n_layers, n_decoder_layers, d_ff) in SHAPES.items():
        shape = {"n_layers": n_layers, "n_decoder_layers": n_decoder_layers, "d_ff": d_ff}
        steps = 3 if smoke else STEPS
        model = autoregressive(task, task.train, seed=seed, steps=steps, **shape)
        ids = translate(
            model,
            task.asked.source,
            source_padding=task.asked.source_padding,
            max_new_tokens=task.longest + 1,
            **ends,
        )
        found[f"exact_{name}"] = task.valid(ids)
        layers = [model.encoder.stack, model.decoder.stack]
        weights = [p for stack in layers for p in stack.parameters()]
        found[f"parameters_{name}"] = float(sum(p.numel() for p in weights))
        write[name] = lambda source, model=model: unstopped(model, source, characters)

    n_layers, n_decoder_layers, d_ff = SHAPES["2-3"]
    config = task.config(n_layers=n_layers, n_decoder_layers=n_decoder_layers, d_ff=d_ff)
    both = MaskedTranslator(config, mask=task.vocabulary.unknown, max_target_length=characters)
    for iterations in (1, 4, 10):
        write[f"passes-{iterations}"] = lambda source, iterations=iterations: mask_predict(
            both,
            source,
            iterations=iterations,
            lengths=torch.full((len(source),), characters),
        )
    rounds = 1 if smoke else ROUNDS
    for name, seconds in in_turns(write, task.asked.source[:1, :9], rounds).items():
        found[f"milliseconds_{name}"] = 1000 * seconds
    batch = task.asked.source[: 8 if smoke else BATCH, :9]
    for name, seconds in in_turns(write, batch, rounds).items():
        found[f"rate_{name}"] = len(batch) * characters / seconds
    return found


def unstopped(model: EncoderDecoder, source: torch.Tensor, characters: int) -> torch.Tensor:
    """Exactly so many characters: no id is the end, so that every model writes as long."""
    return translate(model, source, bos=1, eos=-1, max_new_tokens=characters)


def in_turns(
    write: dict[str, Callable[[torch.Tensor], Any]], source: torch.Tensor, rounds: int
) -> dict[str, float]:
    """The median CPU seconds of each, called one after the other in every round."""
    spent: dict[str, list[float]] = {name: [] for name in write}
    for _ in range(rounds + 1):
        for name, call in write.items():
            began = time.process_time()
            call(source)
            spent[name].append(time.process_time() - began)
    return {name: statistics.median(seconds[1:]) for name, seconds in spent.items()}
