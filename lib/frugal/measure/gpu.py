"""What was measured on a GPU, for the Speed sections: a table where there is one, else a sentence.

`make gpu` (the module `experiments.gpu`) records it, on any CUDA device.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from frugal.measure.drawing import draw
from frugal.results import MissingResult, Result, load

if TYPE_CHECKING:
    import altair

NAME = "gpu_speed"
NOT_YET = "Not measured on a GPU yet: make gpu records it on a machine that has one."
PASSES = ("forward", "training")


class GpuSpeed:
    """Times on a GPU of some of those that `experiments.gpu` races, shown as a table by a notebook.

    names: racers, such as "window, causal". folder: of the results, as for `frugal.results.load`.
    `measured` says whether there is a result; without one, the sentence that there is none is
    shown. Raises ValueError for a name that the result does not have.
    """

    def __init__(self, *names: str, folder: Path | str | None = None) -> None:
        if not names:
            raise ValueError("names is empty; it must hold at least one racer.")
        self.names, self.result = names, None
        try:
            self.result: Result | None = load(NAME, folder=folder)
        except MissingResult:
            return
        known = {about["racer"] for about in self.result.settings.values()}
        for name in names:
            if name not in known:
                raise ValueError(
                    f"names has {name!r}; it must be among {', '.join(sorted(known))}."
                )

    @property
    def measured(self) -> bool:
        return self.result is not None

    def frame(self, what: str = "training") -> pd.DataFrame:
        """Like that of `compare`: name, length, seconds, spread, peak_bytes, flops, ratio, note.

        what: "forward", or "training" for forward and backward. ratio: to the time of torch's
        attention of the same direction, or of a softmax layer for a layer; NaN for these
        themselves. note: why there is no number. Raises ValueError where nothing was measured.
        """
        if what not in PASSES:
            raise ValueError(f"what is {what!r}; it must be 'forward' or 'training'.")
        if self.result is None:
            raise ValueError(f"names has no numbers yet. {NOT_YET}")
        seconds = {
            run["setting"]: run["values"].get(f"{what} seconds", float("nan"))
            for run in self.result.runs
        }
        rows = []
        for run in self.result.runs:
            about, values = self.result.settings[run["setting"]], run["values"]
            if about["racer"] not in self.names or "length" not in about:
                continue
            against = f"{about['against']} | {about['length']}"
            took = seconds[run["setting"]]
            rows.append(
                {
                    "name": about["racer"],
                    "length": about["length"],
                    "seconds": took,
                    "spread": values.get(f"{what} spread", float("nan")),
                    "peak_bytes": values.get(f"{what} peak bytes", float("nan")),
                    "flops": values.get(f"{what} flops per second", float("nan")) * took,
                    "ratio": took / seconds.get(against, float("nan")),
                    "note": run.get("error", ""),
                }
            )
        frame = pd.DataFrame(rows).sort_values("length", kind="stable")
        return frame.reset_index(drop=True)

    def table(self) -> pd.DataFrame:
        """A row a racer and length: milliseconds, times the baseline's, and gigabytes at most."""
        forward, training = (self.frame(what) for what in PASSES)
        table = pd.DataFrame(
            {
                "": training["name"],
                "tokens": training["length"],
                "forward, ms": 1e3 * forward["seconds"],
                "times SDPA's": forward["ratio"],
                "training, ms": 1e3 * training["seconds"],
                "times SDPA's ": training["ratio"],
                "peak, GB": training["peak_bytes"] / 1e9,
            }
        )
        order = {name: place for place, name in enumerate(self.names)}
        return table.sort_values("", key=lambda names: names.map(order), kind="stable")

    def draw(self, what: str = "training") -> altair.VConcatChart:
        """Time, memory and FLOPs over length, as `frugal.measure.draw` shows them."""
        frame = self.frame(what)
        return draw(frame.dropna(subset=["seconds"]))

    def __str__(self) -> str:
        if self.result is None:
            return NOT_YET
        table = self.table().to_string(index=False, float_format="{:.3g}".format, na_rep="")
        return f"{table}\n{self.result.provenance}"

    def _repr_html_(self) -> str:
        if self.result is None:
            return f'<p class="frugal-provenance">{html.escape(NOT_YET)}</p>'
        table = self.table().to_html(index=False, float_format="{:.3g}".format, na_rep="")
        return table + self.result._repr_html_()
