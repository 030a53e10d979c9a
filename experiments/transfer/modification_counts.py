"""What does each modification cost? The 52 rows of `frugal.transfer`, counted at the paper's size.

Parameters, and the products of a forward pass as the paper counts its "Ops", on models without
memory, so that nothing is trained: a minute or two for all. A setting is a row, and after each row
that was confounded in the original comes `NAME.repaired`, its intended form. It says what `paper`
prints for the row, as text, and for a confounded one what came in between. So a page can tell what
the table says without standing on the code of every row.
"""

from __future__ import annotations

import math
from typing import Any

from frugal import transfer
from frugal.transfer.counting import count, parameters, published

SMOKE = ("Vanilla Transformer", "Dynamic convolution.repaired", "Adaptive softmax.repaired")
"""Settings that a smoke run is content with: the tests of `frugal.transfer` count every row."""


def settings() -> dict[str, dict[str, Any]]:
    """Every row, and after each that was confounded its repaired form."""
    found = {}
    for name in transfer.names():
        row = transfer.row(name)
        told = {"row": name, "repaired": False, "confounded": row.confounded}
        found[name] = told | {"paper": published()[name]}
        if row.intended is not None:
            found[f"{name}.repaired"] = found[name] | {"repaired": True}
    return found


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """parameters in millions, operations in 10¹². Neither the seed nor a smoke run changes them.

    Not a number where the operations depend on the labels, as in an exact adaptive softmax.
    """
    name, repaired = setting["row"], setting["repaired"]
    try:
        found = count(name, repaired=repaired)
    except NotImplementedError:
        model = transfer.build(name, repaired=repaired, device="meta")
        return {"parameters": parameters(model) / 1e6, "operations": math.nan}
    return {"parameters": found.parameters, "operations": found.operations}
