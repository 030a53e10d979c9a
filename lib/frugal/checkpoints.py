"""A training run on disk, from which it goes on as if it had never stopped.

What decides the next update is kept, and nothing else: weights and buffers, the optimizer's
moments, the place in the batches, and the state of every random generator at hand. The file is
written beside the old one and then takes its name, so that there is a whole one at any time.
`frugal.training.train` writes and reads it. Chapters: every one, in the section Learn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

File = str | os.PathLike[str]

FORMAT = 1
"""Of the file. It grows when a file of before cannot be read any more."""


def write(path: File, contents: Any) -> None:
    """`torch.save` under this name, all of it or nothing: a killed process leaves the old file.

    The folder is made where there is none. Beside the file stands, while it is written, one with a
    dot in front and `.part` behind its name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        torch.save(contents, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def read(path: File) -> dict[str, Any]:
    """What `write` wrote of a training run, on the CPU. Only tensors and plain values are read.

    Raises ValueError where there is no file, or another one.
    """
    if not Path(path).is_file():
        raise ValueError(f"resume is {str(path)!r}; it must be a file that save= wrote.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError, ValueError) as error:
        raise ValueError(
            f"resume is {str(path)!r}; it must be a file that save= wrote, and torch cannot read it"
            f" ({str(error).splitlines()[0] if str(error) else type(error).__name__})."
        ) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"resume is {str(path)!r}; it must be a file that save= wrote.")
    return found


def check_same(path: File, found: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """The run in the file was made with the arguments of now, or it could not go on exactly."""
    for name, value in now.items():
        if found.get(name) != value:
            raise ValueError(
                f"{name} is {value}; it must be {found.get(name)}, with which the run in "
                f"{str(path)!r} began."
            )


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: File) -> None:
    """`load_state_dict`, or one sentence about what does not fit."""
    own = model.state_dict()
    for name in [*own, *(other for other in weights if other not in own)]:
        if name not in weights or name not in own:
            whose = "the model has" if name in own else "the run has"
            raise ValueError(f"{whose} {name!r}; it must be the model that {str(path)!r} is of.")
        if not isinstance(own[name], Tensor):  # a module's own extra state
            continue
        if own[name].shape != weights[name].shape or own[name].dtype != weights[name].dtype:
            here, there = (f"{tuple(x.shape)} {x.dtype}" for x in (own[name], weights[name]))
            raise ValueError(f"{name} is {here}; it must be {there}, as in {str(path)!r}.")
    model.load_state_dict(weights)


class Supply:
    """Batches for a run: `next_one()` gives one, and `place()` says where to go on from.

    batches: an iterable, which starts again when it ends unless it is an iterator, or a callable
    (number of the batch, generator) -> batch. seed: of that generator.
    """

    def __init__(self, batches: Iterable[Any] | Callable[..., Any], seed: int) -> None:
        self.batches, self.generator = batches, torch.Generator().manual_seed(seed)
        self.own = getattr(batches, "generator", None)  # a data loader may have one
        self.given, self.in_this_round = 0, 0
        self.began: dict[str, Tensor] = {}
        self.running: Iterator[Any] | None = None

    def next_one(self) -> Any:
        """Raises ValueError when there is none left."""
        if callable(self.batches):
            batch = self.batches(self.given, self.generator)
            self.given += 1
            return batch
        if self.running is None:
            self._begin()
        nothing = object()
        batch = next(self.running, nothing)
        if batch is nothing and self.in_this_round and not isinstance(self.batches, Iterator):
            self._begin()
            batch = next(self.running, nothing)
        if batch is nothing:
            raise ValueError(
                f"batches ended after {self.given}; training needs one for every step: "
                "give a list, a data loader, or a callable (step, generator) -> batch."
            )
        self.given += 1
        self.in_this_round += 1
        return batch

    def _begin(self) -> None:
        """A round through the batches. A data loader shuffles by what the generators hold now."""
        self.began = self._states()
        self.in_this_round = 0
        self.running = iter(self.batches)

    def _states(self) -> dict[str, Tensor]:
        states = {"torch": torch.get_rng_state()}
        if isinstance(self.own, torch.Generator):
            states["loader"] = self.own.get_state()
        return states

    def _set(self, states: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(states["torch"])
        if isinstance(self.own, torch.Generator) and "loader" in states:
            self.own.set_state(states["loader"])

    def place(self) -> dict[str, Any]:
        """Where the next batch comes from."""
        return {
            "given": self.given,
            "in_this_round": self.in_this_round,
            "began": self.began,
            "now": self._states(),
            "generator": self.generator.get_state(),
        }

    def go_to(self, place: Mapping[str, Any]) -> None:
        """Go on from a place: batches of this round that were used are passed over.

        An iterator is taken for a new one. Torch's own generator is left as it was at the place.
        """
        self.generator.set_state(place["generator"])
        self.given = place["given"]
        if not callable(self.batches) and place["began"]:
            self._set(place["began"])
            self.given = 0
            for _ in range(place["in_this_round"]):
                self.next_one()
            self.given, self.began = place["given"], place["began"]
        self._set(place["now"])


def generators_of(model: nn.Module) -> dict[str, torch.Generator]:
    """The random generators that modules hold, by the module's name and the attribute's."""
    return {
        f"{name}.{attribute}".lstrip("."): value
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, torch.Generator)
    }


def random_state(model: nn.Module, device: torch.device) -> dict[str, Any]:
    """Of torch's generators for the CPU and for the device, and of those that modules hold."""
    state: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    state["modules"] = {name: one.get_state() for name, one in generators_of(model).items()}
    return state


def set_random_state(state: Mapping[str, Any], model: nn.Module, device: torch.device) -> None:
    """What `random_state` gave is so again."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    for name, one in generators_of(model).items():
        if name in state["modules"]:
            one.set_state(state["modules"][name])
