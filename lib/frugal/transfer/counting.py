"""Parameters and operations of a row, counted on a model without memory.

The paper's "Ops" is not defined in its text. Its numbers follow from one definition: the products
(a multiplication and an addition are one) of a forward pass over 128 pairs of 512 source and 114
target tokens, in a framework where looking a row up in a table multiplies the whole table with a
one-hot vector, and where experts compute all the room they have. Chapter: the-modification-zoo.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from frugal.transfer.building import build, names, row
from frugal.transfer.config import Config
from frugal.transfer.frame import EncoderDecoder

BATCH, SOURCE, TARGET = 128, 512, 114
"""The paper's batch: 65,536 source tokens, of which span corruption makes targets of 114."""

PARAMETERS_WITHIN, OPERATIONS_WITHIN = 0.02, 0.05
"""How far a ratio to the vanilla model may be from the paper's, which prints three digits."""

aten = torch.ops.aten


def _looked_up(table: Any, ids: Any, *rest: Any, **options: Any) -> int:
    """A row of the table for each id, as a product with a one-hot vector, in FLOPs."""
    return 2 * math.prod(ids) * math.prod(table)


LOOKUPS = {
    aten.embedding: _looked_up,
    aten._embedding_bag: _looked_up,
    aten._embedding_bag_forward_only: _looked_up,
}


def parameters(model: nn.Module) -> int:
    """How many numbers a model learns; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def operations(
    model: EncoderDecoder, *, batch: int = BATCH, source: int = SOURCE, target: int = TARGET
) -> int:
    """Products of one forward pass with its loss, as the paper counts them (see the module).

    model: on the device "meta", so that nothing is computed. Raises ValueError for another.
    """
    device = next(model.parameters()).device
    if device.type != "meta":
        raise ValueError(f"model is on {device}; it must be made with device='meta'.")
    ids = torch.zeros(batch, source, dtype=torch.int64, device="meta")
    labels = torch.zeros(batch, target, dtype=torch.int64, device="meta")
    counter = FlopCounterMode(display=False, custom_mapping=LOOKUPS)
    counter.mod_tracker = nullcontext()  # counts by module are not used, and cost half of the time
    counter.mod_tracker.parents = frozenset({"Global"})
    with torch.no_grad(), _told_apart(model) as told, counter:
        model.loss(ids, labels, labels)
    return counter.get_total_flops() // 2 + sum(told)


@contextmanager
def _told_apart(model: nn.Module) -> Iterator[list[int]]:
    """What a module's `operations(x)` says instead of its forward pass, which cannot run without
    numbers: how many tokens an expert gets depends on them."""
    told: list[int] = []
    apart = [module for module in model.modules() if hasattr(module, "operations")]

    def instead(module: nn.Module, x: Tensor) -> Tensor:
        told.append(module.operations(x))
        return torch.empty_like(x)

    for module in apart:
        module.forward = lambda x, *rest, module=module, **options: instead(module, x)
    try:
        yield told
    finally:
        for module in apart:
            del module.forward


@dataclass(frozen=True)
class Count:
    """A row's counts at the paper's size, in millions and in 10¹² (the paper's "T"), and the
    paper's own; ratios are to the vanilla model of the same source."""

    name: str
    parameters: float
    operations: float
    paper_parameters: float
    paper_operations: float
    parameters_ratio: float
    operations_ratio: float
    paper_parameters_ratio: float
    paper_operations_ratio: float

    @property
    def parameters_deviation(self) -> float:
        """Our ratio over the paper's, minus 1."""
        return self.parameters_ratio / self.paper_parameters_ratio - 1

    @property
    def operations_deviation(self) -> float:
        return self.operations_ratio / self.paper_operations_ratio - 1

    @property
    def note(self) -> str:
        """Why a count differs, where it does; from the row."""
        found = row(self.name)
        return " ".join(part for part in (found.parameters_note, found.ops_note) if part)


@cache
def published() -> dict[str, dict[str, str]]:
    """The paper's table 1 by name, as printed (parameters in millions, ops in 10¹²)."""
    text = files("frugal.transfer").joinpath("narang.csv").read_text()
    return {entry["model"]: entry for entry in csv.DictReader(text.splitlines())}


def count(name: str, *, size: str | Config = "paper", repaired: bool = False) -> Count:
    """The counts of a row. Takes about a second, and no memory for its weights.

    A row that is not of the paper's table has NaN where the paper's numbers would be.
    """
    own = _counted(name, size, repaired)
    base = _counted(names()[0], size, False)
    vanilla = published()[names()[0]]
    theirs = published().get(name, {})
    paper = [float(theirs.get(key, "nan")) for key in ("params_M", "ops_T")]
    ratio = [paper[0] / float(vanilla["params_M"]), paper[1] / float(vanilla["ops_T"])]
    return Count(
        name,
        own[0] / 1e6,
        own[1] / 1e12,
        *paper,
        own[0] / base[0],
        own[1] / base[1],
        *ratio,
    )


@cache
def _counted(name: str, size: str | Config, repaired: bool) -> tuple[int, int]:
    model = build(name, size=size, repaired=repaired, device="meta")
    config = model.config
    length = min(SOURCE, config.max_length), min(TARGET, config.max_length)
    return parameters(model), operations(model, source=length[0], target=length[1])
