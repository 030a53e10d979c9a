"""`RankExplorer`: a matrix of attention and its best approximation of the rank a reader chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frugal.checks import one_of, whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST, LONGEST = 4, 96


class RankExplorer(Interactive):
    """Square matrices of weights, rebuilt from their largest singular values.

    matrices: by name, 1 to 4 of them, (N, N) each, N from 2 to 96. Beside the matrix stand its best
    approximation of rank r and what that leaves out, below them its singular values and the error
    over r of all matrices. matrix, rank: shown first.
    question, tries: what to ask, and steps of (words, matrix, rank) that a button goes to.
    """

    module = "rank_explorer.js"
    style = "rank_explorer.css"

    def __init__(
        self,
        matrices: Mapping[str, Tensor],
        *,
        matrix: str | None = None,
        rank: int = 1,
        question: str = "How large must the rank be?",
        tries: Sequence[tuple[str, str, int]] = (),
    ) -> None:
        if not 1 <= len(matrices) <= MOST:
            raise ValueError(f"matrices has {len(matrices)} entries; it must have 1 to {MOST}.")
        for name, weights in matrices.items():
            shape = tuple(weights.shape)
            if len(shape) != 2 or shape[0] != shape[1] or not 2 <= shape[0] <= LONGEST:
                raise ValueError(
                    f"matrices[{name!r}] has shape {shape}; it must be (N, N) with N from 2 to "
                    f"{LONGEST}."
                )
        matrix = next(iter(matrices)) if matrix is None else matrix
        one_of(matrices, matrix=matrix)
        whole_within(0, len(matrices[matrix]), rank=rank)
        for _, name, at in tries:
            one_of(matrices, matrix=name)
            whole_within(0, len(matrices[name]), rank=at)
        rounded = {
            name: [[round(w, 4) for w in row] for row in weights.double().tolist()]
            for name, weights in matrices.items()
        }
        self._found = {
            name: torch.linalg.svd(torch.tensor(rows, dtype=torch.float64))
            for name, rows in rounded.items()
        }
        told = "; ".join(
            f"{name} {self.errors(name)[round(rank / len(rounded[matrix]) * len(rows))]:.0%}"
            for name, rows in rounded.items()
        )
        super().__init__(
            alt=(
                f"A matrix of attention weights, its best approximation of rank {rank} of "
                f"{len(rounded[matrix])}, and what that leaves out. Below, the singular values of "
                f"the matrix, and the error over the rank. The error at this share of the rank: "
                f"{told}. The matrix and the rank can be chosen."
            ),
            matrices=[{"name": name, "rows": rows} for name, rows in rounded.items()],
            matrix=matrix,
            rank=rank,
            question=question,
            tries=[{"words": words, "matrix": name, "rank": at} for words, name, at in tries],
        )

    def errors(self, matrix: str) -> list[float]:
        """For r = 0 … N, how much the best approximation of rank r leaves out, as a share."""
        squares = self._found[matrix].S.square()
        left = torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)])
        return (left / left[0]).sqrt().tolist()

    def best(self, matrix: str, rank: int) -> Tensor:
        """The best approximation of that rank."""
        u, s, vt = self._found[matrix]
        return (u[:, :rank] * s[:rank]) @ vt[:rank]

    def picture(self) -> Figure:
        """The matrix, what is rebuilt and what is missing; singular values and errors below."""
        from matplotlib import pyplot as plt

        name, rank = self.state["matrix"], self.state["rank"]
        rows = next(one["rows"] for one in self.state["matrices"] if one["name"] == name)
        weights = torch.tensor(rows, dtype=torch.float64)
        best = self.best(name, rank)
        figure, places = plt.subplot_mosaic(
            [["a", "a", "b", "b", "c", "c"], ["s", "s", "s", "e", "e", "e"]], figsize=(8, 5.2)
        )
        shown = {
            "a": (weights, name),
            "b": (best, f"rank {rank} of {len(rows)}"),
            "c": ((weights - best).abs(), "what is missing"),
        }
        for place, (values, title) in shown.items():
            shade = (values / weights.max()).clamp(0, 1).sqrt()
            places[place].imshow(shade.numpy(), cmap="Blues", vmin=0, vmax=1, interpolation="none")
            places[place].set(xticks=[], yticks=[], title=title)
        blue = accents()[0]
        values = self._found[name].S.tolist()
        places["s"].bar(
            range(1, len(values) + 1),
            values,
            color=[blue if n < rank else "none" for n in range(len(values))],
            edgecolor=blue,
            linewidth=0.5,
        )
        places["s"].set(xlabel="singular values, the largest first")
        for one in self.state["matrices"]:
            curve = self.errors(one["name"])
            shares = [n / (len(curve) - 1) for n in range(len(curve))]
            places["e"].plot(shares, curve, label=one["name"])
        places["e"].axvline(rank / len(rows), color="gray", linestyle=":")
        places["e"].set(xlabel="rank r, as a share of N", ylabel="error", ylim=(0, 1.05))
        places["e"].legend(fontsize=8)
        figure.tight_layout()
        return figure
