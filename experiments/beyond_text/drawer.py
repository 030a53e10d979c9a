"""Does it open the drawer that it is told to open?

One embedding of patches and words, one layer of scores, and between them one of four middles of
about as many weights: latents (16, or 4), full attention over patches and words, or 3-D
convolutions over the patches that the words steer. Two controls with 16 latents: queries that are
not added to their answers, and always the same words, whichever drawer is asked for. Each tries
three learning rates for a fifth of the updates, takes the best on validation cabinets, and starts
again. Then it is tried on 1,000 cabinets it has not seen, with the right words, and with the words
for another drawer. Every training batch is new. About 95 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.data import cabinets
from frugal.measure import count_flops
from frugal.model import Encoder, TransformerConfig
from frugal.tasks.drawer import VoxelActor, drawer_loss, drawer_score
from frugal.training import History, train

STEPS = 2000
TRIAL_STEPS = 400
RATES = (1.5e-3, 3e-3, 6e-3)
BATCH = 16
EVERY = 200
UNSEEN, N_UNSEEN = 10_000, 1000
"""The seed of the cabinets to be tried on, and their number; training draws with its own seeds."""
VALIDATION, N_VALIDATION = 10_001, 300
"""The same for those that choose the learning rate and draw the curve."""


def settings() -> dict[str, dict[str, Any]]:
    """By name: what stands in the middle, and whether the words say what to open."""
    return {
        "latents-16": {"middle": "latents", "n_latents": 16, "words": True},
        "latents-4": {"middle": "latents", "n_latents": 4, "words": True},
        "full": {"middle": "full", "words": True},
        "convolution": {"middle": "convolution", "words": True},
        "no-residual": {"middle": "no-residual", "n_latents": 16, "words": True},
        "no-words": {"middle": "latents", "n_latents": 16, "words": False},
    }


class Full(nn.Module):
    """In the place of `PerceiverIO`: every patch and word attends to every other in each layer.

    forward(inputs, queries): inputs (batch, patches + words, d_model); of the queries only their
    number counts, since they are the first inputs -> (batch, patches, d_model).
    """

    def __init__(self, d_model: int, *, n_layers: int = 4, n_heads: int = 4) -> None:
        super().__init__()
        shape = {"n_heads": n_heads, "n_layers": n_layers, "d_ff": 2 * d_model}
        config = TransformerConfig(1, d_model=d_model, positions="none", activation="gelu", **shape)
        self.encoder = Encoder(config)

    def forward(self, inputs: Tensor, queries: Tensor) -> Tensor:
        return self.encoder.encode(inputs)[:, : queries.shape[1]]


class Convolutions(nn.Module):
    """In the place of `PerceiverIO`: 3-D convolutions over the grid of patches, and no attention.

    Each block scales and shifts its channels by the mean of the words, then sees one patch further
    in every direction; four blocks see a grid of 4 patches a side. Shapes: as those of `Full`.
    """

    def __init__(self, d_model: int, *, side: int, n_blocks: int = 4, hidden: int = 28) -> None:
        super().__init__()
        self.side = side
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(n_blocks))
        self.steer = nn.ModuleList(nn.Linear(d_model, 2 * d_model) for _ in range(n_blocks))
        self.down = nn.ModuleList(nn.Linear(d_model, hidden) for _ in range(n_blocks))
        self.look = nn.ModuleList(
            nn.Conv3d(hidden, hidden, kernel_size=3, padding=1) for _ in range(n_blocks)
        )
        self.up = nn.ModuleList(nn.Linear(hidden, d_model) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(d_model)

    def forward(self, inputs: Tensor, queries: Tensor) -> Tensor:
        x, said = queries, inputs[:, queries.shape[1] :].mean(1, keepdim=True)
        blocks = (self.norms, self.steer, self.down, self.look, self.up)
        for norm, steer, down, look, up in zip(*blocks, strict=True):
            scale, shift = steer(said).chunk(2, dim=-1)  # (batch, 1, d_model) each
            y = F.gelu(down(norm(x) * (1 + scale) + shift))  # (batch, patches, hidden)
            grid = y.mT.unflatten(2, (self.side,) * 3)  # (batch, hidden, side, side, side)
            x = x + up(F.gelu(look(grid)).flatten(2).mT)
        return self.norm(x)


class Deaf(nn.Module):
    """A model that hears the same words whatever is said."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, voxels: Tensor, instructions: Tensor) -> Tensor:
        always = cabinets.instruction_ids(device=instructions.device)[:1]
        return self.model(voxels, always.expand(len(voxels), -1))


def model_of(setting: dict[str, Any]) -> nn.Module:
    """The model of a setting, untrained."""
    model = VoxelActor(n_latents=setting.get("n_latents", 1))
    d_model = model.embed.out_features
    if setting["middle"] == "full":
        model.perceiver = Full(d_model)
    elif setting["middle"] == "convolution":
        model.perceiver = Convolutions(d_model, side=model.size[0] // model.patch)
    elif setting["middle"] == "no-residual":
        model.perceiver.decoder.residual = False
    return model if setting["words"] else Deaf(model)


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: `drawer_score` on unseen cabinets, and the share of right voxels on the way."""
    unseen = cabinets.draw(8 if smoke else N_UNSEEN, seed=UNSEEN)
    validation = cabinets.draw(8 if smoke else N_VALIDATION, seed=VALIDATION)

    def trained(rate: float, steps: int) -> tuple[nn.Module, History]:
        torch.manual_seed(seed)
        model = model_of(setting)
        history = train(
            model,
            lambda step, generator: cabinets.draw(BATCH, seed=generator),
            drawer_loss,
            steps=steps,
            lr=rate,
            seed=seed,
            evaluate=lambda model: {
                "exact": drawer_score(model, validation).exact,
                "loss": drawer_loss(model, validation).item(),
            },
            every=2 if smoke else EVERY,
            progress=False,
        )
        return model.eval(), history

    tried = [trained(rate, 2 if smoke else TRIAL_STEPS)[1].evaluations[-1] for rate in RATES]
    losses = [evaluation["loss"] for evaluation in tried]
    rate = RATES[losses.index(min(losses))]
    model, history = trained(rate, 4 if smoke else STEPS)
    flops, _ = count_flops(model, unseen.voxels[:1], unseen.instructions[:1])
    return {
        **drawer_score(model, unseen)._asdict(),
        "steps": [e["step"] for e in history.evaluations],
        "exact_by_step": [e["exact"] for e in history.evaluations],
        "rate": rate,
        "losses_by_rate": losses,
        "test_cabinets": len(unseen.voxels),
        "training_seconds": history.seconds,
        "flops": float(flops),
        "parameters": float(sum(p.numel() for p in model.parameters())),
    }
