"""`EntmaxExplorer`: scores that the reader drags, and the weights of entmax with any α."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from frugal.attention.entmax import entmax
from frugal.checks import whole_within, within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIGHEST = 3


class EntmaxExplorer(Interactive):
    """The scores of one query, the weights that entmax makes of them, and their gradient.

    scores: of 2 to 12 keys, each from -3 to 3. alpha: 1 (softmax) … 2 (sparsemax), shown first.
    chosen: the key, from 0, whose score the gradient is for.
    """

    module = "entmax_explorer.js"
    style = "entmax_explorer.css"

    def __init__(
        self, scores: Sequence[float | int], *, alpha: float | int = 1.5, chosen: int = 0
    ) -> None:
        scores = [float(score) for score in scores]
        if not 2 <= len(scores) <= 12:
            raise ValueError(f"scores has {len(scores)} numbers; it must have 2 to 12.")
        if outside := [score for score in scores if not -HIGHEST <= score <= HIGHEST]:
            raise ValueError(f"scores has {outside[0]}; it must lie from -{HIGHEST} to {HIGHEST}.")
        within(1, 2, alpha=alpha)
        whole_within(0, len(scores) - 1, chosen=chosen)
        super().__init__(
            alt=(
                f"The scores of {len(scores)} keys, and below them the weights that entmax gives "
                f"with α = {alpha:g}, beside those of softmax, and how each weight answers to the "
                f"score of key {chosen + 1}. Scores below a threshold get no weight and no "
                "gradient; the threshold rises with α."
            ),
            scores=scores,
            alpha=float(alpha),
            chosen=chosen,
        )

    def weights(self) -> torch.Tensor:
        """The library's weights of the state, in float64."""
        scores = torch.tensor(self.state["scores"], dtype=torch.float64)
        alpha = self.state["alpha"]
        return scores.softmax(-1) if alpha == 1 else entmax(scores, alpha)

    def picture(self) -> Figure:
        """The scores, and the weights of entmax beside those of softmax."""
        from matplotlib import pyplot as plt

        scores = self.state["scores"]
        dense = torch.tensor(scores).softmax(-1).tolist()
        keys = list(range(1, len(scores) + 1))
        blue, orange = accents()[:2]
        figure, (above, below) = plt.subplots(2, 1, figsize=(6, 4.2), sharex=True)
        above.stem(keys, scores, bottom=-HIGHEST, basefmt=" ")
        above.set(ylabel="score", ylim=(-HIGHEST, HIGHEST + 0.3))
        below.bar(
            keys, self.weights().tolist(), color=blue, label=f"entmax, α = {self.state['alpha']:g}"
        )
        below.bar(keys, dense, facecolor="none", edgecolor=orange, label="softmax")
        below.set(xlabel="key", ylabel="weight", xticks=keys)
        below.legend(fontsize=8)
        return figure
