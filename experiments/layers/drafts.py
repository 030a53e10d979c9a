"""Can the lower layers of a language model write its text?

Models of letters with six layers, and with two and four, on the language manual. "plain" models
learn by the scores of the last layer. "exits" learn by those of all layers, read through one head.
Each tries two learning rates for a fifth of the updates on validation text. Then 16 prompts of 16
letters from the test text are continued by 48 letters: by all layers; by tokens that leave early at
six thresholds, their keys above the exit made from the state there ("projected") or hidden
("absent"); and by all layers that check four drafts of the lowest one to five. What is written
early is judged by the letters up to the first that differs from what all layers write, and by the
bits per letter that the whole model gives the text. Time is process time on one core, one after the
other. About 80 seconds a run with six layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.data import text
from frugal.decoding import exit_logits, exit_loss, generate, generate_early, speculate
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

STEPS, TRIAL_STEPS, EVERY = 800, 160, 160
RATES = (2e-3, 5e-3)
LENGTH, BATCH, WIDTH = 64, 16, 64
PROMPTS, PROMPT, NEW = 16, 16, 48
THRESHOLDS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
DRAFTED = 4


def settings() -> dict[str, dict[str, Any]]:
    """By name: how many layers, and whether all of them learn to write."""
    return {
        "plain": {"n_layers": 6, "exits": False},
        "exits": {"n_layers": 6, "exits": True},
        "plain-4": {"n_layers": 4, "exits": False},
        "plain-2": {"n_layers": 2, "exits": False},
    }


def model_of(setting: dict[str, Any], vocab_size: int) -> Decoder:
    """The model of a setting, untrained."""
    shape = {"d_model": WIDTH, "n_heads": 4, "n_layers": setting["n_layers"]}
    return Decoder(TransformerConfig(vocab_size, positions="rope", **shape))


def bits(decoder: Decoder, windows: text.TextBatch) -> list[float]:
    """Bits per letter behind each layer, on windows of held-out text."""
    with torch.no_grad():
        logits = exit_logits(decoder, windows.inputs)
    each = [F.cross_entropy(one.mT, windows.targets).item() for one in logits]
    return [loss / torch.tensor(2.0).log().item() for loss in each]


def as_far(ids: Tensor, wanted: Tensor) -> float:
    """The share of new letters in front of the first that differs from what is wanted."""
    return (ids == wanted)[:, PROMPT:].long().cumprod(1).double().mean().item()


def bits_of(decoder: Decoder, ids: Tensor) -> float:
    """Bits per new letter that the whole model gives a text."""
    with torch.no_grad():
        logits = decoder(ids[:, :-1])[:, PROMPT - 1 :]
    loss = F.cross_entropy(logits.mT, ids[:, PROMPT:])
    return loss.item() / torch.tensor(2.0).log().item()


def timed(write: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its process time in milliseconds; after one try that does not count."""
    write()
    start = time.process_time()
    found = write()
    return found, 1e3 * (time.process_time() - start)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; what each layer has learned, what tokens that leave early and drafts give."""
    topics = text.topics()
    batches = topics.batches("train", length=LENGTH, batch_size=4 if smoke else BATCH)
    some = 4 if smoke else 128
    valid, test = (
        text.TextBatch(*(part[:some] for part in topics.windows(split, length=LENGTH)))
        for split in ("valid", "test")
    )

    def loss(decoder: Decoder, batch: text.TextBatch) -> Tensor:
        if setting["exits"]:
            return exit_loss(decoder, batch.inputs, batch.targets)
        return F.cross_entropy(decoder(batch.inputs).mT, batch.targets)

    def trained(rate: float, steps: int) -> tuple[Decoder, Any]:
        torch.manual_seed(seed)
        decoder = model_of(setting, len(topics.vocabulary))
        history = train(
            decoder,
            batches,
            loss,
            steps=steps,
            lr=rate,
            seed=seed,
            evaluate=lambda model: {"bits": bits(model, valid)[-1]},
            every=2 if smoke else EVERY,
            progress=False,
        )
        return decoder.eval(), history

    trials = [trained(rate, 2 if smoke else TRIAL_STEPS)[1].evaluations[-1] for rate in RATES]
    tried = [trial["bits"] for trial in trials]
    rate = RATES[tried.index(min(tried))]
    decoder, history = trained(rate, 4 if smoke else STEPS)

    prompts = test.inputs[: 2 if smoke else PROMPTS, :PROMPT]
    new = 4 if smoke else NEW
    whole, ms = timed(lambda: generate(decoder, prompts, max_new_tokens=new))
    ones, ms_alone = timed(
        lambda: torch.cat([generate(decoder, row[None], max_new_tokens=new) for row in prompts])
    )
    found: dict[str, Any] = {
        "rate": rate,
        "bits_by_rate": tried,
        "steps": [e["step"] for e in history.evaluations],
        "valid": [e["bits"] for e in history.evaluations],
        "bits": bits(decoder, test),
        "bits_of_text": bits_of(decoder, whole),
        "ms": ms,
        "ms_alone": ms_alone,
        "letters": float(prompts.shape[0] * new),
        "alone_as_far": as_far(ones, whole),
    }
    for missing in ("projected", "absent"):
        rows = [
            timed(
                lambda bar=bar, missing=missing: generate_early(
                    decoder, prompts, threshold=bar, max_new_tokens=new, missing=missing
                )
            )
            for bar in THRESHOLDS
        ]
        found[f"{missing}_layers"] = [early.layers.double().mean().item() for early, _ in rows]
        found[f"{missing}_as_far"] = [as_far(early.ids, whole) for early, _ in rows]
        found[f"{missing}_bits"] = [bits_of(decoder, early.ids) for early, _ in rows]
        found[f"{missing}_ms"] = [spent for _, spent in rows]
    drafts = [
        timed(
            lambda layers=layers: speculate(
                decoder, prompts, draft_layers=layers, n_drafted=DRAFTED, max_new_tokens=new
            )
        )
        for layers in range(1, setting["n_layers"])
    ]
    found["accepted"] = [one.accepted / one.drafted for one, _ in drafts]
    found["letters_per_check"] = [prompts.shape[0] * new / one.checks for one, _ in drafts]
    found["draft_ms"] = [spent for _, spent in drafts]
    found["drafts_as_far"] = [as_far(one.ids, ones) for one, _ in drafts]
    return found
