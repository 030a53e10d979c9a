"""A small Perceiver-Actor: it sees voxels, is told what to open, and names the voxel to grasp.

Patches of voxels and the words of the instruction are one sequence; a few latents read it, think,
and are asked by each patch what its voxels are worth. Each patch is added to its answer, so that
details finer than the latents can hold go around them; in the published model, whose decoder adds
nothing, a skip connection at full resolution carries them.

Source: shridhar2022peract (translation only: no rotation, gripper or collision). Chapter: acting.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugal.attention.recording import recording
from frugal.checks import at_least
from frugal.data.cabinets import CHANNELS, VOCABULARY, CabinetBatch
from frugal.embeddings import TokenEmbedding
from frugal.positions import LearnedPositions
from frugal.tokens.latents import PerceiverIO
from frugal.tokens.patches import voxel_patches, voxels_from_patches


class VoxelActor(nn.Module):
    """Scores for every voxel of a grid, given what is seen and what is said.

    side, patch: of the cube and of its patches, in voxels; patch must divide side. d_model: width
    of tokens and latents. n_latents, n_layers, n_heads: of the `PerceiverIO` in the middle.
    max_words: the longest instruction.

    forward(voxels, instructions): voxels (batch, channels, side, side, side), instructions (batch,
    words) -> scores (batch, side³), as `CabinetBatch.targets` counts voxels.

    Words have positions, which the published model left out by mistake: its instruction was a bag
    of words. Cost: linear in the number of patches.
    """

    def __init__(
        self,
        *,
        side: int = 16,
        patch: int = 4,
        channels: int = CHANNELS,
        vocab_size: int = len(VOCABULARY),
        d_model: int = 64,
        n_latents: int = 16,
        n_layers: int = 2,
        n_heads: int = 4,
        max_words: int = 8,
    ) -> None:
        super().__init__()
        at_least(1, side=side, patch=patch, channels=channels, d_model=d_model, max_words=max_words)
        if side % patch:
            raise ValueError(f"side is {side}; it must be a positive multiple of {patch=}.")
        self.size, self.patch, self.channels = (side, side, side), patch, channels
        self.embed = nn.Linear(channels * patch**3, d_model)
        self.place = LearnedPositions((side // patch) ** 3, d_model)
        self.words = TokenEmbedding(vocab_size, d_model)
        self.word_place = LearnedPositions(max_words, d_model)
        self.perceiver = PerceiverIO(
            d_model,
            d_model,
            n_latents,
            n_layers=n_layers,
            n_heads=n_heads,
            n_cross_heads=n_heads,
            widening=2,
        )
        self.score = nn.Linear(d_model, patch**3)

    def forward(
        self,
        voxels: Float[Tensor, "batch channels height depth width"],
        instructions: Int[Tensor, "batch words"],
    ) -> Float[Tensor, "batch voxels"]:
        if voxels.ndim != 5 or tuple(voxels.shape[1:]) != (self.channels, *self.size):
            raise ValueError(
                f"voxels has shape {tuple(voxels.shape)}; it must be "
                f"(batch, {', '.join(map(str, (self.channels, *self.size)))})."
            )
        seen = self.place(self.embed(voxel_patches(voxels, patch=self.patch)))
        said = self.word_place(self.words(instructions))
        answers = self.perceiver(torch.cat([seen, said], dim=1), seen)
        scores = self.score(answers)  # (batch, patches, patch³)
        return voxels_from_patches(scores, patch=self.patch, size=self.size).flatten(1)


class LatentGaze(NamedTuple):
    """Where the latents look: attention to the patches and to the words; together they sum to 1.

    patches: (batch, latents, side / patch, side / patch, side / patch). words: (batch, latents,
    words). Both are means over the heads.
    """

    patches: Float[Tensor, "batch latents height depth width"]
    words: Float[Tensor, "batch latents words"]


@torch.no_grad()
def latent_gaze(
    model: VoxelActor,
    voxels: Float[Tensor, "batch channels height depth width"],
    instructions: Int[Tensor, "batch words"],
) -> LatentGaze:
    """The weights with which each latent reads the patches and the words."""
    with recording(model) as recorder:
        model(voxels, instructions)
    weights = recorder.weights["perceiver.encoder.attention"].mean(1)  # (batch, latents, inputs)
    grid = [side // model.patch for side in model.size]
    words = instructions.shape[1]
    return LatentGaze(weights[..., :-words].unflatten(-1, grid), weights[..., -words:])


def drawer_loss(model: nn.Module, batch: CabinetBatch) -> Tensor:
    """Cross-entropy over all voxels of the grid, as `frugal.training.train` takes it."""
    return F.cross_entropy(model(batch.voxels, batch.instructions), batch.targets)


class DrawerScore(NamedTuple):
    """Shares of cabinets, each with one instruction.

    exact: the best voxel is the middle of the handle that was asked for.
    handle: it is the middle of the handle of any drawer.
    wrong_exact: told to open another drawer, the best voxel is still the first drawer's.
    wrong_followed: told to open another drawer, the best voxel is that other one's.
    """

    exact: float
    handle: float
    wrong_exact: float
    wrong_followed: float


@torch.no_grad()
def drawer_score(model: nn.Module, batch: CabinetBatch) -> DrawerScore:
    """How often the model names the right voxel; and when the instruction is exchanged for another.

    The exchange (top for middle, middle for bottom, bottom for top) is the control: a model that
    does not listen scores the same with the wrong words, one that listens goes where they send it.
    """
    other = (batch.drawers + 1) % 3
    best = model(batch.voxels, batch.instructions).argmax(-1)
    misled = model(batch.voxels, batch.asking(other).instructions).argmax(-1)
    handles = torch.stack(
        [batch.target_of(torch.full_like(other, drawer)) for drawer in range(3)], dim=1
    )

    def share(hits: Tensor) -> float:
        return hits.double().mean().item()

    return DrawerScore(
        exact=share(best == batch.targets),
        handle=share((best[:, None] == handles).any(1)),
        wrong_exact=share(misled == batch.targets),
        wrong_followed=share(misled == batch.target_of(other)),
    )
