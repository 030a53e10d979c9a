"""Dropping tokens against keeping them: stacks of layers, forward, on a schedule that loses little.

The small model is the one of experiments/elimination.py, with 32 stories at once and the cheapest
of its schedules that costs one point of accuracy or less in the recorded result. The large one has
layers of BERT's base width and drops the same shares of 128 tokens, one text at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from experiments import elimination as experiment
from experiments import runner
from experiments.bench import Case
from frugal import results
from frugal.data import journeys
from frugal.model import Encoder, TransformerConfig
from frugal.tokens.elimination import WordVectorElimination

LOSS = 0.01
BAR = 1 / 1.8


def cheapest(loss: float = LOSS) -> tuple[int, ...]:
    """The recorded schedule with the fewest FLOPs that loses `loss` or less, both trained again."""
    recorded = results.load("elimination", folder=runner.RESULTS)
    full = recorded.mean_std("full again").loc["journeys", "mean"]
    runs = torch.tensor(recorded.values("significance again")["journeys"]).mean(0)
    cost = recorded.values("flops")["journeys"][0]
    schedules = recorded.values("schedules")["journeys"][0]
    fine = [index for index, accuracy in enumerate(runs.tolist()) if full - accuracy <= loss]
    if not fine:
        raise ValueError(f"loss is {loss}; no recorded schedule of elimination loses so little.")
    return tuple(schedules[min(fine, key=lambda index: cost[index])])


def cases(smoke: bool) -> list[Case]:
    """Each stack plain, and dropping tokens."""
    keep = cheapest()
    stories = journeys.draw(4 if smoke else 32, seed=0)
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
