"""`LostInTheMiddle`: which readers lose the middle, at every recorded moment of their training.

Ours come from a recorded experiment, a `TrainedCurves` for each way to train; the published curves
are those of `frugal.data.lost_in_the_middle`::

    ours = [TrainedCurves.from_seeds("decoder", "RoPE", "anywhere", steps, accuracy, asked=p), …]
    LostInTheMiddle(ours)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from frugal.checks import one_of, whole_within
from frugal.data import lost_in_the_middle as published
from frugal.results import mean_interval
from frugal.show.interactive import Interactive
from frugal.show.theme import accents
from frugal.tasks.retriever import dip

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


U_AT = 0.10
"""A curve is a U if its first and its last fifth are both this far above its middle third."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedCurves:
    """One way to train, seen at several moments: accuracy for each place, as shares.

    architecture, positions, asks: of the reader, of its position code, and where training asks.
    steps: updates made at each moment, rising. mean, low, high: (moments, places). asked: for each
    place, the share of training questions that asked for it.
    """

    architecture: str
    positions: str
    asks: str
    steps: Sequence[int]
    mean: ArrayLike
    low: ArrayLike
    high: ArrayLike
    asked: ArrayLike

    def __post_init__(self) -> None:
        shapes = {name: np.shape(getattr(self, name)) for name in ("mean", "low", "high")}
        if len(set(shapes.values())) > 1 or len(shapes["mean"]) != 2:
            raise ValueError(f"mean, low and high have {shapes}; all must be (moments, places).")
        moments, places = shapes["mean"]
        if len(self.steps) != moments or list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"steps is {list(self.steps)}; it must be {moments} rising numbers.")
        if np.shape(self.asked) != (places,):
            raise ValueError(f"asked has shape {np.shape(self.asked)}; it must be ({places},).")

    @classmethod
    def from_seeds(
        cls,
        architecture: str,
        positions: str,
        asks: str,
        steps: Sequence[int],
        accuracy: ArrayLike,
        *,
        asked: ArrayLike,
    ) -> TrainedCurves:
        """From accuracy (seeds, moments, places): the mean with its 95 % interval."""
        mean, low, high = mean_interval(accuracy)
        return cls(
            architecture=architecture,
            positions=positions,
            asks=asks,
            steps=steps,
            mean=mean,
            low=np.clip(low, 0, 1),
            high=np.clip(high, 0, 1),
            asked=asked,
        )

    def at(self, updates: int) -> NDArray:
        """The mean curve at the last recorded moment that is not after these updates."""
        moment = max(0, sum(step <= updates for step in self.steps) - 1)
        return np.asarray(self.mean, dtype=float)[moment]

    def state(self) -> dict[str, Any]:
        """What the page gets: percent, with one decimal where a number is told."""
        names = {"architecture": self.architecture, "positions": self.positions, "asks": self.asks}
        parts = {name: _percent(getattr(self, name)) for name in ("mean", "asked")}
        band = {name: _percent(getattr(self, name), 0) for name in ("low", "high")}
        return {**names, "steps": list(self.steps), **parts, **band}


