"""Dropping tokens against keeping them: stacks of layers, forward, on schedules that lose little.

The small model is the one of experiments/elimination.py, with 128 stories at once, the paper's
batch. Its schedules are those that a search found for a loss of a point or less on held-out
stories, one for each recorded seed. The large one has layers of BERT's base width and random
weights, so that it says nothing of accuracy; it drops the same shares of 128 tokens as the schedule
with the median FLOPs, one text at a time.
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
BARS = {"stories": 1 / 1.3, "BERT's width": 1 / 1.8}


def searched(loss: float = LOSS) -> list[tuple[int, ...]]:
    """The recorded searched schedules, the cheapest first.

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
    return [tuple(keep) for _, keep in found]


def cases(smoke: bool) -> list[Case]:
    """Each stack plain, and dropping tokens; the bar is on the schedule with the median FLOPs."""
    schedules = searched()
    keep = schedules[len(schedules) // 2]
    stories = journeys.draw(4 if smoke else 128, seed=0)
    batch = journeys.encode(stories, length=experiment.LENGTH)
    reader = experiment.Reader().eval()
    plain = partial(reader, batch.tokens, batch.padding)
    found = race("stories", reader.encoder, plain, list(dict.fromkeys(schedules)), median=keep)

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
    return found + race("BERT's width", encoder, text, [scaled], median=scaled)


def race(
    name: str,
    encoder: Encoder,
    call: Callable[[], Tensor],
    schedules: list[tuple[int, ...]],
    *,
    median: tuple[int, ...],
) -> list[Case]:
    """The call with all tokens, and with each schedule; a bar on the median one."""

    def timed(schedule: tuple[int, ...] | None) -> Callable[[], Tensor]:
        def run() -> Tensor:
            encoder.stack.keep = schedule
            with torch.no_grad():
                return call()

        return run

    full = f"{name}, all tokens"
    return [
        Case(full, timed(None)),
        *(
            Case(
                f"{name}, keeping {', '.join(map(str, keep))}",
                timed(keep),
                full,
                BARS[name] if keep == median else None,
            )
            for keep in schedules
        ),
    ]
