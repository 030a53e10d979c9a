"""Five layers, shared out between encoder and decoder: 4 + 1, 2 + 3 or 1 + 4.

Digits to number words in two languages, with equal parameters: the feed-forward layers of a shape
with more cross-attention are narrower. Quality is the share of exact texts. Speed is measured on
the same machine in turns, writing 48 characters: seconds for one source, and characters a second
for 128 sources together; beside the three shapes stands a Mask-Predict model of 2 + 3 layers with
1, 4 and 10 passes. The three are trained on the data until they have stopped rising (`early_` is
two thirds of the way), and 4 + 1 also on what 2 + 3 writes, as one-layer decoders of the paper are.
About eight minutes a run on one core.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from experiments.transfer.parallel_decoding import Task, next_character_loss, taught
from frugal.data.translation import TranslationPair, batches
from frugal.decoding import translate
from frugal.decoding.parallel import MaskedTranslator, mask_predict
from frugal.model import EncoderDecoder
from frugal.training import train

STEPS, EARLY = 1500, 1000
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
    """Train and time the three shapes: exact_, parameters_, milliseconds_ and rate_ of each.

    early_: the share of exact texts at `EARLY` updates of the same run. exact_4-1_distilled: the
    shape 4 + 1 trained on what 2 + 3 writes.
    """
    task = Task(setting, seed, smoke)
    found: dict[str, float] = {"sources": float(len(task.test))}
    write: dict[str, Callable[[torch.Tensor], Any]] = {}
    models: dict[str, EncoderDecoder] = {}
    characters = 4 if smoke else CHARACTERS
    for name in SHAPES:
        models[name] = model = trained(task, task.train, name, seed, smoke, found)
        layers = [model.encoder.stack, model.decoder.stack]
        weights = [p for stack in layers for p in stack.parameters()]
        found[f"parameters_{name}"] = float(sum(p.numel() for p in weights))
        write[name] = lambda source, model=model: unstopped(model, source, characters)
    written = taught(task, models["2-3"])
    trained(task, written, "4-1", seed, smoke, found, suffix="_distilled")

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


def trained(
    task: Task,
    pairs: Sequence[TranslationPair],
    name: str,
    seed: int,
    smoke: bool,
    found: dict[str, float],
    suffix: str = "",
) -> EncoderDecoder:
    """A model of a shape trained on `pairs`; its shares of exact texts go into `found`."""
    n_layers, n_decoder_layers, d_ff = SHAPES[name]
    torch.manual_seed(seed)
    model = EncoderDecoder(
        task.config(n_layers=n_layers, n_decoder_layers=n_decoder_layers, d_ff=d_ff)
    )
    steps, early = (3, 2) if smoke else (STEPS, EARLY)
    draw = batches(pairs, task.vocabulary, 32)
    options = {"steps": steps, "seed": seed, "checkpoints": [early, steps], "progress": False}
    history = train(model, draw, next_character_loss, **options)
    for moment, prefix in ((early, "early"), (steps, "exact")):
        model.load_state_dict(history.checkpoints[moment])
        ids = translate(
            model,
            task.asked.source,
            source_padding=task.asked.source_padding,
            bos=task.vocabulary.bos,
            eos=task.vocabulary.eos,
            max_new_tokens=task.longest + 1,
        )
        found[f"{prefix}_{name}{suffix}"] = task.valid(ids)
    return model


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
