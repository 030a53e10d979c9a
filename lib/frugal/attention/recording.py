"""Keep the attention weights of a model's layers while it runs.

Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass
class Recorder:
    """What `recording` collects: for each attention module, the weights of its latest call."""

    weights: dict[str, Tensor] = field(default_factory=dict)
    thread: int = field(default_factory=threading.get_ident, repr=False)


_changes = threading.Lock()
"""Held while recorders come and go: two threads may record the same module."""


class Recorded(nn.Module):
    """A module that hands its attention weights to every `recording` it is inside of."""

    recorders: tuple[tuple[Recorder, str], ...] = ()

    def record(self, weights: Callable[[], Tensor]) -> None:
        """Ask for the weights, (batch, heads, queries, keys), only if somebody records.

        Where threads record, each gets the weights of its own calls.
        """
        if self.recorders:
            here = threading.get_ident()
            own = [entry for entry in self.recorders if entry[0].thread == here]
            found = weights().detach()
            for recorder, name in own or self.recorders:
                recorder.weights[name] = found

    def __getstate__(self) -> dict[str, Any]:
        """A copy is of the module, and not of who records it."""
        return {name: value for name, value in vars(self).items() if name != "recorders"}


@contextmanager
def recording(model: nn.Module) -> Iterator[Recorder]:
    """Keep the attention weights of every attention module (`Recorded`) in `model` while inside.

    Yields a `Recorder`; after a forward pass, `recorder.weights[name]` holds the weights
    (batch, heads, queries, keys) of the module of that name. The output does not change; memory
    grows by the size of the weights. Threads that record the same model get what each of them runs.
    Where an attention draws random numbers at every call
    (`SinkhornAttention` in training, `LshAttention` without a seed), the weights are of another
    draw than the output.
    """
    recorder = Recorder()
    mine = [(m, (recorder, n)) for n, m in model.named_modules() if isinstance(m, Recorded)]
    with _changes:
        for module, entry in mine:
            module.recorders = (*module.recorders, entry)
    try:
        yield recorder
    finally:
        with _changes:
            for module, entry in mine:  # a recording around this one goes on
                module.recorders = tuple(other for other in module.recorders if other is not entry)
