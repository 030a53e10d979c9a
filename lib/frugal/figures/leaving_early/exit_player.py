"""`ExitPlayer`: a text climbs the layers until a rule lets it leave, and what that does to many.

ExitPlayer(
    [story.text for story in stories[:20]],
    seen.scores,                                # (stories, exits, classes), of all exits
    places,
    classes=journeys.PLACES,
    temperatures=fit_temperatures(...),
)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from frugal.checks import one_of, whole_within, within
from frugal.depth.early_exit import Confidence, Patience, Seen, exits_by
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RULES = ("confidence", "patience")
PARTS = 1e6
"""Confidences go to the page in such parts, rounded down, so that none reaches a threshold there
that it does not reach here."""


class ExitPlayer(Interactive):
    """Layers with the answer and confidence after each, the share of texts that leave at each exit,
    and accuracy over mean layers for every threshold and patience.

    texts: of the first rows of scores, to choose from. scores: of all exits, for as many texts as
    the charts shall count. labels: the right classes. temperatures: of each exit. rule: shown at
    first, "confidence" or "patience". lowest: where the axis of accuracy begins.
    """

    module = "exit_player.js"
    style = "exit_player.css"

    def __init__(
        self,
        texts: Sequence[str],
        scores: Float[Tensor, "rows exits classes"],
        labels: Int[Tensor, " rows"],
        *,
        classes: Sequence[str],
        temperatures: Float[Tensor, " exits"] | None = None,
        rule: str = "confidence",
        threshold: float = 0.9,
        patience: int = 1,
        cooled: bool = True,
        example: int = 0,
        climbed: int | None = None,
        lowest: float = 0.2,
    ) -> None:
        rows, exits, n_classes = scores.shape
        if not 1 <= len(texts) <= rows or n_classes != len(classes) or exits < 2:
            raise ValueError(
                f"scores has shape {tuple(scores.shape)}; it must have a row for each of "
                f"{len(texts)} texts, two exits or more, and {len(classes)} classes."
            )
        one_of(RULES, rule=rule)
        within(0.2, 1, threshold=threshold)
        whole_within(1, exits, patience=patience, climbed=exits if climbed is None else climbed)
        whole_within(0, len(texts) - 1, example=example)
        within(0, 0.95, lowest=lowest)
        self._scores = scores.detach().cpu().double()
        even = torch.ones(exits) if temperatures is None else temperatures.detach().cpu()
        self._temperatures = even.double()
        super().__init__(
            alt=(
                f"{exits} layers, one above the other, with the answer after each and how sure it "
                "is: a story climbs them until it is sure enough, or until its answer has been "
                "repeated. Beside them the share of stories that leave at each exit, and accuracy "
                "over the mean number of layers. The rule and its threshold can be moved."
            ),
            texts=list(texts),
            classes=list(classes),
            labels=labels.tolist(),
            answers=scores.argmax(-1).tolist(),
            raw=_sure(self._scores),
            calibrated=_sure(self._scores / self._temperatures[:, None]),
            rule=rule,
            threshold=float(threshold),
            patience=patience,
            cooled=bool(cooled),
            example=example,
            climbed=exits if climbed is None else climbed,
            lowest=lowest,
        )

    def exits(self) -> Tensor:
        """The exit of every text under the rule of the state, by the library."""
        shown = self.state
        even = torch.ones_like(self._temperatures)
        if shown["rule"] == "patience":
            rule = Patience(shown["patience"])
        else:
            rule = Confidence(shown["threshold"], self._temperatures if shown["cooled"] else even)
        return exits_by(rule, Seen(self._scores, self._scores))

    def outcome(self) -> tuple[float, float, list[float]]:
        """Accuracy, mean exit, and the share that leaves at each exit."""
        exits, shown = self.exits(), self.state
        taken = torch.tensor(shown["answers"]).gather(1, exits[:, None] - 1)[:, 0]
        right = (taken == torch.tensor(shown["labels"])).double().mean().item()
        shares = torch.bincount(exits - 1, minlength=self._scores.shape[1]) / len(exits)
        return right, exits.double().mean().item(), shares.tolist()

    def picture(self) -> Figure:
        """The chosen text's way up, and the share of texts that leave at each exit."""
        from matplotlib import pyplot as plt

        blue, orange, *_ = accents()
        shown, row = self.state, self.state["example"]
        right, layers, shares = self.outcome()
        exit_ = int(self.exits()[row])
        sure = shown["calibrated" if shown["cooled"] else "raw"][row]
        figure, (ladder, chart) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
        for layer, value in enumerate(sure, start=1):
            seen = layer <= exit_
            ladder.barh(layer, value if seen else 0, color=orange if layer == exit_ else blue)
            words = shown["classes"][shown["answers"][row][layer - 1]] if seen else "not computed"
            ladder.text(1.03, layer, words, va="center", color=light_color("ink"))
        if shown["rule"] == "confidence":
            ladder.axvline(shown["threshold"], color=orange, linewidth=1)
        ladder.set(xlim=(0, 1.5), xlabel="how sure", ylabel="layer", title="one story climbs")
        chart.bar(range(1, len(shares) + 1), shares, color=blue)
        title = f"{right:.1%} right with {layers:.2f} layers"
        chart.set(ylim=(0, 1), xlabel="exit", ylabel="share that leaves here", title=title)
        return figure


def _sure(scores: Tensor) -> list[list[float]]:
    """The largest probability of each row and exit, rounded down."""
    return ((scores.softmax(-1).amax(-1) * PARTS).floor() / PARTS).tolist()
