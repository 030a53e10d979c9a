"""A call for every public callable of `frugal.depth`; `tests.devices` says how."""

import torch
from torch import nn

from frugal import model
from frugal.depth import layerdrop, replay, reversible, universal
from frugal.depth.early_exit import calibration, consistency, encoder, naive, rules
from tests.devices import CONFIG, Place, built, ids, real, rows


def seen():
    """What three exits say of five examples."""
    options = {"device": Place.device}
    return encoder.Seen(torch.randn(5, 3, 4, **options), torch.randn(5, 3, 8, **options))


def labels():
    return torch.ones(5, dtype=torch.int64, device=Place.device)


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
    encoder.ExitEncoder: lambda: (
        built(encoder.ExitEncoder, CONFIG, 4, mix=True)(ids(), real()).scores
    ),
    encoder.exit_loss: lambda: encoder.exit_loss(seen().scores, labels(), weighting="depth"),
    rules.Confidence: lambda: rules.Confidence(0.5)(*seen()[:1]),
    rules.Patience: lambda: rules.Patience(2)(*seen()[:1]),
    encoder.exits_by: lambda: encoder.exits_by(rules.Patience(1), seen()),
    consistency.Consistency: lambda: built(consistency.Consistency, 8, 4, 3).table(seen()),
    consistency.agreement: lambda: consistency.agreement(seen()),
    calibration.fit_temperatures: lambda: calibration.fit_temperatures(seen().scores, labels()),
    # With halting it asks which tokens still run, which pretended tensors do not know.
    universal.UniversalTransformer: lambda: universal.UniversalTransformer(
        [built(model.TransformerLayer, CONFIG, 0)], n_steps=2, halting=False
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
    encoder.Seen,
    encoder.Left,
    # They count examples, or give a number of Python's.
    calibration.reliability,
    calibration.Reliability,
    calibration.conformal_threshold,
    naive.leave,
    naive.confident,
    naive.patient,
    universal.Pondering,
}
