"""`DecodingPlayer`: several ways to write the same text, side by side on one clock.

The clock ticks once a *parallel step*: one call of a decoder, whose call before must be finished.
Left to right takes a step a token, one shot a single step, Mask-Predict one a pass::

    left_to_right = DecodingRun.left_to_right("left to right", symbols, probabilities, right=True)
    passes = list(mask_predict_passes(model, memory, padding, iterations=4))
    four = DecodingRun.from_passes("4 passes", passes, vocabulary.symbols, right=False)
    DecodingPlayer([DecodingExample("2024-10-18", [left_to_right, four])])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frugal.checks import whole_within
from frugal.decoding.parallel import Pass
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_WRITTEN = ""


@dataclass(frozen=True)
class DecodingStep:
    """The text after one parallel step.

    symbols: one a position, "" where nothing is written yet. probability: what the model gave each
    symbol when it wrote it, 0 where there is none. fresh: positions written in this step. doubtful:
    positions that are masked again before the next step.
    """

    symbols: Sequence[str]
    probability: Sequence[float]
    fresh: Sequence[int]
    doubtful: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not self.symbols or len(self.symbols) != len(self.probability):
            raise ValueError(
                f"symbols has {len(self.symbols)} entries and probability {len(self.probability)}; "
                "they must be as many, and one or more."
            )
        if not all(0 <= p <= 1 for p in self.probability):
            raise ValueError("probability has a value outside 0 … 1; it must have none.")

    def state(self) -> dict[str, Any]:
        return {
            "symbols": list(self.symbols),
            "probability": [round(p, 4) for p in self.probability],
            "fresh": list(self.fresh),
            "doubtful": list(self.doubtful),
        }


@dataclass(frozen=True)
class DecodingRun:
    """One way to write one text. right: whether the finished text is one of the right answers."""

    name: str
    steps: Sequence[DecodingStep]
    right: bool

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"steps of {self.name!r} is empty; it must have one step or more.")

    @property
    def text(self) -> str:
        return "".join(self.steps[-1].symbols)

    @classmethod
    def left_to_right(
        cls, name: str, symbols: Sequence[str], probability: Sequence[float], *, right: bool
    ) -> DecodingRun:
        """One symbol a step."""
        steps = []
        for t in range(1, len(symbols) + 1):
            rest = len(symbols) - t
            steps.append(
                DecodingStep(
                    [*symbols[:t], *[NOT_WRITTEN] * rest],
                    [*probability[:t], *[0.0] * rest],
                    fresh=[t - 1],
                )
            )
        return cls(name, steps, right)

    @classmethod
    def from_passes(
        cls,
        name: str,
        passes: Sequence[Pass],
        symbols: Sequence[str],
        *,
        right: bool,
        row: int = 0,
    ) -> DecodingRun:
        """What `mask_predict_passes` yielded, for one row of the batch.

        symbols: the vocabulary, by id. The row is as long as what its first pass wrote.
        """
        if not passes:
            raise ValueError("passes is empty; it must be what mask_predict_passes yielded.")
        length = int(passes[0].hidden[row].sum())
        hidden = [step.hidden[row, :length].nonzero().flatten().tolist() for step in passes]
        steps = [
            DecodingStep(
                [symbols[i] for i in step.ids[row, :length].tolist()],
                step.log_prob[row, :length].exp().clamp(max=1).tolist(),
                fresh=hidden[t],
                doubtful=hidden[t + 1] if t + 1 < len(passes) else (),
            )
            for t, step in enumerate(passes)
        ]
        return cls(name, steps, right)


@dataclass(frozen=True)
class DecodingExample:
    """One source, and the runs that write a text for it."""

    source: str
    runs: Sequence[DecodingRun]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"runs of {self.source!r} is empty; it must have one run or more.")


class DecodingPlayer(Interactive):
    """Play, pause and step through all runs of an example on one clock of parallel steps.

    examples: shown in a menu by their sources. step: the parallel step shown at first.
    """

    module = "decoding_player.js"
    style = "decoding_player.css"

    def __init__(
        self, examples: Sequence[DecodingExample], *, step: int = 1, alt: str | None = None
    ) -> None:
        if not examples:
            raise ValueError("examples is empty; it must have one DecodingExample or more.")
        last = max(len(run.steps) for run in examples[0].runs)
        whole_within(0, last, step=step)
        self.shown = examples[0]
        super().__init__(
            alt=alt or _description(examples[0]),
            examples=[
                {
                    "source": example.source,
                    "runs": [
                        {
                            "name": run.name,
                            "right": run.right,
                            "steps": [step.state() for step in run.steps],
                        }
                        for run in example.runs
                    ],
                }
                for example in examples
            ],
            example=0,
            step=step,
            playing=False,
        )

    def picture(self) -> Figure:
        """Every run's text after a few steps, one line each."""
        from matplotlib import pyplot as plt

        _, orange, *_ = accents()
        lines = []
        for run in self.shown.runs:
            count = len(run.steps)
            shown = sorted({1, (count + 1) // 2, count})
            lines += [(run, t) for t in shown]
        width = max(len(run.steps[0].symbols) for run in self.shown.runs)
        figure, axes = plt.subplots(figsize=(max(6.4, 0.28 * width + 3.4), 0.3 * len(lines) + 0.7))
        for y, (run, t) in enumerate(lines):
            step = run.steps[t - 1]
            axes.text(-0.8, y, f"{run.name}, step {t}", ha="right", va="center", fontsize=8)
            for x, (symbol, p) in enumerate(zip(step.symbols, step.probability, strict=True)):
                edge = orange if x in step.doubtful else light_color("line")
                face = plt.get_cmap("Blues")(0.05 + 0.45 * p) if symbol else light_color("panel")
                axes.add_patch(plt.Rectangle((x - 0.45, y - 0.4), 0.9, 0.8, fc=face, ec=edge))
                axes.text(x, y, symbol, ha="center", va="center", fontsize=9, family="monospace")
        axes.set(xlim=(-0.6, width), ylim=(len(lines) - 0.4, -0.6))
        axes.set_title(f"Writing {self.shown.source}", fontsize=10, loc="left")
        axes.axis("off")
        return figure


def _description(example: DecodingExample) -> str:
    parts = [
        f"{run.name} takes {len(run.steps)} parallel step{'s' * (len(run.steps) != 1)} and ends "
        f"with ‘{run.text}’, which is {'right' if run.right else 'wrong'}"
        for run in example.runs
    ]
    return (
        f"Several ways to write ‘{example.source}’, one row of boxes each, on one clock. "
        f"Here {'; '.join(parts)}. Playing fills the boxes step by step; boxes that Mask-Predict "
        "doubts are marked and written again."
    )
