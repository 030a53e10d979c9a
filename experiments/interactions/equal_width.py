"""What do mixers learn that equal size leaves hardly a feed-forward network?

`mixers` and `cost_quality` compare models of equal size: what a mixer takes more, its feed-forward
network has less. Large matrices then leave little of it, and such a model says nothing about the
mixing. Here are the same models with the feed-forward network of the softmax model, whatever they
count; all else is as there. A dynamic convolution gets kernels that reach every place where the
task asks for something far.

Where a mixer of equal size was best with the smallest or largest rate that was tried, the next one
is tried as well. About 30 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch

from experiments.interactions import cost_quality, mixers

WIDE = {
    "recall": ("dynamicconv-far", "synthesizer-plus"),
    "listops": ("fourier",),
    "text": (
        "lightconv",
        "dynamicconv",
        "synthesizer-dense",
        "synthesizer-random",
        "synthesizer-plus",
    ),
    "lookup": ("dynamicconv-far", "sinkhorn", "linformer", "fourier", "synthesizer"),
}
"""By task, mixers that get the softmax model's feed-forward network; "lookup" is `cost_quality`."""
BEYOND = {
    "recall": {"softmax": 1e-3, "linear": 1e-3},
    "listops": {"softmax": 3e-4, "fourier": 27e-3, "synthesizer-random": 27e-3},
    "text": {"synthesizer-random": 135e-3, "synthesizer-plus": 135e-3},
}
"""By task, the next learning rate for models of equal size that were best at the edge."""
RATES = {**mixers.RATES, "lookup": cost_quality.RATES}


def settings() -> dict[str, dict[str, Any]]:
    """By name `task-mixer-equal-rate`; equal is "width" or "size"."""
    found = {}
    for task, arms in WIDE.items():
        for mixer in arms:
            further = BEYOND.get(task, {}).get(mixer)
            for rate in (*RATES[task], *([further] if further else [])):
                found[f"{task}-{mixer}-width-{rate:g}"] = {
                    "task": task,
                    "mixer": mixer,
                    "equal": "width",
                    "lr": rate,
                }
    for task, arms in BEYOND.items():
        for mixer, rate in arms.items():
            found[f"{task}-{mixer}-size-{rate:g}"] = {
                "task": task,
                "mixer": mixer,
                "equal": "size",
                "lr": rate,
            }
    return found


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """What the experiment of the task tells of such a model."""
    name, mixer, wide = setting["task"], setting["mixer"], setting["equal"] == "width"
    torch.manual_seed(seed)
    if name == "lookup":
        model = cost_quality.with_hidden_width(mixer, cost_quality.D_FF)
        return cost_quality.trained(model, setting["lr"], seed, smoke)
    task = mixers.tasks()[name]
    model = (
        mixers.with_hidden_width(mixer, task, mixers.D_FF) if wide else mixers.model_of(mixer, task)
    )
    return mixers.trained(model, setting, seed, smoke)
