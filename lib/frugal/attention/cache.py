"""Keys and values that a decoder keeps between steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class KeyValueCache:
    """Keys and values of the positions decoded so far, in one layer.

    The buffers are allocated once for `capacity` positions, so that a step costs the same
    however many came before. `append` returns views of the filled part.
    """

    capacity: int
    length: int = 0
    k: Tensor | None = None
    v: Tensor | None = None

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k and v, (batch, heads, new, head_dim) each; return all keys and values so far."""
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise ValueError(
                f"the cache holds {self.capacity} positions and {end} are needed; "
                "give it a larger capacity."
            )
        if self.k is None or self.v is None:
            batch, heads, _, head_dim = k.shape
            self.k = k.new_zeros(batch, heads, self.capacity, head_dim)
            self.v = v.new_zeros(batch, heads, self.capacity, v.shape[-1])
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]
