"""Does it open the drawer that it is told to open?

A small Perceiver-Actor learns on random cabinets, each batch new: with 16 and 4 latents, and with
16 latents and always the same words, whichever drawer is asked for. Then it is tried on
cabinets it has not seen, with the right words, and with the words for another drawer.
About 50 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from frugal.data import cabinets
from frugal.tasks.drawer import VoxelActor, drawer_loss, drawer_score
from frugal.training import train

STEPS = 2400
BATCH = 16
EVERY = 200
UNSEEN = 10_000
"""The seed of the cabinets to be tried on; training draws with the seeds of its runs."""


def settings() -> dict[str, dict[str, Any]]:
    """By name: how many latents, and whether the words say what to open."""
    return {
        "latents-16": {"n_latents": 16, "words": True},
        "latents-4": {"n_latents": 4, "words": True},
        "no-words": {"n_latents": 16, "words": False},
    }


class Deaf(nn.Module):
    """A model that hears the same words whatever is said."""

    def __init__(self, model: VoxelActor) -> None:
        super().__init__()
        self.model = model

    def forward(self, voxels: Tensor, instructions: Tensor) -> Tensor:
        always = cabinets.instruction_ids(device=instructions.device)[:1]
        return self.model(voxels, always.expand(len(voxels), -1))


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: `drawer_score` on unseen cabinets, and the share of right voxels on the way."""
    torch.manual_seed(seed)
    model: nn.Module = VoxelActor(n_latents=setting["n_latents"])
    if not setting["words"]:
        model = Deaf(model)
    unseen = cabinets.draw(8 if smoke else 1000, seed=UNSEEN)
    few = cabinets.draw(8 if smoke else 200, seed=UNSEEN + 1)

    history = train(
        model,
        lambda step, generator: cabinets.draw(BATCH, seed=generator),
        drawer_loss,
        steps=4 if smoke else STEPS,
        lr=3e-3,
        seed=seed,
        evaluate=lambda model: {"exact": drawer_score(model, few).exact},
        every=2 if smoke else EVERY,
        progress=False,
    )
    model.eval()
    return {
        **drawer_score(model, unseen)._asdict(),
        "steps": [e["step"] for e in history.evaluations],
        "exact_by_step": [e["exact"] for e in history.evaluations],
        "training_seconds": history.seconds,
        "parameters": float(sum(p.numel() for p in model.parameters())),
    }
