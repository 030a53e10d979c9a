"""Dropping tokens against keeping them: stacks of layers, forward, on a schedule that loses little.

The small model is the one of experiments/elimination.py, with 128 stories at once, the paper's
batch. Its schedule is one that a search found for a loss of a point or less: of the recorded seeds'
schedules, the one with the median FLOPs. The large one has layers of BERT's base width and drops
the same shares of 128 tokens, one text at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from experiments import runner
from experiments.bench import Case
from experiments.representations import elimination as experiment
from frugal import results
from frugal.data import journeys
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.elimination import WordVectorElimination

LOSS = 0.01
BAR = 1 / 1.8


def searched(loss: float = LOSS) -> tuple[int, ...]:
    """The recorded searched schedule with the median FLOPs.

    Raises ValueError when the searched schedules lose more than `loss` on average, both they and
    the model with all its tokens trained again.
    """
    recorded = results.load("elimination", folder=runner.RESULTS)
    again = [recorded.values(name)["journeys"] for name in ("full again", "searched again")]
    lost = sum(full - kept for full, kept in zip(*again, strict=True)) / len(again[0])
    if lost > loss:
        raise ValueError(f"loss is {loss}; the searched schedules of elimination lose {lost:.3f}.")
    cost = recorded.values("searched flops")["journeys"]
    found = sorted(zip(cost, recorded.values("searched keep")["journeys"], strict=True))
    return tuple(found[len(found) // 2][1])


def cases(smoke: bool) -> list[Case]:
    """Each stack plain, and dropping tokens."""
    keep = searched()
    stories = journeys.draw(4 if smoke else 128, seed=0)
    batch = journeys.encode(stories, length=experiment.LENGTH)
    reader = experiment.Reader().eval()
    plain = partial(reader, batch.tokens, batch.padding)
    found = race("stories", reader.encoder, plain, keep)

    length = 32 if smoke else 128
    shares = [tokens / experiment.LENGTH for tokens in keep]
    width = {"d_model": 48, "n_heads": 4} if smoke else {"d_model": 768, "n_heads": 12}
    config = TransformerConfig(
        100,
        n_layers=len(keep),
        positions="learned",
        activation="gelu",
        make_stack=WordVectorElimination,
        **width,
    )
    encoder = Encoder(config).eval()
    text = partial(encoder, torch.randint(100, (1, length)))
    scaled = tuple(math.ceil(share * length) for share in shares)
    return found + race("BERT's width", encoder, text, scaled)


def race(
    name: str, encoder: Encoder, call: Callable[[], Tensor], keep: tuple[int, ...]
) -> list[Case]:
    """The call with all tokens, and with the schedule; a bar on the second."""

    def timed(schedule: tuple[int, ...] | None) -> Callable[[], Tensor]:
        def run() -> Tensor:
            encoder.stack.keep = schedule
            with torch.no_grad():
                return call()

        return run

    full = f"{name}, all tokens"
    kept = f"{name}, keeping {', '.join(map(str, keep))}"
    return [Case(full, timed(None)), Case(kept, timed(keep), full, BAR)]
