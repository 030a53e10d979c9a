"""A call for every public callable of `frugal.depth`; `tests.devices` says how."""

import torch
from torch import nn

from frugal import model
from frugal.depth import layerdrop, replay, reversible
from tests.devices import CONFIG, built, real, rows


def dropping() -> nn.Module:
    layers = [built(model.TransformerLayer, CONFIG, index) for index in range(3)]
    return layerdrop.LayerDrop(layers, 0.5)


def pruned(kept: tuple[int, ...]) -> torch.Tensor:
    stack = dropping()
    layerdrop.prune_layers(stack, kept)
    return stack(rows())


def inside() -> torch.Tensor:
    stack = dropping()
    with layerdrop.only_layers(stack, [0, 2]):
        return stack(rows())


CASES = {
    layerdrop.LayerDrop: lambda: dropping()(rows(), padding=real()),
    layerdrop.prune_layers: lambda: pruned((0, 2)),
    layerdrop.only_layers: inside,
    reversible.ReversibleStack: lambda: reversible.ReversibleStack(
        [built(model.TransformerLayer, CONFIG, 0)]
    )(rows(), padding=real()),
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    # They choose numbers: from numbers, or from losses that a model computes.
    layerdrop.stacks_of,
    layerdrop.every_other,
    layerdrop.search_layers,
    layerdrop.learn_layers,
    # How a reversible stack comes by what it did not keep.
    replay.Turn,
    replay.Replay,
    replay.Surroundings,
}
