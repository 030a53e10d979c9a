"""Compute again, in the backward pass, what the forward pass did not keep.

The graph of the forward pass is built as always, so that every tensor in it gets its gradient. Only
what autograd would *keep* for the backward pass is dropped: for each kept tensor there is a note,
which turn and which of its tensors. When the backward pass asks for one, its turn runs again from
the streams behind it, and the streams before it follow by subtraction.

Source: gomez2017reversible, section 3.2.
Chapter: hashing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from frugal.checkpoints import generators_of
from frugal.checks import autocast_kind
from frugal.replays import generators_put_back

Note = tuple[int, int]
"""The number of a turn, and of one of the tensors that autograd wanted to keep of it."""


@dataclass(frozen=True)
class Turn:
    """What is added to one stream as a function of the other, and the module that computes it."""

    module: nn.Module
    branch: Callable[[Tensor], Tensor]


class Replay:
    """Turns that ran, and what is known of them: the streams behind the last one, `ends`.

    Turn t adds to the stream `total` what its branch makes of the stream `source`, and they change
    places: (total, source) -> (source, total + branch(source)).
    """

    ends: tuple[Tensor, Tensor]

    def __init__(self) -> None:
        self.turns: list[tuple[Turn, Surroundings, bool]] = []
        self.weights: dict[Tensor, int] = {}  # and how often each was changed in place
        self.at = -1  # the turn whose tensors are at hand in `made`
        self.streams: tuple[Tensor, Tensor]
        self.made: list[Tensor] = []

    def run(self, turn: Turn, source: Tensor) -> Tensor:
        """The turn's branch, with notes in place of the tensors that autograd keeps."""
        number, kept = len(self.turns), 0

        def note(tensor: Tensor) -> Note:
            nonlocal kept
            kept += 1
            return number, kept - 1

        around = Surroundings(turn.module, source.device)
        with saved_tensors_hooks(note, self.recall):
            found = turn.branch(source)
        around.close()
        self.turns.append((turn, around, source.requires_grad))
        self.weights |= {weight: weight._version for weight in turn.module.parameters()}
        return found

    def recall(self, note: Note) -> Tensor:
        """The tensor behind a note. Backward passes come from the last turn to the first."""
        turn, number = note
        if self.at == -1 or turn > self.at:  # a first backward pass, or another one
            self.at, self.streams = len(self.turns), self.ends
        while turn < self.at:
            self.back()
        return self.made[number]

    def back(self) -> None:
        """Run the turn before this one again, and go to where it began."""
        if any(weight._version != version for weight, version in self.weights.items()):
            raise RuntimeError(
                "a weight was changed in place between forward and backward pass; a reversible "
                "stack needs it as it was."
            )
        self.made = []
        turn, around, differentiable = self.turns[self.at - 1]
        source, total = self.streams
        with (
            around.restored(),
            torch.enable_grad(),
            saved_tensors_hooks(lambda tensor: self.made.append(tensor.detach()), _unused),
        ):
            found = turn.branch(source.detach().requires_grad_(differentiable))
        self.streams = total - found.detach(), source
        self.at -= 1


def _unused(note: None) -> Tensor:
    raise AssertionError("the graph of a replayed turn has no backward pass")


class Surroundings:
    """What a branch depends on beside its input: random numbers, buffers, autocast.

    The random numbers are torch's own, and those of generators that modules of the branch hold.

    Made before the branch runs and closed after it; what has not changed in between is forgotten.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self.cuda = [device] if device.type == "cuda" else []
        self.random: list[Tensor] | None = self.random_state()
        held = generators_of(module).values()
        self.generators = {generator: generator.get_state() for generator in held}
        self.buffers = [
            (owner, name, buffer, _version(buffer), buffer.clone())
            for owner in module.modules()
            for name, buffer in owner._buffers.items()
            if buffer is not None
        ]
        kind = autocast_kind(device)
        self.autocast: dict[str, Any] = {
            "device_type": kind,
            "enabled": torch.is_autocast_enabled(kind),
            "dtype": torch.get_autocast_dtype(kind),
        }

    def random_state(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(one) for one in self.cuda)]

    def close(self) -> None:
        if all(map(torch.equal, self.random, self.random_state())):
            self.random = None
        self.generators = {
            generator: state
            for generator, state in self.generators.items()
            if not torch.equal(state, generator.get_state())
        }
        self.buffers = [
            (owner, name, buffer, version, copy)
            for owner, name, buffer, version, copy in self.buffers
            if owner._buffers[name] is not buffer or _version(buffer) != version
        ]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Everything as it was before the branch, and afterwards as it is now."""
        with ExitStack() as stack:
            stack.enter_context(torch.autocast(**self.autocast))
            if self.random is not None:
                stack.enter_context(torch.random.fork_rng(devices=self.cuda))
                torch.set_rng_state(self.random[0])
                for device, state in zip(self.cuda, self.random[1:], strict=True):
                    torch.cuda.set_rng_state(state, device)
            stack.enter_context(generators_put_back(self.generators))
            for owner, name, _, _, copy in self.buffers:
                stack.callback(owner._buffers.__setitem__, name, owner._buffers[name])
                owner._buffers[name] = copy.clone()
            yield


def _version(buffer: Tensor) -> int:
    """How often it was changed in place; tensors of inference mode do not count."""
    return 0 if buffer.is_inference() else buffer._version
