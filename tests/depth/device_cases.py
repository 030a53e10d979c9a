"""A call for every public callable of `frugal.depth`; `tests.devices` says how."""

import torch

from frugal import model
from frugal.depth import replay, reversible
from frugal.depth.early_exit import calibration, consistency, encoder, naive, rules
from tests.devices import CONFIG, Place, built, ids, real, rows


def seen():
    """What three exits say of five examples."""
    options = {"device": Place.device}
    return encoder.Seen(torch.randn(5, 3, 4, **options), torch.randn(5, 3, 8, **options))


def labels():
    return torch.ones(5, dtype=torch.int64, device=Place.device)


CASES = {
    reversible.ReversibleStack: lambda: reversible.ReversibleStack(
        [built(model.TransformerLayer, CONFIG, 0)]
    )(rows(), padding=real()),
    encoder.ExitEncoder: lambda: (
        built(encoder.ExitEncoder, CONFIG, 4, mix=True)(ids(), real()).scores
    ),
    encoder.exit_loss: lambda: encoder.exit_loss(seen().scores, labels(), weighting="depth"),
    rules.Confidence: lambda: rules.Confidence(0.5)(*seen()[:1]),
    rules.Patience: lambda: rules.Patience(2)(*seen()[:1]),
    rules.exits_by: lambda: rules.exits_by(rules.Patience(1), seen()),
    consistency.Consistency: lambda: built(consistency.Consistency, 8, 4, 3).table(seen()),
    consistency.agreement: lambda: consistency.agreement(seen()),
    calibration.fit_temperatures: lambda: calibration.fit_temperatures(seen().scores, labels()),
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
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
}
