"""`KernelExplorer`: how well random features stand for the softmax kernel, and how they fail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from frugal.attention.kernels.features import (
    gaussian_projection,
    positive_features,
    trigonometric_features,
)
from frugal.show.interactive import Interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {"positive": positive_features, "trigonometric": trigonometric_features}
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
    """True and estimated weights of one query, spread over draws, and the error over features.

    q: the query, head_dim numbers. keys: as many for each key; `fan()` gives both. power: log₂ of
    the number of random vectors, 1 ... 8. temperature: log₂ of what scores are divided by,
    -2 ... 2. kind: "positive" or "trigonometric". orthogonal: vectors orthogonal in blocks.
    divisor: "true", the sum of the true kernel, or "own", that of the estimates. away: only the
    keys at more than a right angle to the query.
    """

    module = "kernel_explorer.js"
    style = "kernel_explorer.css"

    def __init__(
        self,
        q: Sequence[float] | None = None,
        keys: Sequence[Sequence[float]] | None = None,
        *,
        power: int = 4,
        temperature: float | int = 0,
        kind: str = "positive",
        orthogonal: bool = True,
        divisor: str = "true",
        away: bool = False,
    ) -> None:
        if (q is None) != (keys is None):
            raise ValueError("q and keys come together; give both or neither.")
        if q is None or keys is None:
            q, keys = fan()
        if len(keys) < 2 or any(len(key) != len(q) for key in keys):
            raise ValueError(
                f"keys has {len(keys)} vectors; it needs two or more, of {len(q)} numbers like q."
            )
        if not 1 <= power <= 8 or not -2 <= temperature <= 2:
            raise ValueError(
                f"power is {power} and temperature {temperature}; "
                "they need to be 1 ... 8 and -2 ... 2."
            )
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; it needs to be one of {', '.join(KINDS)}.")
        if divisor not in ("true", "own"):
            raise ValueError(f"divisor is {divisor!r}; it needs to be 'true' or 'own'.")
        facing = [key for key in keys if sum(map(mul, q, key)) < -1e-9]
        if away and len(facing) < 2:
            raise ValueError(
                f"away is set, but {len(facing)} keys face away; it needs two or more."
            )
        shown = len(facing) if away else len(keys)
        super().__init__(
            alt=f"The attention weights of one query over {shown} keys, and their estimates by "
            f"{2**power} {kind} random features with a spread over {DRAWS} draws. Below, the error "
            "falls with the number of features. Moving the temperature down makes it grow; "
            "trigonometric features give negative weights.",
            q=[float(x) for x in q],
            all_keys=[[float(x) for x in key] for key in keys],
            power=power,
            temperature=temperature,
            kind=kind,
            orthogonal=orthogonal,
            divisor=divisor,
            away=away,
            seed=0,
        )

    def weights(self, kind: str, n_features: int) -> tuple[Tensor, Tensor]:
        """The true weights, (keys), and estimates over draws of their own, (draws, keys)."""
        state = self.state
        cooled = 2 ** (state["temperature"] / 2)
        q, keys = torch.tensor(state["q"]) / cooled, torch.tensor(state["all_keys"]) / cooled
        if state["away"]:
            keys = keys[keys @ q < -1e-9]
        exact = (keys @ q / math.sqrt(len(q))).exp()
        generator = torch.Generator().manual_seed(0)
        found = []
        for _ in range(DRAWS):
            omega = gaussian_projection(
                n_features, len(q), orthogonal=state["orthogonal"], generator=generator
            )
            found.append(KINDS[kind](keys, omega) @ KINDS[kind](q, omega))
        estimated = torch.stack(found)
        own = state["divisor"] == "own"
        total = estimated.sum(-1, keepdim=True) if own else exact.sum()
        return exact / exact.sum(), estimated / total

    def picture(self) -> Figure:
        """Weights with both kinds of features, and the error of both over their number."""
        from matplotlib import pyplot as plt

        figure, all_axes = plt.subplots(1, 3, figsize=(9, 2.6))
        for axes, kind in zip(all_axes[:2], KINDS, strict=True):
            truth, estimated = self.weights(kind, 2 ** self.state["power"])
            place = torch.arange(len(truth))
            axes.bar(place, truth, fill=False, edgecolor="#20242a")
            axes.errorbar(
                place, estimated.mean(0), estimated.std(0), fmt="o", ms=3, color="#0068a8"
            )
            axes.set_title(f"{2 ** self.state['power']} {kind} features", fontsize=8)
        powers = range(1, 9)
        for kind, style in zip(KINDS, ("-", "--"), strict=True):
            errors = []
            for power in powers:
                truth, estimated = self.weights(kind, 2**power)
                errors.append((estimated - truth).square().mean().sqrt().item())
            all_axes[2].loglog([2**power for power in powers], errors, style, label=kind)
        all_axes[2].set_title("error of a weight over features", fontsize=8)
        all_axes[2].legend(fontsize=7)
        for axes in all_axes:
            axes.tick_params(labelsize=7)
        return figure
