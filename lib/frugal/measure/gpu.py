"""What was measured on a GPU, for the Speed sections: a table where there is one, else a sentence.

`make gpu` (the module `experiments.gpu`) records it, on any CUDA device.
Chapter: run-it-yourself, and the section Speed of every other.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from frugal.measure import gpu_words as words
from frugal.measure.drawing import draw
from frugal.results import MissingResult, Result, load

if TYPE_CHECKING:
    import altair

NAME = "gpu_speed"
NOT_YET = "Not measured on a GPU yet: make gpu records it on a machine that has one."
PASSES = ("forward", "training")
FLOPS, BYTES = "flops per second", "bytes per second"
COLUMNS = (
    *("name", "length", "batch", "seconds", "spread", "peak_bytes", "flops", "ratio"),
    *("flops_share", "bytes_share", "against", "note"),
)


class GpuSpeed:
    """Times on a GPU of some of those that `experiments.gpu` races, shown as a table by a notebook.

    names: racers, such as "window, causal". folder: of the results, as for `frugal.results.load`.
    `measured` says whether there is a result with any of them; without one, the sentence that there
    is none is shown. `missing`: those that the result does not have yet, which the notes name.
    Raises ValueError when there is no name.
    """

    def __init__(self, *names: str, folder: Path | str | None = None) -> None:
        if not names:
            raise ValueError("names is empty; it must hold at least one racer.")
        self.names, self.missing = names, names
        self.result: Result | None = None
        try:
            found = load(NAME, folder=folder)
        except MissingResult:
            return
        known = {about["racer"] for about in found.settings.values()}
        self.missing = tuple(name for name in names if name not in known)
        if len(self.missing) < len(names):
            self.result = found

    @property
    def measured(self) -> bool:
        return self.result is not None

    def frame(self, what: str = "training") -> pd.DataFrame:
        """Like that of `compare`, a row a racer and length, with the columns `COLUMNS`.

        what: "forward", or "training" for forward and backward. seconds: of the whole batch. ratio:
        to the time of torch's attention of the same direction, or of a softmax layer for a layer;
        NaN for these themselves. flops_share, bytes_share: what the definition multiplies, and what
        it reads and writes at least, per second, as shares of what the card can do. note: why there
        is no number. Raises ValueError where nothing was measured.
        """
        return self._rows(self.names, what)

    def at(self, length: int, what: str = "forward") -> pd.DataFrame:
        """The rows of `frame` that have numbers at one length, by name."""
        frame = self.frame(what).set_index("name")
        return frame[(frame["length"] == length) & frame["seconds"].notna()]

    def reached(self, *lengths: int) -> bool:
        """Whether every racer here has a number at each of these lengths."""
        if not self.measured:
            return False
        return all(set(self.names) <= set(self.at(length).index) for length in lengths)

    def table(self) -> pd.DataFrame:
        """A row a racer and length that was reached: milliseconds, times the baseline's, memory.

        The last two columns are the shares of `frame` in per cent, forward; that of FLOPs is empty
        where the definition counts none.
        """
        forward, training = (self.frame(what) for what in PASSES)
        kinds = set(forward["against"].dropna().map(words.kind))
        times = f"times {kinds.pop() if len(kinds) == 1 else 'the baseline'}'s"
        table = pd.DataFrame(
            {
                "": training["name"],
                "tokens": training["length"],
                "forward, ms": 1e3 * forward["seconds"],
                times: forward["ratio"],
                "training, ms": 1e3 * training["seconds"],
                f"{times} ": training["ratio"],
                "peak in training, GB": training["peak_bytes"] / 1e9,
                "% of FLOP/s": 1e2 * forward["flops_share"].where(forward["flops"] > 0),
                "% of bytes/s": 1e2 * forward["bytes_share"],
            }
        )[forward["seconds"].notna() | training["seconds"].notna()]
        if training["seconds"].isna().all():  # what only writes
            table = table.drop(columns=["training, ms", f"{times} ", "peak in training, GB"])
        order = {name: place for place, name in enumerate(self.names)}
        return table.sort_values("", key=lambda names: names.map(order), kind="stable")

    def draw(self, what: str = "forward") -> altair.VConcatChart | None:
        """Time per sequence over length, with the baselines.

        None without two lengths to join, and while one of the racers is missing.
        """
        if self.result is None or self.missing:
            return None
        beside = [*self.frame(what)["against"].dropna().unique()]
        frame = self._rows({*beside, *self.names}, what).dropna(subset=["seconds"])
        if frame["length"].nunique() < 2:
            return None
        frame["seconds"] /= frame["batch"]
        return draw(frame, panels=("seconds",)).properties(title=f"{what}, per sequence")

    def notes(self) -> list[str]:
        """Sentences below the table: who won where, what the columns mean, and what is missing."""
        forward = self.frame("forward")
        said = [words.verdict(self.frame(what), what) for what in PASSES]
        if forward["seconds"].notna().any():
            said.append(words.columns(forward, *self._ceilings()))
        said.append(words.left_out(forward))
        if self.missing:
            listed = words.listed([words.quoted(name) for name in self.missing])
            said.append(f"Not measured on a GPU yet: {listed}.")
        assert self.result is not None
        for run in self.result.runs:
            about = self.result.settings[run["setting"]]
            if about["racer"] in self.names and "length" not in about:
                said.append(f"{about['racer']}: {words.first_line(run['error'])}")
        return [sentence for sentence in said if sentence]

    def _rows(self, names: Iterable[str], what: str) -> pd.DataFrame:
        if what not in PASSES:
            raise ValueError(f"what is {what!r}; it must be 'forward' or 'training'.")
        if self.result is None:
            raise ValueError(f"names has no numbers yet. {NOT_YET}")
        known = {run["setting"]: run["values"] for run in self.result.runs}
        flops, moved = self._ceilings()
        rows = []
        for run in self.result.runs:
            about, values = self.result.settings[run["setting"]], run["values"]
            if about["racer"] not in names or "length" not in about:
                continue
            fused = known.get(f"{about['against']} | {about['length']}", {})
            took, rate = _number(values, f"{what} seconds"), _number(values, f"{what} {FLOPS}")
            rows.append(
                {
                    "name": about["racer"],
                    "length": about["length"],
                    "batch": _number(values, "batch"),
                    "seconds": took,
                    "spread": _number(values, f"{what} spread"),
                    "peak_bytes": _number(values, f"{what} peak bytes"),
                    "flops": rate * took,
                    "ratio": took / _number(fused, f"{what} seconds"),
                    "flops_share": rate / flops,
                    "bytes_share": _number(values, f"{what} {BYTES}") / moved,
                    "against": about["against"],
                    "note": run.get("error", ""),
                }
            )
        frame = pd.DataFrame(rows, columns=COLUMNS).sort_values("length", kind="stable")
        return frame.reset_index(drop=True)

    def _ceilings(self) -> tuple[float, float]:
        """The card's FLOPs per second in a large matrix product, and bytes in a large copy."""
        assert self.result is not None
        for run in self.result.runs:
            if FLOPS in run["values"]:
                return _number(run["values"], FLOPS), _number(run["values"], BYTES)
        return float("nan"), float("nan")

    def __str__(self) -> str:
        if self.result is None:
            return NOT_YET
        table = self.table().to_string(index=False, float_format="{:.3g}".format, na_rep="")
        return "\n".join((table, *self.notes(), words.code(self.result), self.result.provenance))

    def _repr_html_(self) -> str:
        if self.result is None:
            return f'<p class="frugal-provenance">{html.escape(NOT_YET)}</p>'
        table = self.table().to_html(
            index=False,
            float_format="{:.3g}".format,
            na_rep="",
            formatters={"tokens": "{:,}".format},
        )
        said = [*self.notes(), words.code(self.result)]
        notes = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said)
        return table + notes + self.result._repr_html_()


def _number(values: dict[str, Any], name: str) -> float:
    """NaN where there is none, or one that was not finite."""
    found = values.get(name)
    return float("nan") if found is None else float(found)
