"""Recorded results of experiments, as chapters read them, and how sure a mean over seeds is.

`python -m experiments run NAME` writes `experiments/results/NAME.json`; `load(NAME)` reads it, from
any folder below the repository's root.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from frugal.checks import installed

if TYPE_CHECKING:
    from torch import Tensor


class MissingResult(FileNotFoundError):
    """No such result is recorded; the message names the command that makes it."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What one experiment gave, and where, when and with what.

    name: the experiment, a module of `experiments`. question: the first line of its description.
    settings: what was set, by the name of the setting. runs: one dict for each setting and seed
    with `setting`, `seed`, `seconds`, `values` (metric -> number, list or weights), the `processor`
    and `commit` it ran on and the `fingerprint` of the files that made it. made: what all runs have
    in common: `command`, `date`, `torch`, `python`; for a GPU also `card` and `driver`. smoke: True
    for a run at the size of a test; its numbers mean nothing. unit: what is repeated, a "seed" or
    the "round" of a race. checked: when a seed was last run again, by which code, and what came of
    it. missing: runs that are still to come. data: what was read, where the experiment says so.
    """

    name: str
    question: str
    settings: dict[str, dict[str, Any]]
    runs: list[dict[str, Any]]
    made: dict[str, str]
    smoke: bool = False
    unit: str = "seed"
    checked: dict[str, Any] | None = None
    missing: int = 0
    data: dict[str, Any] | None = None

    def frame(self) -> pd.DataFrame:
        """One row a number: setting, seed, metric, value. Lists are left to `values`."""
        rows = [
            (run["setting"], run["seed"], metric, value)
            for run in self.runs
            for metric, value in run["values"].items()
            if not isinstance(value, list | dict)
        ]
        frame = pd.DataFrame(rows, columns=["setting", "seed", "metric", "value"])
        return frame.astype({"value": float})  # a missing number becomes NaN

    def mean_std(self, metric: str, *, at: int | None = None) -> pd.DataFrame:
        """For each setting, in the experiment's order: mean, std (over seeds, n - 1) and n.

        at: for a metric that was read several times in a run (see `curve`), after which update;
        settings that were not read then are left out.

        Raises ValueError when no run has a number of that name, or none at that update.
        """
        frame = self.frame() if at is None else self.curve(metric)
        column, wanted = ("metric", metric) if at is None else ("at", at)
        rows = frame[frame[column] == wanted]
        if rows.empty:
            known = sorted(set(frame[column]))
            has = "the numbers" if at is None else f"{metric!r} after"
            raise ValueError(f"{column} is {wanted!r}; '{self.name}' has {has} {known}.")
        table = rows.groupby("setting")["value"].agg(["mean", "std", "count"])
        order = [name for name in self.settings if name in table.index]
        return table.rename(columns={"count": "n"}).loc[order]

    def table(
        self,
        columns: Mapping[Any, str],
        rows: Mapping[str, str] | None = None,
        *,
        form: str | Mapping[Any, str] = ".2f",
        scale: Mapping[Any, float] | None = None,
    ) -> pd.DataFrame:
        """Means over the seeds as a page shows them, "0.98 ± 0.01", the spread where there is one.

        columns: metric -> title, where ("curve", 200) is what was read after 200 updates. rows:
        setting -> label, in the order of the table; every setting by its name where None. form: how
        a number is written, for all metrics or by metric. scale: what a metric is divided by, 1e6
        for MFLOPs. A setting without a metric has an empty cell.

        Raises ValueError for a metric or a setting that the record does not have.
        """
        rows = rows or {name: name for name in self.settings}
        if unknown := [name for name in rows if name not in self.settings]:
            raise ValueError(f"rows has {unknown[0]!r}; '{self.name}' has {list(self.settings)}.")
        told: dict[str, list[str]] = {}
        for metric, title in columns.items():
            name, at = metric if isinstance(metric, tuple) else (metric, None)
            means = self.mean_std(name, at=at) / (scale or {}).get(metric, 1)
            written = form if isinstance(form, str) else form.get(metric, ".2f")
            told[title] = [
                _mean_and_std(means.loc[name], written) if name in means.index else ""
                for name in rows
            ]
        return pd.DataFrame(told, index=list(rows.values()))

    def best(
        self,
        metric: str = "valid",
        arm: Callable[[str], str] | None = None,
        *,
        lowest: bool = False,
    ) -> dict[str, str]:
        """For each arm its setting with the highest mean of `metric`, in the experiment's order.

        arm: a setting's name -> the arm it belongs to; by default the name without what follows
        its last hyphen, so that "full-0.005" and "full-0.01" are two tries of "full". lowest: the
        lowest mean is the best, for a loss. Choose by validation data, then read the test of what
        was chosen.
        """
        arm = arm or (lambda name: name.rsplit("-", 1)[0])
        means = self.mean_std(metric)["mean"].groupby(arm, sort=False)
        chosen = means.idxmin() if lowest else means.idxmax()
        return dict(chosen.items())

    def curve(self, metric: str = "curve", at: str | None = None) -> pd.DataFrame:
        """One row a point of a recorded curve: setting, seed, at, value.

        metric: what each run recorded as a list, of pairs (at, value) or of values. at: the list of
        their places; by default "moments" or "steps", whichever is as long.

        Raises ValueError when no run gave the metric, or when values have no places.
        """
        rows = []
        for setting in self.values(metric):
            runs = [run for run in self.runs if run["setting"] == setting]
            for run in sorted(runs, key=lambda run: run["seed"]):
                if metric in run["values"]:
                    points = self._points(run["values"], metric, at)
                    rows += [(setting, run["seed"], *point) for point in points]
        return pd.DataFrame(rows, columns=["setting", "seed", "at", "value"])

    def _points(self, values: dict[str, Any], metric: str, at: str | None) -> list[tuple[Any, Any]]:
        curve = values[metric]
        if at is None and all(isinstance(pair, list) and len(pair) == 2 for pair in curve):
            return [(place, value) for place, value in curve]
        for places in [at] if at else ["moments", "steps"]:
            if len(values.get(places, [])) == len(curve):
                return list(zip(values[places], curve, strict=True))
        raise ValueError(f"metric is {metric!r}; '{self.name}' does not tell where its values are.")

    def values(self, metric: str) -> dict[str, list[Any]]:
        """For each setting what the runs gave, number or list, in the order of the seeds.

        Raises ValueError when no run gave it.
        """
        found: dict[str, list[Any]] = {name: [] for name in self.settings}
        for run in sorted(self.runs, key=lambda run: run["seed"]):
            if metric in run["values"]:
                found[run["setting"]].append(run["values"][metric])
        found = {name: values for name, values in found.items() if values}
        if not found:
            known = sorted({known for run in self.runs for known in run["values"]})
            raise ValueError(f"metric is {metric!r}; '{self.name}' has {known}.")
        return found

    def weights(self, setting: str, *, seed: int = 0, name: str = "weights") -> dict[str, Tensor]:
        """The trained weights that a run recorded, in half precision, as a state_dict of float32.

        Raises ValueError when that run recorded none.
        """
        for run in self.runs:
            if (run["setting"], run["seed"]) == (setting, seed) and name in run["values"]:
                return {part: tensor_of(kept) for part, kept in run["values"][name].items()}
        raise ValueError(
            f"setting is {setting!r} and seed {seed}; '{self.name}' recorded no {name} of that run."
        )

    @property
    def provenance(self) -> str:
        """A sentence for a caption: seeds, machine, versions, commit, and how to make it again.

        A bench has rounds of a race in the place of seeds.
        """
        counts = Counter(run["setting"] for run in self.runs).values()
        least, most = min(counts), max(counts)
        turns = f"{most}" if least == most else f"{least} to {most}"
        seconds = [run["seconds"] for run in self.runs]
        processors = " and ".join(sorted({run["processor"] for run in self.runs}))
        commits = " and ".join(sorted({run["commit"] for run in self.runs}))
        if "card" in self.made:
            return self._provenance_of_card()
        what = f"{turns} {self.unit}{'s' * (most != 1)}"
        if self.unit == "seed":
            what += f", {sum(seconds) / len(seconds):.0f} s a run"
        if self.missing:
            what += f" ({self.missing} of {len(self.runs) + self.missing} runs to come)"
        text = (
            f"Recorded on {self.made['date'][:10]}: {what} "
            f"on one core of {processors}, torch {self.made['torch']}, "
            f"Python {self.made['python']}, commit {commits}. "
            f"Make it again: {self.made['command']}"
        )
        return f"A smoke run, its numbers mean nothing. {text}" if self.smoke else text

    def _provenance_of_card(self) -> str:
        made = self.made
        driver = f", driver {made['driver']}" if "driver" in made else ""
        text = (
            f"Recorded on {made['date'][:10]} on one {made['card']}{driver}, "
            f"torch {made['torch']}, Python {made['python']}, code {made['fingerprint']}. "
            f"Make it again: {made['command']}"
        )
        return f"A smoke run, its numbers mean nothing. {text}" if self.smoke else text

    def __str__(self) -> str:
        return self.provenance

    def _repr_markdown_(self) -> str:
        return self.provenance

    def _repr_html_(self) -> str:
        text, command = html.escape(self.provenance), html.escape(self.made["command"])
        text = text.replace(command, f"<code>{command}</code>")
        return f'<p class="frugal-provenance"><small>{text}</small></p>'


def _mean_and_std(row: pd.Series, form: str) -> str:
    """A mean with its spread; the mean alone where all seeds gave the same, or there is one."""
    if pd.isna(row["std"]) or row["std"] == 0:
        return format(row["mean"], form)
    return f"{row['mean']:{form}} ± {row['std']:{form}}"


def told(values: ArrayLike, form: str = ".2f") -> str:
    """Mean and standard deviation of what the seeds gave, as a table shows them: "0.98 ± 0.01"."""
    values = pd.Series(np.asarray(values, dtype=float))
    return _mean_and_std(values.agg(["mean", "std"]), form)


def tensor_of(kept: dict[str, Any]) -> Tensor:
    """A tensor of float32 from its `shape` and the base64 of its half-precision bytes."""
    import torch

    halves = np.frombuffer(base64.b64decode(kept["float16"]), "<f2")
    return torch.from_numpy(halves.astype(np.float32).reshape(kept["shape"]))


def load(name: str, *, folder: Path | str | None = None) -> Result:
    """The recorded result of an experiment.

    name: as in `python -m experiments list`. folder: where to look, `results_folder()` by default.
    Raises MissingResult when it is not recorded (the message names the command that records it) and
    ValueError when its file cannot be read.
    """
    path = Path(folder or results_folder()) / f"{name}.json"
    if not path.is_file():
        raise MissingResult(
            f"there is no recorded result '{name}' ({path}): "
            f"run python -m experiments run {name} in the repository's root"
        )
    try:
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"the recorded result {path} cannot be read ({error}): make it again with "
            f"python -m experiments run {name}"
        ) from error


def results_folder() -> Path:
    """`$FRUGAL_RESULTS`, or `experiments/results` here or in a folder above.

    Raises MissingResult when there is none.
    """
    chosen = os.environ.get("FRUGAL_RESULTS")
    if chosen:
        return Path(chosen)
    here = Path.cwd()
    for above in (here, *here.parents):
        folder = above / "experiments" / "results"
        if folder.is_dir():
            return folder
    raise MissingResult(
        f"there is no folder experiments/results in {here} or above it: "
        "work in the repository, or set FRUGAL_RESULTS to the folder of results"
    )


class Interval(NamedTuple):
    """A mean and its confidence interval; numbers, or arrays of one shape."""

    mean: NDArray
    low: NDArray
    high: NDArray


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Mean over the first axis (seeds) with Student's t interval; needs SciPy.

    values: (seeds, ...), two seeds or more. The interval is exact where the seeds' values are
    normal, and wide where there are few: with 5 seeds it reaches 1.24 standard deviations to each
    side.
    """
    values = np.asarray(values, dtype=float)
    n = len(values) if values.ndim else 0
    if n < 2:
        raise ValueError(f"values has {n} seeds; an interval needs at least 2.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1.")
    t = installed("scipy.stats", extra="evidence").t
    mean = values.mean(axis=0)
    reach = t.ppf((1 + confidence) / 2, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return Interval(mean, mean - reach, mean + reach)
