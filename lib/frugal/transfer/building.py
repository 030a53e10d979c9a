"""Make the model of a row. Chapter: the-modification-zoo."""

from __future__ import annotations

from typing import Any

import torch

from frugal.checks import one_of
from frugal.transfer.config import Config, check_read, near, sides
from frugal.transfer.frame import EncoderDecoder
from frugal.transfer.modification import Row
from frugal.transfer.sizes import SIZES
from frugal.transfer.table import ROWS


def names() -> tuple[str, ...]:
    """The rows of the table, in the paper's order."""
    return tuple(ROWS)


def row(name: str) -> Row:
    """A row by its name. Raises ValueError for one that there is not, with near matches."""
    if name not in ROWS:
        raise ValueError(f"name is {name!r}; {near(name, ROWS)}.")
    return ROWS[name]


def config_of(
    name: str, *, size: str | Config = "paper", repaired: bool = False, **options: Any
) -> Config:
    """The configuration that `build` makes a model from."""
    return _with_options(name, size, repaired, options)[0]


def build(
    name: str,
    *,
    size: str | Config = "paper",
    repaired: bool = False,
    device: str | torch.device | None = None,
    **options: Any,
) -> EncoderDecoder:
    """The encoder-decoder of a row of the table (`names`).

    size: "paper" (223M parameters for the vanilla model), "book" (0.5M), or a `Config`. repaired:
    in the form that was intended, where the published one was confounded; the other rows have one
    form. device: "meta" makes a model without memory, to be counted. options: more options of
    `Config`, for this model alone.

    Raises ValueError for a name or an option that there is not, with near matches, and for an
    option that nothing in the model reads, or that the row decides itself.
    """
    config, given = _with_options(name, size, repaired, options)
    parts = sides(config)
    with torch.device(torch.get_default_device() if device is None else device):
        model = EncoderDecoder(config, parts)
    check_read(given, parts, what=repr(name))
    return model


def _with_options(
    name: str, size: str | Config, repaired: bool, options: dict[str, Any]
) -> tuple[Config, dict[str, Any]]:
    """The configuration of a row, and the options in it that must be read."""
    if isinstance(size, str):
        one_of(SIZES, size=size)
        size = SIZES[size]
    change, asked = row(name), size.changed(options)
    own, before = (change.options(one, repaired=repaired) for one in (asked, size))
    for key in options.keys() & own.keys() - {"encoder", "decoder"}:
        follows = isinstance(own[key], int) and own[key] != before[key]
        if not follows and options[key] != own[key]:
            raise ValueError(f"{key} is given; it must be left out: {name!r} has one of its own.")
    given = {key: value for key, value in options.items() if key not in own} | own
    for side in ("encoder", "decoder"):
        if both := {**own.get(side, {}), **options.get(side, {})}:
            given[side] = both
    chosen = {key: given[key] for key in ("encoder", "decoder") if key in given}
    return asked.changed(own | chosen), given
