"""`RouterView`: tokens on their way to experts, and what happens where there is no room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from frugal.checks import one_of, whole_within
from frugal.feedforward.experts import room
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True)
class RouterRun:
    """The logits of one router for the same tokens at several moments of its training.

    label: a few words for its button. logits: (moments, tokens, experts).
    """

    label: str
    logits: Float[Tensor, "moments tokens experts"]


class RouterView(Interactive):
    """A line from each token to the expert of its highest score, and the room that experts have.

    tokens: their words, 2 to 40. runs: by name, routers to choose from, all with 2 to 16 experts.
    moments: updates made at each moment. run, moment, capacity_factor, token: shown at first; a
    factor of 0 stands for room for all. A button moves the biases of the choice against the load.
    """

    module = "router_view.js"
    style = "router_view.css"

    def __init__(
        self,
        tokens: Sequence[str],
        runs: Mapping[str, RouterRun],
        moments: Sequence[int],
        *,
        run: str | None = None,
        moment: int = 0,
        capacity_factor: float | int = 1.25,
        token: int = 0,
    ) -> None:
        if not runs:
            raise ValueError("runs is empty; it must have a router or more.")
        if not 2 <= len(tokens) <= 40:
            raise ValueError(f"tokens has {len(tokens)} words; it must have 2 to 40.")
        n_experts = next(iter(runs.values())).logits.shape[-1]
        whole_within(2, 16, experts=n_experts)
        wanted = (len(moments), len(tokens), n_experts)
        for name, one in runs.items():
            if tuple(one.logits.shape) != wanted:
                raise ValueError(
                    f"logits of {name!r} has shape {tuple(one.logits.shape)}; it must be {wanted}."
                )
        run = next(iter(runs)) if run is None else run
        one_of(runs, run=run)
        whole_within(0, len(moments) - 1, moment=moment)
        whole_within(0, len(tokens) - 1, token=token)
        one_of((0, *FACTORS), capacity_factor=capacity_factor)
        super().__init__(
            alt=(
                f"{len(tokens)} tokens on the left and {n_experts} experts on the right; a line "
                "goes from each token to the expert that its router chose. Beyond the room of an "
                "expert lines are dashed: these tokens pass by. The room, the moment of training "
                "and a router trained with or without a loss of balance can be chosen."
            ),
            tokens=[str(word) for word in tokens],
            runs={
                name: {
                    "label": one.label,
                    "logits": [
                        [[round(x, 4) for x in row] for row in rows] for rows in one.logits.tolist()
                    ],
                }
                for name, one in runs.items()
            },
            moments=[int(moment) for moment in moments],
            factors=list(FACTORS),
            run=run,
            moment=moment,
            capacity_factor=capacity_factor,
            token=token,
            bias=[0.0] * n_experts,
        )

    def routed(self) -> tuple[Tensor, Tensor]:
        """(tokens,) each: the expert of every token of the state, and whether it has room."""
        shown = self.state
        logits = torch.tensor(shown["runs"][shown["run"]]["logits"][shown["moment"]])
        scores = logits.double().softmax(-1)
        experts = (scores + torch.tensor(shown["bias"])).argmax(-1)
        tokens, n_experts = logits.shape
        factor = shown["capacity_factor"]
        capacity = max(1, int(tokens / n_experts * factor)) if factor else tokens
        return experts, room(experts[None], n_experts, capacity)[0]

    def picture(self) -> Figure:
        """The tokens, lines to their experts, and the number of tokens that each takes."""
        from matplotlib import pyplot as plt

        experts, keep = self.routed()
        words, n_experts = self.state["tokens"], len(self.state["bias"])
        blue, orange = accents()[:2]
        figure, axes = plt.subplots(figsize=(6, 0.5 + 0.17 * len(words)))
        place = [(expert + 0.5) * len(words) / n_experts - 0.5 for expert in range(n_experts)]
        for token, (expert, kept) in enumerate(zip(experts.tolist(), keep.tolist(), strict=True)):
            style = {"color": blue} if kept else {"color": orange, "linestyle": "--"}
            axes.plot((0, 1), (token, place[expert]), linewidth=1, **style)
            axes.text(-0.03, token, words[token], ha="right", va="center", fontsize=8)
        for expert in range(n_experts):
            inside = int((keep & (experts == expert)).sum())
            beyond = int((~keep & (experts == expert)).sum())
            said = f"expert {expert + 1}: {inside} inside, {beyond} pass by"
            axes.text(1.03, place[expert], said, va="center", fontsize=8)
        axes.set(xlim=(-0.4, 1.9), ylim=(len(words) - 0.5, -0.5))
        axes.set_axis_off()
        return figure
