"""`KeyReader`: a query in two halves, and the pairs of half-keys that it reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frugal.checks import whole_within
from frugal.feedforward.product_keys import best_pairs
from frugal.show.interactive import Interactive
from frugal.show.theme import light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LENGTH = 3.0
"""Of each half of the query."""
Halves = Sequence[Sequence[Sequence[float]]]


def half_keys(n: int = 8, seed: int = 0) -> list[list[list[float]]]:
    """Two times n keys in the plane, around the circle with some unrest, 0.7 to 1 long."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.stack([torch.randperm(n, generator=generator) for _ in range(2)])
    unrest, lengths = torch.rand(2, 2, n, generator=generator)
    angles = 2 * math.pi * (places + 0.6 * unrest) / n
    keys = (0.7 + 0.3 * lengths)[..., None] * torch.stack([angles.cos(), angles.sin()], -1)
    return [[[round(x, 3) for x in key] for key in half] for half in keys.tolist()]


class KeyReader(Interactive):
    """The scores of two sets of half-keys, the pairs that are added up, and the k that are read.

    first, second: where the halves of the query point, in whole degrees, 0 … 359. k: pairs read, 1
    … the number of half-keys. keys: two lists of 4 to 8 vectors of two numbers, drawn by chance
    where None. by_score: whether rows and columns are in the order of their scores.
    """

    module = "key_reader.js"
    style = "key_reader.css"

    def __init__(
        self,
        first: int = 40,
        second: int = 200,
        *,
        k: int = 4,
        keys: Halves | None = None,
        by_score: bool = True,
    ) -> None:
        keys = half_keys() if keys is None else keys
        if not isinstance(keys, Sequence) or not all(isinstance(half, Sequence) for half in keys):
            raise ValueError(f"keys is {keys!r}; it must have two lists of points.")
        n = len(keys[0]) if keys else 0
        if len(keys) != 2 or len(keys[1]) != n or not 4 <= n <= 8:
            raise ValueError(
                f"keys has lists of {[len(half) for half in keys]}; it must have two of 4 to 8."
            )
        whole_within(0, 359, first=first, second=second)
        whole_within(1, n, k=k)
        super().__init__(
            alt=(
                f"Two dials with {n} half-keys each and half of a query that turns among them, "
                f"and a square of all {n * n} pairs. Only the pairs whose ranks have a product "
                f"of at most {k} are added up, and the {k} largest sums are read, with softmax "
                "weights. Turning a half of the query changes which."
            ),
            first=first,
            second=second,
            k=k,
            half_keys=[[[float(x) for x in key] for key in half] for half in keys],
            length=LENGTH,
            sorted=bool(by_score),
        )

    def scores(self) -> tuple[Tensor, Tensor]:
        """Of the first half-keys and of the second, (n) each, in float64."""
        keys = torch.tensor(self.state["half_keys"], dtype=torch.float64)
        angles = torch.tensor([self.state["first"], self.state["second"]], dtype=torch.float64)
        turns = angles.deg2rad()
        query = self.state["length"] * torch.stack([turns.cos(), turns.sin()], -1)
        one, other = (keys * query[:, None]).sum(-1)
        return one, other

    def read(self) -> dict[tuple[int, int], float]:
        """The library's pairs, counted from 1, and the weight of each."""
        one, other = self.scores()
        sums, numbers = best_pairs(one, other, self.state["k"])
        n = len(one)
        pairs = [(number // n + 1, number % n + 1) for number in numbers.tolist()]
        return dict(zip(pairs, sums.softmax(-1).tolist(), strict=True))

    def picture(self) -> Figure:
        """The square of all sums with what is read, in the order of the scores."""
        from matplotlib import pyplot as plt

        one, other = self.scores()
        rows, columns = (scores.argsort(descending=True) for scores in (one, other))
        k, found = self.state["k"], self.read()
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        sums = one[rows][:, None] + other[columns][None]
        axes.imshow(sums.numpy(), cmap="Blues", alpha=0.5)
        for i, row in enumerate(rows.tolist()):
            for j, column in enumerate(columns.tolist()):
                weight = found.get((row + 1, column + 1))
                word = "" if (i + 1) * (j + 1) > k else "·"
                word = word if weight is None else f"{100 * weight:.0f} %"
                axes.text(
                    j, i, word, ha="center", va="center", fontsize=8, color=light_color("ink")
                )
        places = range(len(one))
        axes.set_xticks(places, [str(1 + j) for j in columns.tolist()])
        axes.set_yticks(places, [str(1 + i) for i in rows.tolist()])
        axes.set(xlabel="second half-key, best first", ylabel="first half-key, best first")
        axes.set_title(f"the {k} largest sums are read", fontsize=9)
        axes.grid(visible=False)
        return figure
