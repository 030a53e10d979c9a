"""What a decoder keeps between steps: keys and values, all of them or those that may still be seen.

An attention says what it needs by a method `new_cache(capacity)`; one without the method needs all
keys and values. A window needs those of its width (`KeyValueCache` with `reach`), linear attention
a state of constant size (`frugal.attention.kernels.state`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

ROOM = 64
"""Positions that a rolling cache is longer than what it must keep, at least: its keys move to the
front when it is full, which then happens once in so many steps."""


@runtime_checkable
class State(Protocol):
    """What an attention remembers of the positions before, in place of their keys and values."""

    length: int

    def attend(
        self,
        attend: Callable[..., Tensor],
        q: Tensor,
        k: Tensor,
        v: Tensor,
        options: dict[str, Any],
    ) -> Tensor:
        """What `attend` finds for the new positions, whose keys and values are then remembered.

        q, k, v: (batch, heads, new, head_dim). options: of `attend`, for all positions so far.
        """
        ...


@dataclass
class KeyValueCache:
    """Keys and values of the positions decoded so far, in one layer.

    The buffers are allocated once for `capacity` positions, so that a step costs the same
    however many came before. `append` returns views of the filled part. reach: how many keys before
    its own a query can see, None for all; older ones are forgotten, and the buffers are no longer
    than that asks for.
    """

    capacity: int
    length: int = 0
    k: Tensor | None = None
    v: Tensor | None = None
    reach: int | None = None
    first: int = 0
    """The position of the oldest key in the buffers."""

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k and v, (batch, heads, new, head_dim) each; return all keys and values so far.

        With a `reach` they are those that the new queries can see, the last of all.
        """
        end = self.length + k.shape[2]
        check_room(self.capacity, end)
        if self.reach is not None:
            return self._roll(k, v, self.reach, end)
        if self.k is None or self.v is None:
            self._allocate(k, v, self.capacity)
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]

    def for_keys(self, keys: int, options: dict[str, Any]) -> dict[str, Any]:
        """The options for the last `keys` positions alone, when older ones are forgotten."""
        if keys == self.length:
            return options
        return options | {
            name: options[name][..., -keys:]
            for name in ("mask", "padding", "bias")
            if options.get(name) is not None and options[name].shape[-1] == self.length
        }

    def _allocate(self, k: Tensor, v: Tensor, size: int) -> None:
        batch, heads, _, head_dim = k.shape
        self.k = k.new_zeros(batch, heads, size, head_dim)
        self.v = v.new_zeros(batch, heads, size, v.shape[-1])

    def _roll(self, k: Tensor, v: Tensor, reach: int, end: int) -> tuple[Tensor, Tensor]:
        """`append` to buffers of a few more positions than `reach`."""
        start, self.length = self.length, end
        if self.k is None or self.v is None:
            self._allocate(k, v, min(self.capacity, reach + max(reach, ROOM)))
        size, oldest = self.k.shape[2], max(0, start - reach)
        used, kept = start - self.first, start - oldest
        if used + k.shape[2] > size:  # only what can still be seen moves to the front
            seen = slice(used - kept, used)
            old_k, old_v = self.k[:, :, seen].clone(), self.v[:, :, seen].clone()
            if kept + k.shape[2] > size:  # a long text at once: its end alone is kept
                k, v = (torch.cat(pair, 2) for pair in ((old_k, k), (old_v, v)))
                left = min(reach, k.shape[2])
                last = slice(k.shape[2] - left, None)
                self.k[:, :, :left], self.v[:, :, :left] = k[:, :, last], v[:, :, last]
                self.first = end - left
                return k, v
            self.k[:, :, :kept], self.v[:, :, :kept] = old_k, old_v
            self.first, used = oldest, kept
        new = slice(used, used + k.shape[2])
        self.k[:, :, new], self.v[:, :, new] = k, v
        seen = slice(used - kept, new.stop)
        return self.k[:, :, seen], self.v[:, :, seen]


@dataclass
class OwnCache:
    """A cache that becomes, at its first use, what the attention of its layer asks for."""

    capacity: int
    kept: KeyValueCache | State | None = None

    @property
    def length(self) -> int:
        """How many positions it has taken in."""
        return 0 if self.kept is None else self.kept.length

    def made_for(self, attend: Callable[..., Tensor], *, whole: bool) -> KeyValueCache | State:
        """What it has become. whole: all keys and values, even where `attend` needs less."""
        if self.kept is None:
            make = None if whole else getattr(attend, "new_cache", None)
            self.kept = (make or KeyValueCache)(self.capacity)
        return self.kept


Cache = KeyValueCache | OwnCache | State


def check_room(capacity: int, end: int) -> None:
    """One sentence when `end` positions are more than a cache is for."""
    if end > capacity:
        raise ValueError(
            f"the cache holds {capacity} positions and {end} are needed; give it a larger capacity."
        )
