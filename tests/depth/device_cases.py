"""A call for every public callable of `frugal.depth`; `tests.devices` says how."""

from frugal import model
from frugal.depth import replay, reversible, universal
from tests.devices import CONFIG, built, real, rows

CASES = {
    reversible.ReversibleStack: lambda: reversible.ReversibleStack(
        [built(model.TransformerLayer, CONFIG, 0)]
    )(rows(), padding=real()),
    # With halting it asks which tokens still run, which pretended tensors do not know.
    universal.UniversalTransformer: lambda: universal.UniversalTransformer(
        [built(model.TransformerLayer, CONFIG, 0)], n_steps=2, halting=False
    )(rows(), padding=real()),
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    # How a reversible stack comes by what it did not keep.
    replay.Turn,
    replay.Replay,
    replay.Surroundings,
    universal.Pondering,
}
