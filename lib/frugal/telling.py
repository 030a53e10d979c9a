"""What a module says of itself when it is printed: the numbers that it was made with."""

from __future__ import annotations

from torch import nn


def told(module: nn.Module, *names: str, **values: object) -> str:
    """`n_heads=4, window=32` from the module's attributes and from other values, for `extra_repr`.

    What is None is left out, and modules are, which print themselves below. A function is told by
    its name.
    """
    found = {name: getattr(module, name) for name in names} | values
    return ", ".join(
        f"{name}={getattr(value, '__name__', None) or repr(value)}"
        for name, value in found.items()
        if value is not None and not isinstance(value, nn.Module)
    )
