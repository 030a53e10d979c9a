"""What runs a second time, in the backward pass, because the first time kept too little.

A checkpoint does that, and so does a reversible stack. Torch's own generators are put back for it,
so that dropout drops the same; a generator that a module was given goes on, unless who runs the
module again puts it back, too.

Chapters: hashing, kernels.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

_here = threading.local()


def in_backward_pass() -> bool:
    """Whether autograd is at work in this thread, so that what runs now has run before.

    Torch has no public way to ask; its own checkpointing asks like this. A graph that is compiled
    is of the first pass: it makes the replays by itself.
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


@contextmanager
def generators_put_back(states: Mapping[torch.Generator, Tensor]) -> Iterator[None]:
    """Inside, generators stand where these states say; afterwards where they stood before."""
    now = {generator: generator.get_state() for generator in states}
    around = getattr(_here, "put_back", frozenset())
    _here.put_back = around | set(states)
    try:
        for generator, state in states.items():
            generator.set_state(state)
        yield
    finally:
        _here.put_back = around
        for generator, state in now.items():
            generator.set_state(state)


def check_draws_the_same(generator: torch.Generator | None, what: str) -> None:
    """ValueError where a generator would draw `what` again in the backward pass, and differently.

    The gradient would be of another function than the one that ran, and nobody would see it.
    """
    if generator is None or not in_backward_pass():
        return
    if generator not in getattr(_here, "put_back", ()):
        raise ValueError(
            f"generator is given, and a checkpoint that runs the pass again would draw other {what}"
            "; inside of a checkpoint it must be None."
        )
