"""The readers of `universal` at other learning rates: does one layer need another than many?

The same texts, sizes, updates and tests; three of its arms at a third and at three times the rate.
What `universal` has, at its own rate, is the third try of each. About 30 seconds a run on one core.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from experiments.layers.universal import (
    ARMS,
    BATCH,
    DEEP,
    EVERY,
    STEPS,
    TESTED,
    TRAINED,
    TRAINING,
    examined,
    neighbours,
    priced,
    reader,
    training_set,
)
from frugal.data import nested_lists
from frugal.tasks.list_reader import ListReader
from frugal.training import TrainingDiverged, train

RATES = (3e-3, 3e-2)
TRIED = ("plain-6", "shared-6", "halting-0.01")


def settings() -> dict[str, dict[str, Any]]:
    return {f"{arm}, {rate:g}": {**ARMS[arm], "rate": rate} for arm in TRIED for rate in RATES}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once, and test at the depths of training and beyond. valid: what a rate is chosen by,
    the share of lists that are right in texts that are not those of the test."""
    torch.manual_seed(seed)
    model = reader(setting)
    known = training_set(200 if smoke else TRAINING, seed)
    tested = nested_lists.draw(40 if smoke else TESTED, depths=TRAINED, seed=20_000 + seed)
    valid, test = (nested_lists.encode(half) for half in (tested[::2], tested[1::2]))
    deep = nested_lists.encode(
        nested_lists.draw(20 if smoke else TESTED // 2, depths=DEEP, seed=30_000 + seed)
    )

    curve: list[float] = []

    def evaluate(model: ListReader) -> dict[str, float]:
        curve.append(examined(model, valid)["right"])
        return {"right": curve[-1]}

    diverged = 0
    try:
        train(
            model,
            partial(neighbours, known, 8 if smoke else BATCH),
            partial(priced, setting.get("price", 0.0)),
            steps=4 if smoke else STEPS,
            lr=setting["rate"],
            seed=seed,
            evaluate=evaluate,
            every=2 if smoke else EVERY,
            progress=False,
        )
    except TrainingDiverged:
        diverged = 1
    found, beyond = examined(model, test), examined(model, deep)
    return {
        **{name: found[name] for name in ("right", "whole", "loss", "right_by_depth")},
        **{name: found[name] for name in ("steps", "steps_by_depth", "correlation")},
        "valid": examined(model, valid)["right"],
        "deep_whole": beyond["whole"],
        "deep_by_depth": beyond["right_by_depth"],
        "diverged": diverged,
        "curve": curve,
    }
