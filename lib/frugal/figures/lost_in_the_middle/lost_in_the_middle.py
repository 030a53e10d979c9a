"""`LostInTheMiddle`: move the answer through the context, in published curves and in ours.

The published curves are those of `frugal.data.lost_in_the_middle`; ours come from a recorded
experiment, a `TrainedCurves` for each way to train::

    ours = [TrainedCurves.from_seeds("decoder, …", steps, accuracy, asked=weights), …]
    LostInTheMiddle(ours)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frugal.data import lost_in_the_middle as published
from frugal.results import mean_interval
from frugal.show.interactive import Interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EVERY_PLACE = "standard (all 20 positions)"
_GROUPS = (
    ("20 documents, all 20 places", published.QUESTIONS, _EVERY_PLACE, 20),
    ("10 documents", published.QUESTIONS, "standard", 10),
    ("20 documents", published.QUESTIONS, "standard", 20),
    ("30 documents", published.QUESTIONS, "standard", 30),
    (
        "20 documents, question before and after",
        published.QUESTIONS,
        "query-aware contextualization",
        20,
    ),
    ("20 documents, base and instruction-tuned", published.QUESTIONS, "base or instruct", 20),
    ("10 documents, encoder-decoder", published.QUESTIONS, "encoder-decoder", 10),
    ("20 documents, encoder-decoder", published.QUESTIONS, "encoder-decoder", 20),
    ("30 documents, encoder-decoder", published.QUESTIONS, "encoder-decoder", 30),
    ("20 documents, random distractors", published.QUESTIONS, "random distractors", 20),
    ("20 documents, shuffled", published.QUESTIONS, "randomised distractor order", 20),
    ("20 documents, unambiguous questions", published.QUESTIONS, "unambiguous-question subset", 20),
    ("20 documents, 500 questions", published.QUESTIONS, "500-example subset incl. GPT-4", 20),
    (
        "20 documents, released code",
        published.QUESTIONS,
        "authors released-code rerun",
        20,
    ),
    ("75 key-value pairs", published.PAIRS, "standard", 75),
    ("140 key-value pairs", published.PAIRS, "standard", 140),
    ("300 key-value pairs", published.PAIRS, "standard", 300),
    ("140 key-value pairs, released code", published.PAIRS, "authors released-code rerun", 140),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedCurves:
    """One way to train, seen at several moments: accuracy for each place, as shares.

    label: what the reader chooses. steps: updates made at each moment, rising. mean, low, high:
    (moments, places). asked: for each place, the share of training questions that asked for it.
    """

    label: str
    steps: Sequence[int]
    mean: ArrayLike
    low: ArrayLike
    high: ArrayLike
    asked: ArrayLike

    def __post_init__(self) -> None:
        shapes = {name: np.shape(getattr(self, name)) for name in ("mean", "low", "high")}
        if len(set(shapes.values())) > 1 or len(shapes["mean"]) != 2:
            raise ValueError(f"mean, low and high have {shapes}; all need (moments, places).")
        moments, places = shapes["mean"]
        if len(self.steps) != moments or list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"steps is {list(self.steps)}; it needs {moments} rising numbers.")
        if np.shape(self.asked) != (places,):
            raise ValueError(f"asked has shape {np.shape(self.asked)}; it needs ({places},).")

    @classmethod
    def from_seeds(
        cls, label: str, steps: Sequence[int], accuracy: ArrayLike, *, asked: ArrayLike
    ) -> TrainedCurves:
        """From accuracy (seeds, moments, places): the mean with its 95 % interval."""
        mean, low, high = mean_interval(accuracy)
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
        return cls(label=label, steps=steps, mean=mean, low=low, high=high, asked=asked)

    def state(self) -> dict[str, Any]:
        """What the page gets: percent with one decimal."""
        parts = {name: _percent(getattr(self, name)) for name in ("mean", "low", "high", "asked")}
        return {"label": self.label, "steps": list(self.steps), **parts}


class LostInTheMiddle(Interactive):
    """Drag the document that holds the answer; the paper's accuracy and ours, side by side.

    ours: the ways to train a reader can choose, all with as many places. curve, moment, gold: what
    is selected at first, counted from 0; moment is an index into the steps of all curves together.
    group: label of the published setting shown first. model: None takes the group's first.
    """

    module = "lost_in_the_middle.js"
    style = "lost_in_the_middle.css"

    def __init__(
        self,
        ours: Sequence[TrainedCurves],
        *,
        curve: int = 0,
        moment: int | None = None,
        gold: int | None = None,
        group: str = _GROUPS[0][0],
        model: str | None = None,
        alt: str | None = None,
    ) -> None:
        if not ours:
            raise ValueError("ours is empty; it needs one TrainedCurves or more.")
        places = np.shape(ours[0].mean)[1]
        if any(np.shape(one.mean)[1] != places for one in ours):
            raise ValueError("ours has curves with different numbers of places; all need the same.")
        if not 0 <= curve < len(ours):
            raise ValueError(f"curve is {curve}; it needs to be 0 … {len(ours) - 1}.")
        steps = sorted({step for one in ours for step in one.steps})
        moment = len(steps) // 2 if moment is None else moment
        gold = places // 2 if gold is None else gold
        if not 0 <= moment < len(steps):
            raise ValueError(f"moment is {moment}; it needs to be 0 … {len(steps) - 1}.")
        if not 0 <= gold < places:
            raise ValueError(f"gold is {gold}; it needs to be 0 … {places - 1}.")
        groups = published_groups()
        chosen = next((one for one in groups if one["label"] == group), None)
        if chosen is None:
            known = ", ".join(repr(one["label"]) for one in groups)
            raise ValueError(f"group is {group!r}; it needs to be one of {known}.")
        models = [one["model"] for one in chosen["curves"]]
        model = models[0] if model is None else model
        if model not in models:
            raise ValueError(f"model is {model!r}; {group!r} has {', '.join(models)}.")
        self.published = chosen["curves"][models.index(model)]
        self.trained, self.step = ours[curve], steps[moment]
        names = {one["model"] for group in groups for one in group["curves"]}
        super().__init__(
            alt=alt or self._description(),
            groups=groups,
            limits={name: published.limits(name) for name in sorted(names)},
            group=group,
            model=model,
            standard=False,
            ours=[one.state() for one in ours],
            steps=steps,
            curve=curve,
            moment=moment,
            gold=gold,
        )

    def _description(self) -> str:
        theirs = self.published["accuracy"]
        mean = self._shown()
        n = len(mean)
        return (
            "Accuracy against the place of the answer in the context, twice. Published, "
            f"{self.published['model']}: {theirs[0]:g} % when it comes first, {min(theirs):g} % at "
            f"worst, {theirs[-1]:g} % when it comes last. Ours, {self.trained.label}, after "
            f"{self.step} updates: {mean[0]:.0%} first, {mean[n // 2]:.0%} in the middle, "
            f"{mean[-1]:.0%} last. Dragging the answer, or choosing another model, setting or "
            "moment of training, changes both."
        )

    def _moment(self) -> int:
        return max(0, sum(step <= self.step for step in self.trained.steps) - 1)

    def _shown(self) -> NDArray:
        return np.asarray(self.trained.mean)[self._moment()]

    def picture(self) -> Figure:
        """The two curves selected at first."""
        from matplotlib import pyplot as plt

        figure, (left, right) = plt.subplots(
            1, 2, figsize=(8.4, 3.2), sharey=True, layout="constrained"
        )
        left.plot(self.published["positions"], self.published["accuracy"], "o-", color="#0068a8")
        for name, value in published.limits(self.published["model"]).items():
            left.axhline(value, color="#55606e", linestyle="--", linewidth=1)
            left.annotate(name.replace("_", " "), (1, value + 1), color="#55606e", fontsize=8)
        left.set(ylim=(0, 100), xlabel="place of the document with the answer")
        left.set_ylabel("accuracy, %")
        left.set_title(f"published: {self.published['model']}", loc="left", fontsize=9)
        moment = self._moment()
        low, high = (100 * np.asarray(one)[moment] for one in (self.trained.low, self.trained.high))
        places = np.arange(1, len(low) + 1)
        right.fill_between(places, low, high, color="#b34700", alpha=0.2, linewidth=0)
        right.plot(places, 100 * self._shown(), color="#b34700")
        right.set(xlabel="place of the pair asked for")
        right.set_title(f"ours, {self.step} updates: {self.trained.label}", loc="left", fontsize=9)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        return figure


def published_groups() -> list[dict[str, Any]]:
    """The settings of the paper a reader can choose, each with a curve for each model.

    A setting is ``{label, noun, documents, curves}``; a curve is
    ``{model, positions, accuracy, source}``, and ``standard`` where the paper has the plain
    setting of the same model and length beside it.
    """
    records = published.records()

    def of(task: str, setting: str, documents: int) -> list[dict[str, Any]]:
        return [
            {name: one[name] for name in ("model", "positions", "accuracy", "source")}
            for one in records
            if (one["task"], one["setting"], one["documents"]) == (task, setting, documents)
        ]

    groups = []
    for label, task, setting, documents in _GROUPS:
        plain = {one["model"]: one for one in of(task, "standard", documents)}
        if setting == "base or instruct":
            curves = of(task, "base model, no instruction tuning", documents)
            curves += [plain["MPT-30B-Instruct"], *of(task, "Llama-2 family", documents)]
        else:
            curves = of(task, setting, documents)
        for one in curves:
            if setting not in ("standard", "base or instruct") and one["model"] in plain:
                one["standard"] = plain[one["model"]]
        noun = "document" if task == published.QUESTIONS else "pair"
        groups.append({"label": label, "noun": noun, "documents": documents, "curves": curves})
    return groups


def _percent(values: ArrayLike) -> list[Any]:
    return (100 * np.asarray(values, dtype=float)).round(1).tolist()
