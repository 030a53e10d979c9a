"""`KernelExplorer`: a kernel in place of softmax's exponential, where it differs, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from frugal.attention.kernels.features import (
    elu_features,
    gaussian_projection,
    positive_features,
    trigonometric_features,
)
from frugal.checks import one_of, whole_within, within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANDOM = {"positive": positive_features, "trigonometric": trigonometric_features}
KINDS = ("elu", *RANDOM)
DRAWS = 40


def fan(
    n_keys: int = 11, head_dim: int = 8, size: float | int = 1.0
) -> tuple[list[float], list[list[float]]]:
    """A query and keys at even angles to it, from opposite to along it, all of one length.

    size: of the score q·k / √head_dim of the key along the query.
    """
    length = math.sqrt(size * math.sqrt(head_dim))
    q = [length] + [0.0] * (head_dim - 1)
    keys = []
    for j in range(n_keys):
        angle = math.pi * (1 - j / (n_keys - 1))
        key = [length * math.cos(angle)] + [0.0] * (head_dim - 1)
        key[1 + j % (head_dim - 1)] = length * math.sin(angle)
        keys.append(key)
    return q, keys


class KernelExplorer(Interactive):
    """The attention of one query by softmax and by a kernel; beside it the kernel of each score.

    q: the query, head_dim numbers. keys: as many for each key; `fan()` gives both. kind: "elu",
    "positive" or "trigonometric". size: log₂ of what the scores are multiplied by, -2 ... 2. power:
    log₂ of the number of random vectors, 1 ... 8. question, tries: what to ask, and steps of
    (words, what changes from the first state: kind, size or power).
    """

    module = "kernel_explorer.js"
    style = "kernel_explorer.css"

    def __init__(
        self,
        q: Sequence[float] | None = None,
        keys: Sequence[Sequence[float]] | None = None,
        *,
        kind: str = "elu",
        size: float | int = 2,
        power: int = 4,
        question: str = "Where does a kernel attend otherwise than softmax, and why?",
        tries: Sequence[tuple[str, Mapping[str, str | float | int]]] = (),
    ) -> None:
        if (q is None) != (keys is None):
            raise ValueError("one of q and keys is None; they must be given together.")
        if q is None or keys is None:
            q, keys = fan()
        if len(keys) < 2 or any(len(key) != len(q) for key in keys):
            raise ValueError(
                f"keys has {len(keys)} vectors; it must have two or more, "
                f"of {len(q)} numbers like q."
            )
        first = {"kind": kind, "size": size, "power": power}
        told = [
            {"words": words, "state": _state(**{**first, **changed})} for words, changed in tries
        ]
        self._q, self._keys = torch.tensor(q), torch.tensor(keys)
        self._first = _state(**first)
        super().__init__(
            alt=self._description(),
            q=[float(x) for x in q],
            all_keys=[[float(x) for x in key] for key in keys],
            **self._first,
            seed=0,
            question=question,
            tries=told,
        )

    def kernels(self, kind: str) -> tuple[Tensor, Tensor]:
        """e^score for each key, (keys), and the kernel over draws of its own, (draws, keys).

        elu has one draw, on the scale at which both sums are equal.
        """
        grown = 2 ** (self._first["size"] / 2)
        q, keys = grown * self._q, grown * self._keys
        exact = (keys @ q / math.sqrt(len(q))).exp()
        if kind == "elu":
            own = elu_features(keys) @ elu_features(q)
            return exact, (own * exact.sum() / own.sum())[None]
        generator = torch.Generator().manual_seed(0)
        found = []
        for _ in range(DRAWS):
            omega = gaussian_projection(2 ** self._first["power"], len(q), generator=generator)
            found.append(RANDOM[kind](keys, omega) @ RANDOM[kind](q, omega))
        return exact, torch.stack(found)

    def weights(self, kind: str) -> tuple[Tensor, Tensor]:
        """Softmax's weights, (keys), and the kernel's, (draws, keys): each over its own sum."""
        exact, found = self.kernels(kind)
        return exact / exact.sum(), found / found.sum(-1, keepdim=True)

    def _description(self) -> str:
        kind = self._first["kind"]
        exact, found = self.kernels(kind)
        truth, weights = self.weights(kind)
        far, near = exact.argmin(), exact.argmax()
        if kind == "elu":
            told = (
                f"elu + 1 gives it {weights[0, near]:.0%}: from the farthest key to the nearest "
                f"e^score grows {exact[near] / exact[far]:,.0f} times and this kernel "
                f"{found[0, near] / found[0, far]:.1f} times"
            )
        else:
            told = (
                f"{2 ** self._first['power']} {kind} random features give it "
                f"{weights[:, near].median():.0%}, the median of {DRAWS} draws"
            )
        return (
            f"The attention of one query over {len(exact)} keys, by softmax and by a kernel, and "
            f"the kernel of each score. Softmax gives the nearest key {truth[near]:.0%}; {told}. "
            "The kernel, the size of the scores and the number of random vectors can be chosen."
        )

    def picture(self) -> Figure:
        """The weights, and why: the kernel over the score beside the exponential."""
        from matplotlib import pyplot as plt

        kind = self._first["kind"]
        color = accents()[{"elu": 1, "positive": 0, "trigonometric": 3}[kind]]
        ink = light_color("ink")
        exact, found = self.kernels(kind)
        truth, weights = self.weights(kind)
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.9), layout="constrained")
        places = torch.arange(len(truth)).tolist()
        left.bar(places, weights[0].tolist(), width=0.5, color=color)
        left.bar(places, truth.tolist(), fill=False, edgecolor=ink)
        left.set_title("weight of each key: softmax (outline), kernel (filled)", fontsize=8)
        left.set_xlabel("keys, from opposite to along the query", fontsize=8)
        scores = exact.log()
        order = scores.argsort()
        right.plot(scores[order].tolist(), exact[order].tolist(), color=ink, label="e^score")
        for draw in found[1:]:
            kept = draw > 0
            right.plot(scores[kept].tolist(), draw[kept].tolist(), ".", color=color, ms=2)
        shown = found[0][order].clamp(min=1e-9).tolist()
        right.plot(scores[order].tolist(), shown, "o-", ms=3, color=color, label=kind)
        right.set(yscale="log", ylim=(exact.min().item() / 4, exact.max().item() * 4))
        right.set_xlabel("score", fontsize=8)
        right.set_title("why: the kernel of each score", fontsize=8)
        right.legend(fontsize=7)
        for axes in (left, right):
            axes.tick_params(labelsize=7)
        return figure


def _state(*, kind: Any, size: Any, power: Any) -> dict[str, Any]:
    one_of(KINDS, kind=kind)
    within(-2, 2, size=size)
    whole_within(1, 8, power=power)
    return {"kind": kind, "size": size, "power": power}
