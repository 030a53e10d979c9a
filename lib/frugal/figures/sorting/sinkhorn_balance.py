"""`SinkhornBalance`: scores that become a soft permutation, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from frugal.attention.sinkhorn.balance import gumbel_noise, sinkhorn
from frugal.show.interactive import Interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWS = 8


class SinkhornBalance(Interactive):
    """A square of scores, divided by the sums of its rows and of its columns in turn.

    scores: a square of 2 to 8 rows: what each query block (row) thinks of each block (column).
    iterations: 0 … 12, shown first; the slider also stops between rows and columns. temperature:
    0.1 … 3. seed: of the noise, of which a button goes through eight draws.
    """

    module = "sinkhorn_balance.js"
    style = "sinkhorn_balance.css"

    def __init__(
        self,
        scores: Sequence[Sequence[float | int]],
        *,
        iterations: int = 0,
        temperature: float | int = 1.0,
        seed: int = 0,
    ) -> None:
        rows = [[float(value) for value in row] for row in scores]
        if not 2 <= len(rows) <= 8 or any(len(row) != len(rows) for row in rows):
            raise ValueError(
                f"scores has rows of {[len(row) for row in rows]}; it needs a square of 2 to 8."
            )
        if not 0 <= iterations <= 12:
            raise ValueError(f"iterations is {iterations}; it needs to be 0 … 12.")
        if not 0.1 <= temperature <= 3:
            raise ValueError(f"temperature is {temperature}; it needs to be 0.1 … 3.")
        generator = torch.Generator().manual_seed(seed)
        noises = gumbel_noise(torch.empty(DRAWS, len(rows), len(rows)), generator=generator)
        super().__init__(
            alt=(
                f"A matrix of {len(rows)} query blocks by {len(rows)} fetched blocks after "
                f"{iterations} Sinkhorn iterations at temperature {temperature:g}, with the sums "
                "of its rows and columns. More iterations bring the sums to one, a lower "
                "temperature brings each row to a single block, and noise changes which."
            ),
            scores=rows,
            steps=2 * iterations,
            temperature=float(temperature),
            noise=False,
            noises=[[[round(x, 3) for x in row] for row in draw] for draw in noises.tolist()],
            draw=0,
        )

    def matrix(self) -> torch.Tensor:
        """(blocks, blocks): the library's matrix of what is shown, after whole iterations."""
        scores = torch.tensor(self.state["scores"], dtype=torch.float64)
        return sinkhorn(
            scores,
            n_iterations=self.state["steps"] // 2,
            temperature=self.state["temperature"],
        )

    def picture(self) -> Figure:
        """The matrix as it stands, and after many iterations."""
        from matplotlib import pyplot as plt

        shown = self.matrix()
        scores = torch.tensor(self.state["scores"], dtype=torch.float64)
        after = sinkhorn(scores, n_iterations=50, temperature=self.state["temperature"])
        figure, both = plt.subplots(1, 2, figsize=(7, 3.4))
        words = (f"after {self.state['steps'] // 2} iterations", "after 50 iterations")
        for axes, matrix, title in zip(both, (shown, after), words, strict=True):
            axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
            for i, row in enumerate(matrix.tolist()):
                for j, value in enumerate(row):
                    color = "white" if value > 0.55 else "black"
                    axes.text(
                        j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color
                    )
            axes.set(xlabel="fetched from block", ylabel="for query block")
            axes.set_title(title, fontsize=9)
            axes.grid(visible=False)
        return figure
