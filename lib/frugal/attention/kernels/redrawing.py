"""Random numbers that are drawn anew while training, and the same ones when a pass is replayed.

A layer whose activations are not stored runs a second time in the backward pass: under
`torch.utils.checkpoint`, in a reversible stack. Torch's generators are put back for that. Drawing
anew must give the numbers of the first time then, and must not count as another pass.

Chapter: kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frugal.checks import at_least
from frugal.replays import in_backward_pass
from frugal.telling import told

REMEMBERED = 256
"""Passes that may wait for their backward pass; a replay of an earlier one takes today's vectors.
Most of them share their vectors, so this is memory for a few."""


class Redrawn(nn.Module):
    """A buffer `projection` that `draw` makes, and makes anew at every `redraw_every`-th pass.

    Passes are counted in training only, in the buffer `passes`; None keeps the first draw. A pass
    takes torch's random numbers: at every pass the vectors, or, where several passes share them,
    one number by which a replay is known and which seeds the vectors when it is time.
    """

    def __init__(self, drawn: Tensor, redraw_every: int | None) -> None:
        super().__init__()
        if redraw_every is not None:
            at_least(1, redraw_every=redraw_every)
        self.redraw_every = redraw_every
        self.register_buffer("projection", drawn)
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self._drawn_for: dict[int, Tensor] = {}  # by the number of the pass

    def extra_repr(self) -> str:
        return told(self, "redraw_every", projection=tuple(self.projection.shape))

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """New vectors of the same shape, dtype and place."""
        raise NotImplementedError

    @torch.compiler.disable
    def redraw(self, generator: torch.Generator | None = None) -> None:
        """Draw all random vectors anew."""
        # what inference mode makes could not be trained with afterwards
        with torch.inference_mode(False), torch.no_grad():
            self.projection = self.draw(generator)

    def vectors(self) -> Tensor:
        """The vectors of this pass, which is counted if it is one of training and no replay."""
        if not self.training or self.redraw_every is None:
            return self.projection
        return self._of_every_pass() if self.redraw_every == 1 else self._of_many_passes()

    def _of_every_pass(self) -> Tensor:
        if torch.compiler.is_compiling():  # a replay is made by the graph, with its random numbers
            with torch.no_grad():
                drawn = self.draw()
            self.passes += 1
            self.projection = drawn
            return drawn
        if in_backward_pass():  # from the same random numbers as the first time
            with torch.no_grad():
                return self.draw()
        self.passes += 1
        self.redraw()
        return self.projection

    @torch.compiler.disable
    def _of_many_passes(self) -> Tensor:
        number = int(torch.randint(2**62, ()))
        if in_backward_pass():
            return self._drawn_for.get(number, self.projection)
        self.passes += 1
        if self.passes % self.redraw_every == 0:
            self.redraw(torch.Generator(self.projection.device).manual_seed(number))
        self._drawn_for[number] = self.projection
        if len(self._drawn_for) > REMEMBERED:
            del self._drawn_for[next(iter(self._drawn_for))]
        return self.projection
