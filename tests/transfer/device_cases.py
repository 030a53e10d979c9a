"""A call for the public callables of `frugal.transfer`; `tests.devices` says how.

What stands in `rows` is not named here: tests/transfer/test_devices.py runs every row's model.
"""

import pkgutil
from importlib import import_module

from frugal.transfer import (
    building,
    config,
    counting,
    frame,
    modification,
    parts,
    relative_bias,
    rows,
)
from frugal.transfer import vocabulary as tables
from tests.devices import built, ids, real
from tests.devices import rows as vectors

SMALL = building.SIZES["book"].changed({"vocab_size": 40, "n_layers": 2, "max_length": 8})
CLUSTERS = [tables.Cluster(5, 8), tables.Cluster(6, 4)]
CONTEXT = parts.Context(causal=False)


def model(name: str = "Vanilla Transformer") -> frame.EncoderDecoder:
    return built(building.build, name, size=SMALL)


CASES = {
    building.build: lambda: model()(ids(), ids(), real(), real()),
    frame.EncoderDecoder: lambda: model().loss(ids(), ids(), ids(), real(), real()),
    relative_bias.buckets: lambda: relative_bias.buckets(ids(), bidirectional=True),
    relative_bias.RelativeBias: lambda: built(relative_bias.RelativeBias, 2, bidirectional=True)(5),
    parts.Heads: lambda: built(parts.Heads, 8, 3, 5)(vectors()),
    tables.FactorizedEmbedding: lambda: built(tables.FactorizedEmbedding, 11, 8, 3)(ids()),
    tables.AdaptiveEmbedding: lambda: built(tables.AdaptiveEmbedding, 8, CLUSTERS)(ids()),
    tables.AdaptiveSoftmax: lambda: built(tables.AdaptiveSoftmax, 8, CLUSTERS, share=0.5).losses(
        vectors(), ids()
    ),
    tables.MixtureOfSoftmaxes: lambda: built(tables.MixtureOfSoftmaxes, 11, 8, 3).logits(vectors()),
}


def _public(module: object) -> set[object]:
    return {
        value
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
    }


ROWS = [
    import_module(one.name) for one in pkgutil.walk_packages(rows.__path__, f"{rows.__name__}.")
]
COUNTED = [import_module(f"frugal.transfer.{name}") for name in ("agreement", "census")]  # of numpy
COMMAND = import_module("frugal.transfer.__main__")
NO_CASE = (
    # They make no tensors, or every model above goes through them.
    set().union(
        *map(_public, [*COUNTED, building, config, counting, frame, modification, parts, COMMAND])
    )
    | {tables.Cluster}
    # Every row's model is run by test_devices.py.
    | set().union(*map(_public, ROWS))
) - set(CASES)
