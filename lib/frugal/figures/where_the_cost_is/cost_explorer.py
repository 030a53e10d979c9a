"""`CostExplorer`: what a Transformer costs as its sizes move, in FLOPs, bytes and least time.

The formulas are those of `frugal.arithmetic.transformer`, computed again in the browser
(`cost_formulas.js`).
A page that has measured its own machine passes it::

    CostExplorer(machines=(dataclasses.replace(CPU_CORE, flops_fp32=…, bandwidth=…), A100, H100))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from frugal.arithmetic.transformer import (
    MACHINES,
    Machine,
    Mode,
    TransformerShape,
    crossover_length,
    flops,
    memory,
)
from frugal.checks import whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNITS = {
    "forward": "one forward pass",
    "training": "one training step",
    "decoding": "one decoding step",
}


class CostExplorer(Interactive):
    """Sliders for the sizes; where the FLOPs go, what memory holds, and a roofline with its table.

    On a narrow page one of these four is seen at a time; the state's `part` says which, from 0.

    length, d_model, n_heads, n_layers, batch: as in the library's `TransformerShape`. ff_ratio:
    d_ff over d_model. bytes_per_number: 4 (float32) or 2 (bfloat16). mode: forward, training,
    decoding.
    machines: those the reader can choose. machine: which is chosen at first, from 0.
    """

    module = "cost_explorer.js"
    style = "cost_explorer.css"

    def __init__(
        self,
        *,
        length: int = 1024,
        d_model: int = 512,
        n_heads: int = 8,
        n_layers: int = 6,
        ff_ratio: float = 4.0,
        batch: int = 1,
        bytes_per_number: int = 4,
        mode: Mode = "forward",
        machines: Sequence[Machine] = MACHINES,
        machine: int = 0,
        alt: str | None = None,
    ) -> None:
        if not machines:
            raise ValueError("machines is empty; it must have one Machine or more.")
        whole_within(0, len(machines) - 1, machine=machine)
        d_ff = round(ff_ratio * d_model)
        if ff_ratio <= 0 or d_ff < 1:
            raise ValueError(f"ff_ratio is {ff_ratio}; it must be above 0.")
        self.shape = TransformerShape(
            length=length,
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            d_ff=d_ff,
            batch=batch,
            bytes_per_number=bytes_per_number,
        )
        crossover = crossover_length(d_model, d_ff)
        share = flops(self.shape, mode).attention_share
        super().__init__(
            alt=alt
            or f"Share of FLOPs against sequence length N for a Transformer of width {d_model}: "
            f"attention takes {share:.0%} at N = {length:,} and half at N = {crossover:,}. Beside "
            "it the bytes that attention weights take, growing with N squared when stored and with "
            "N when fused, and a roofline of each step. Sliders change the sizes and the machine.",
            length=length,
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            ff_ratio=ff_ratio,
            batch=batch,
            bytes_per_number=bytes_per_number,
            mode=mode,
            machines=[dataclasses.asdict(one) for one in machines],
            machine=machine,
            part=0,
        )

    def picture(self) -> Figure:
        """Shares of FLOPs and bytes of attention weights over N."""
        from matplotlib import pyplot as plt

        blue, orange, green, purple, brown, gray = accents()
        mode = self.state["mode"]
        lengths = np.unique(np.geomspace(64, 2**20, 113).round().astype(int))
        shapes = [dataclasses.replace(self.shape, length=int(length)) for length in lengths]
        counts = [flops(shape, mode) for shape in shapes]
        parts = {
            "feed-forward": [count.feed_forward / count.total for count in counts],
            "projections": [count.projections / count.total for count in counts],
            "attention": [count.attention_share for count in counts],
        }
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
        left.stackplot(lengths, *parts.values(), colors=[blue, green, orange])
        crossover = crossover_length(self.shape.d_model, self.shape.d_ff)
        left.axvline(crossover, color="white", linestyle="--", linewidth=1.2)
        left.text(crossover * 1.1, 0.03, f"N = {crossover:,}", color="white", fontsize=9)
        left.text(80, 0.3, "feed-forward", color="white")
        left.text(80, 0.8, "projections", color="white")
        left.text(2**20 / 1.4, 0.9, "attention", color="white", ha="right")
        left.set(xscale="log", xlim=(64, 2**20), ylim=(0, 1), xlabel="tokens N")
        left.set_title(f"share of the FLOPs of {_UNITS[mode]}", loc="left", fontsize=10)
        left.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        held = [memory(shape, mode) for shape in shapes]
        lines = {
            "scores, naive": ([one.naive_scores for one in held], orange),
            "scores, fused": ([one.fused_scores for one in held], purple),
            "parameters": ([one.parameters for one in held], gray),
        }
        if mode == "decoding":
            lines["KV cache"] = ([one.cache for one in held], brown)
        for name, (values, shade) in lines.items():
            right.plot(lengths, values, color=shade)
            inside = name == "parameters"  # flat, so its end meets the others'
            right.annotate(
                name,
                (lengths[0], values[0]) if inside else (lengths[-1], values[-1]),
                (4, 7 if inside else 0),
                textcoords="offset points",
                color=shade,
                va="center",
                fontsize=9,
            )
        right.set(xscale="log", yscale="log", xlim=(64, 2**20), xlabel="tokens N")
        right.set_title("bytes held", loc="left", fontsize=10)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        return figure
