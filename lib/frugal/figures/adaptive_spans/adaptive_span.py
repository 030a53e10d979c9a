"""`AdaptiveSpanFigure`: a head whose span and ramp move, and the spans of a model in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from frugal.attention.span import AdaptiveSpan
from frugal.checks import at_least, one_of, whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class SpanRun:
    """The spans of one training run.

    label: a few words for its button. steps: updates made at each checkpoint. spans: tokens, by
    checkpoint, layer and head; every run of a figure has the same steps.
    """

    label: str
    steps: Sequence[int]
    spans: Sequence[Sequence[Sequence[float]]]

    def __post_init__(self) -> None:
        if not self.steps or len(self.steps) != len(self.spans):
            raise ValueError(
                f"spans has {len(self.spans)} checkpoints and steps {len(self.steps)}; "
                "they must be as many, and one or more."
            )


class AdaptiveSpanFigure(Interactive):
    """Two views: one head's soft mask and attention; the spans by layer and head over training.

    scores: what a head would attend to without a span, one score for each distance 0, 1, ...
    runs: by name, training runs to choose from; without any the second view is left out.
    max_span, model_ramp: of the trained model. span, ramp, run, checkpoint: shown at first.
    """

    module = "adaptive_span.js"
    style = "adaptive_span.css"

    def __init__(
        self,
        scores: Sequence[float | int],
        *,
        runs: Mapping[str, SpanRun] | None = None,
        max_span: int = 128,
        model_ramp: float | int = 16,
        span: int = 24,
        ramp: int = 16,
        run: str | None = None,
        checkpoint: int | None = None,
    ) -> None:
        runs = {} if runs is None else dict(runs)
        if len(scores) < 2:
            raise ValueError(f"scores has {len(scores)} numbers; it must have two or more.")
        at_least(1, max_span=max_span)
        whole_within(0, len(scores), span=span)
        whole_within(1, 48, ramp=ramp)
        if len({tuple(one.steps) for one in runs.values()}) > 1:
            raise ValueError("runs has different steps; they must be the same, for one slider.")
        name = next(iter(runs), "") if run is None else run
        if runs:
            one_of(runs, run=name)
        last = len(runs[name].steps) - 1 if runs else 0
        chosen = last if checkpoint is None else checkpoint
        whole_within(0, last, checkpoint=chosen)
        alt = (
            f"A soft mask that is 1 up to a span of {span} tokens and falls to 0 over a ramp of "
            f"{ramp}, and the attention it leaves of {len(scores)} keys. Moving the span and the "
            "ramp moves both."
        )
        if runs:
            alt += (
                " Below, bars for the span of each head by layer in a trained model; a slider "
                "goes through its training."
            )
        super().__init__(
            alt=alt,
            scores=[float(score) for score in scores],
            span=span,
            ramp=ramp,
            runs={
                key: {
                    "label": one.label,
                    "steps": list(one.steps),
                    "spans": [
                        [[round(float(z), 1) for z in heads] for heads in layers]
                        for layers in one.spans
                    ],
                }
                for key, one in runs.items()
            },
            max_span=max_span,
            model_ramp=model_ramp,
            run=name,
            checkpoint=chosen,
        )

    def picture(self) -> Figure:
        """Mask and attention of the head, and the last checkpoint of every run."""
        from matplotlib import pyplot as plt

        blue, orange, _, _, _, gray = accents()
        runs = self.state["runs"]
        figure, all_axes = plt.subplots(
            1 + math.ceil(len(runs) / 2), 2, figsize=(7, 2.4 + len(runs))
        )
        scores = torch.tensor(self.state["scores"])
        attend = AdaptiveSpan(1, len(scores), self.state["ramp"], start=self.state["span"])
        distance = torch.arange(len(scores))
        mask = attend.soft_mask(distance)[0].detach()
        weights = mask * (scores - scores.max()).exp()
        first, second = all_axes.flat[:2]
        first.plot(distance, mask, color=orange)
        first.set_title("soft mask over distance", fontsize=8)
        second.bar(distance, weights / weights.sum(), color=blue)
        second.plot(distance, scores.softmax(0), color=gray, linewidth=1)
        second.set_title("attention with and without it", fontsize=8)
        for axes in all_axes.flat[2 + len(runs) :]:
            axes.set_axis_off()
        for axes, run in zip(all_axes.flat[2:], runs.values(), strict=False):
            layers = run["spans"][self.state["checkpoint"]]
            for layer, heads in enumerate(layers):
                places = [layer + 1 + 0.18 * (head - 1.5) for head in range(len(heads))]
                axes.bar(places, heads, width=0.15, color=blue)
            axes.set(ylim=(0, self.state["max_span"]))
            axes.set_title(f"{run['label']}: span of each head by layer", fontsize=8)
        for axes in all_axes.flat:
            axes.tick_params(labelsize=7)
        return figure
