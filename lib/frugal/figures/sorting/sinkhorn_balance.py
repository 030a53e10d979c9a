"""`SinkhornBalance`: blocks fetch blocks, with rows divided alone and with rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from frugal.attention.sinkhorn.balance import gumbel_noise, sinkhorn
from frugal.checks import whole_within, within
from frugal.show.interactive import Interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWS = 8


class SinkhornBalance(Interactive):
    """A square of scores as shares: rows divided by their sums, beside rows and columns in turn.

    scores: a square of 2 to 8 rows: what each query block (row) thinks of each block (column).
    iterations: 0 … 12, shown first; the slider also stops between rows and columns. temperature:
    0.1 … 3. pull: 0 … 3, what every row adds to its score of the first block. seed: of the noise,
    of which a button goes through eight draws. question, tries: what to ask, and steps of (words,
    what changes from the first state: iterations, temperature or pull).
    """

    module = "sinkhorn_balance.js"
    style = "sinkhorn_balance.css"

    def __init__(
        self,
        scores: Sequence[Sequence[float | int]],
        *,
        iterations: int = 8,
        temperature: float | int = 1.0,
        pull: float | int = 0.0,
        question: str = "What does it change to divide the columns, too?",
        tries: Sequence[tuple[str, Mapping[str, float | int]]] = (),
        seed: int = 0,
    ) -> None:
        rows = [[float(value) for value in row] for row in scores]
        if not 2 <= len(rows) <= 8 or any(len(row) != len(rows) for row in rows):
            raise ValueError(
                f"scores has rows of {[len(row) for row in rows]}; it must be a square of 2 to 8."
            )
        first = {"iterations": iterations, "temperature": temperature, "pull": pull}
        told = [
            {"words": words, "state": _state(**{**first, **changed})} for words, changed in tries
        ]
        generator = torch.Generator().manual_seed(seed)
        noises = gumbel_noise(torch.empty(DRAWS, len(rows), len(rows)), generator=generator)
        self._scores, self._first = torch.tensor(rows, dtype=torch.float64), first
        super().__init__(
            alt=self._description(),
            scores=rows,
            **_state(**first),
            noise=False,
            noises=[[[round(x, 3) for x in row] for row in draw] for draw in noises.tolist()],
            draw=0,
            question=question,
            tries=told,
        )

    def matrix(self, *, balanced: bool = True) -> torch.Tensor:
        """(blocks, blocks): the library's matrix of what is shown first."""
        scores = self._scores.clone()
        scores[:, 0] += self._first["pull"]
        iterations = self._first["iterations"]
        return sinkhorn(
            scores,
            n_iterations=iterations,
            temperature=self._first["temperature"],
            balanced=balanced or iterations == 0,
        )

    def _description(self) -> str:
        n = len(self._scores)
        parts = []
        for words, balanced in (("With rows divided alone", False), ("With columns too", True)):
            matrix = self.matrix(balanced=balanced)
            sums, chosen = matrix.sum(0), len(set(matrix.argmax(1).tolist()))
            parts.append(
                f"{words} a block is fetched {_range(sums)} times, and "
                f"{chosen} of {n} {'is' if chosen == 1 else 'are'} some row's first choice."
            )
        return (
            f"{n} query blocks and the {n} blocks that they fetch, twice: as threads and as a "
            f"matrix of shares, after {self._first['iterations']} Sinkhorn iterations at "
            f"temperature {self._first['temperature']:g}. {' '.join(parts)} The iterations, the "
            "temperature and how much all rows want the first block can be moved."
        )

    def picture(self) -> Figure:
        """Both matrices, with the sums of their columns below."""
        from matplotlib import pyplot as plt

        figure, both = plt.subplots(1, 2, figsize=(7.5, 3.7), layout="constrained")
        for axes, balanced, title in zip(
            both, (False, True), ("rows only", "rows and columns"), strict=True
        ):
            matrix = self.matrix(balanced=balanced)
            axes.imshow(matrix.numpy(), cmap="Blues", vmin=0, vmax=1)
            for i, row in enumerate(matrix.tolist()):
                for j, value in enumerate(row):
                    color = "white" if value > 0.55 else "black"
                    axes.text(
                        j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color
                    )
            places = range(len(matrix))
            sums = [f"{j + 1}\n{total:.2f}" for j, total in enumerate(matrix.sum(0).tolist())]
            axes.set_xticks(places, sums, fontsize=8)
            axes.set_yticks(places, [str(i + 1) for i in places], fontsize=8)
            axes.set(xlabel="fetched block, times fetched", ylabel="for query block")
            axes.set_title(title, fontsize=9)
            axes.grid(visible=False)
        return figure


def _range(values: torch.Tensor) -> str:
    return " to ".join(dict.fromkeys(f"{end:.2f}" for end in (values.min(), values.max())))


def _state(
    *, iterations: float | int, temperature: float | int, pull: float | int
) -> dict[str, Any]:
    whole_within(0, 12, iterations=iterations)
    within(0.1, 3, temperature=temperature)
    within(0, 3, pull=pull)
    return {"steps": 2 * int(iterations), "temperature": float(temperature), "pull": float(pull)}
