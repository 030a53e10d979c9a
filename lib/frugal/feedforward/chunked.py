"""A position-wise network on a few positions at a time, so that its wide hidden layer stays small.

Source: kitaev2020reformer, section 3. Chapter: hashing.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, cat, is_grad_enabled, nn
from torch.utils.checkpoint import checkpoint

from frugal.checks import at_least


class ChunkedFeedForward(nn.Module):
    """`network` on chunks of `size` positions, one after the other: same output, same gradients.

    network: takes (batch, length, width) and treats every position alike. While gradients are
    needed, a chunk's hidden layer is not kept but computed again in the backward pass.

    Memory: one hidden layer of `size` positions at a time, beside input and output. Cost: that of
    the network forward; backward, one more forward. Dropout draws the same numbers again.
    """

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        at_least(1, size=size)
        self.network, self.size = network, size

    def forward(self, x: Float[Tensor, "batch length width"]) -> Tensor:
        """(batch, length, width) to what the network makes of it, its positions in order.

        Raises ValueError for a tensor of other axes, in which positions would not be the second.
        """
        if x.ndim != 3:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; it must have three axes: (batch, length, width)."
            )
        if x.shape[1] <= self.size:
            return self.network(x)
        pieces = x.split(self.size, dim=1)  # each (batch, size, width), the last maybe shorter
        if not is_grad_enabled():
            return cat([self.network(piece) for piece in pieces], dim=1)
        return cat([checkpoint(self.network, p, use_reentrant=False) for p in pieces], dim=1)