class LostInTheMiddle(Interactive):
    """A panel for each position code and each way to ask; below them, the paper's curves.

    On a narrow page one way to ask is seen at a time, or the paper's curves.

    ours: at most one TrainedCurves of an architecture for each position code and way to ask, all
    with as many places. architecture, updates, gold: shown first; updates is one of the
    architecture's recorded moments, by default the one with the deepest dips; gold is the place of
    the answer, counted from 0. group: label of the published setting shown first. model: None takes
    the group's first. question, tries: what to ask, and steps of (words, architecture, updates).
    """

    module = "lost_in_the_middle.js"
    style = "lost_in_the_middle.css"

    def __init__(
        self,
        ours: Sequence[TrainedCurves],
        *,
        architecture: str | None = None,
        updates: int | None = None,
        gold: int | None = None,
        group: str = _GROUPS[0][0],
        model: str | None = None,
        question: str = "Which readers lose the middle, and for how long?",
        tries: Sequence[tuple[str, str, int]] = (),
    ) -> None:
        if not ours:
            raise ValueError("ours is empty; it must have one TrainedCurves or more.")
        places = np.shape(ours[0].mean)[1]
        if any(np.shape(one.mean)[1] != places for one in ours):
            raise ValueError("ours has different numbers of places; they must be the same.")
        self.ours = list(ours)
        names = list(dict.fromkeys(one.architecture for one in ours))
        architecture = names[0] if architecture is None else architecture
        updates = self._deepest(architecture) if updates is None else updates
        gold = places // 2 if gold is None else gold
        for name, moment in [(architecture, updates), *(one[1:] for one in tries)]:
            one_of(names, architecture=name)
            one_of(self._moments(name), updates=moment)
        whole_within(0, places - 1, gold=gold)
        groups = published_groups()
        one_of([one["label"] for one in groups], group=group)
        chosen = next(one for one in groups if one["label"] == group)
        models = [one["model"] for one in chosen["curves"]]
        model = models[0] if model is None else model
        one_of(models, model=model)
        self.published = chosen["curves"][models.index(model)]
        self.shown, self.updates = (
            [one for one in ours if one.architecture == architecture],
            updates,
        )
        steps = sorted({step for one in ours for step in one.steps})
        known = {one["model"] for group in groups for one in group["curves"]}
        super().__init__(
            alt=self._description(),
            groups=groups,
            limits={name: published.limits(name) for name in sorted(known)},
            group=group,
            model=model,
            ours=[one.state() for one in ours],
            u_at=100 * U_AT,
            steps=steps,
            architecture=architecture,
            moment=steps.index(updates),
            gold=gold,
            part=0,
            question=question,
            tries=[
                {"words": words, "architecture": name, "moment": steps.index(moment)}
                for words, name, moment in tries
            ],
        )

    def _of(self, architecture: str) -> list[TrainedCurves]:
        return [one for one in self.ours if one.architecture == architecture]

    def _moments(self, architecture: str) -> list[int]:
        return sorted({step for one in self._of(architecture) for step in one.steps})

    def _deepest(self, architecture: str) -> int | None:
        """The moment at which the dips of all readers of an architecture sum to most."""
        runs = self._of(architecture)
        depth = {
            step: sum(_dip(one.at(step)) for one in runs) for step in self._moments(architecture)
        }
        return max(depth, key=depth.__getitem__, default=None)

    def _description(self) -> str:
        told = "; ".join(
            f"{one.positions}, asked {one.asks}: {_points(one.at(self.updates))}"
            for one in self.shown
        )
        theirs = self.published["accuracy"]
        return (
            f"Accuracy by place of small readers ({self.shown[0].architecture}) after "
            f"{self.updates} updates, a panel for each position code and each way to ask in "
            f"training. The dip, by how many points the ends are above the middle: {told}. "
            f"Architecture and updates can be moved. Below, published: {self.published['model']} "
            f"with {theirs[0]:g} % when the answer comes first, {min(theirs):g} % at worst, "
            f"{theirs[-1]:g} % when last."
        )

    def picture(self) -> Figure:
        """The panels at the moment shown first, each with its last curve dashed."""
        from matplotlib import pyplot as plt

        _, orange, _, _, _, gray = accents()
        codes = list(dict.fromkeys(one.positions for one in self.shown))
        asks = list(dict.fromkeys(one.asks for one in self.shown))
        size = (2.1 * max(2, len(codes)), 2 * len(asks) + 0.3)
        figure, grid = plt.subplots(
            len(asks),
            len(codes),
            figsize=size,
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axes in grid.flat:
            axes.set(ylim=(0, 101))
            axes.spines[["top", "right"]].set_visible(False)
        for one in self.shown:
            axes = grid[asks.index(one.asks), codes.index(one.positions)]
            curve = one.at(self.updates)
            places = np.arange(1, len(curve) + 1)
            axes.plot(places, 100 * one.at(one.steps[-1]), "--", color=gray, linewidth=1)
            axes.plot(places, 100 * curve, color=orange)
            axes.set_title(f"{one.positions}: dip {_points(curve)}", loc="left", fontsize=8)
        for row, name in zip(grid, asks, strict=True):
            row[0].set_ylabel(f"asked {name}", fontsize=8)
        figure.supxlabel(
            f"place of the pair asked for; % right after {self.updates} updates, dashed at the end",
            fontsize=8,
        )
        return figure


def published_groups() -> list[dict[str, Any]]:
    """The settings of the paper a reader can choose, each with a curve for each model.

    A setting is `{label, noun, documents, curves}`; a curve is
    `{model, positions, accuracy, source}`, and `standard` where the paper has the plain
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
            if (
                setting not in ("standard", "base or instruct", _EVERY_PLACE)
                and one["model"] in plain
            ):
                one["standard"] = plain[one["model"]]
        noun = "document" if task == published.QUESTIONS else "pair"
        groups.append({"label": label, "noun": noun, "documents": documents, "curves": curves})
    return groups


def _dip(curve: NDArray) -> float:
    return dip(torch.from_numpy(curve)).item()


def _points(curve: NDArray) -> int:
    return round(100 * _dip(curve))


def _percent(values: ArrayLike, decimals: int = 1) -> list[Any]:
    found = (100 * np.asarray(values, dtype=float)).round(decimals)
    return (found if decimals else found.astype(int)).tolist()
