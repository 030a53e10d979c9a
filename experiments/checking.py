"""Run a recorded seed again, and see whether the tree still gives what is recorded."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from experiments import runner
from experiments.writing import as_json, write
from frugal import results

TOLERANCE = 0.02
"""How far a number may lie from the recorded one, over the larger of 1 and the recorded one.

The same code on the same processor repeats itself to the last digit. Another processor adds up in
another order, and training makes that larger. An experiment may state a TOLERANCE of its own: a
number, or a dict of them by metric (`*` stands for anything; infinity: not compared).
"""
TIMES = re.compile(r"(^|[ _])(seconds|milliseconds|ms|time|times)($|[ _])")
"""Metrics that measure time, which no second run repeats; they are not compared."""


def check(
    name: str,
    *,
    seed: int = 0,
    settings: Sequence[str] = (),
    folder: Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """A row a metric: setting, metric, recorded, now, apart, tolerance, held.

    The largest distance, the date and the fingerprint of the code are noted in the result's file.
    settings: some of the experiment's, all by default. Raises ValueError for a setting or a seed
    that is not recorded, or is another one now, and where there are only times.
    """
    folder = runner.RESULTS if folder is None else folder
    recorded = results.load(name, folder=folder)
    chosen = tuple(dict.fromkeys(settings)) or tuple(recorded.settings)
    known = {(run["setting"], run["seed"]): run["values"] for run in recorded.runs}
    for setting in chosen:
        if (setting, seed) not in known:
            raise ValueError(f"{setting!r} with seed {seed} is not recorded in '{name}'.")
    module = runner.module_of(name)
    now = json.loads(json.dumps(module.settings()))
    for setting in chosen:
        if now.get(setting) != recorded.settings[setting]:
            raise ValueError(
                f"setting {setting!r} is {now.get(setting)}; it must be what is recorded, "
                f"{recorded.settings[setting]}: record '{name}' again."
            )
    stated = getattr(module, "TOLERANCE", TOLERANCE)
    rows = []
    for setting in tqdm(chosen, desc=name, disable=not progress):
        again = runner.run_job(name, setting, seed, now[setting])["values"]
        rows += list(_compared(setting, known[setting, seed], again, stated))
    if not rows:
        raise ValueError(f"'{name}' has no number that a second run repeats: only times.")
    table = pd.DataFrame(rows)
    _note(folder / f"{name}.json", name, seed, chosen, table)
    return table


def tolerance_of(metric: str, stated: float | dict[str, float]) -> float:
    """How far the metric's numbers may lie apart; infinity for a time."""
    if TIMES.search(metric):
        return math.inf
    if isinstance(stated, dict):
        fitting = (value for pattern, value in stated.items() if fnmatchcase(metric, pattern))
        return next(fitting, TOLERANCE)
    return stated


def _compared(
    setting: str,
    recorded: dict[str, Any],
    now: dict[str, Any],
    stated: float | dict[str, float],
) -> Iterator[dict[str, Any]]:
    """A row a metric that either has; one that the other lacks is infinitely far apart."""
    for metric in {**recorded, **now}:
        tolerance = tolerance_of(metric, stated)
        if math.isinf(tolerance):
            continue
        value = recorded.get(metric)
        before, after = list(_numbers(value)), list(_numbers(now.get(metric)))
        apart = math.inf
        if metric in recorded and metric in now and len(before) == len(after):
            pairs = zip(before, after, strict=True)
            apart = max((_apart(*pair) for pair in pairs), default=0.0)
        yield {
            "setting": setting,
            "metric": metric,
            "recorded": value,
            "now": now.get(metric),
            "apart": apart,
            "tolerance": tolerance,
            "held": apart <= tolerance,
        }


def _apart(recorded: float | None, now: float | None) -> float:
    """How far two numbers differ; where both are missing, not at all."""
    if recorded is None or now is None:
        return 0.0 if recorded is now else math.inf
    return abs(now - recorded) / max(1.0, abs(recorded))


def _numbers(value: Any) -> Iterator[float | None]:
    if isinstance(value, dict):  # weights
        for kept in value.values():
            yield from results.tensor_of(kept).flatten().tolist()
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    else:
        yield value


def _note(path: Path, name: str, seed: int, chosen: tuple[str, ...], table: pd.DataFrame) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    result["checked"] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "fingerprint": runner.fingerprint_of(name),
        "seed": seed,
        "settings": list(chosen),
        "apart": min(float(table["apart"].max()), 1e9),
        "held": bool(table["held"].all()),
    }
    write(path, as_json(result))


@dataclasses.dataclass(frozen=True)
class State:
    """How a recorded result stands to the code of this tree, in a sentence."""

    fits: bool
    sentence: str


def _remedy(name: str) -> str:
    """The command that says whether old numbers still hold. Times cannot: they are taken anew."""
    if name.startswith(runner.BENCH):
        return f"python -m experiments.bench {name.removeprefix(runner.BENCH)} --write"
    return f"python -m experiments check {name}"


def state_of(name: str, recorded: results.Result) -> State:
    """Whether the files that made a result are those of the tree, or a check says they agree."""
    now = runner.fingerprint_of(name)
    made = {run.get("fingerprint") for run in recorded.runs}
    if made == {now}:
        return State(True, "Made by the code of this tree.")
    words = "No fingerprint (made before they were kept)" if None in made else "Made by other code"
    checked = recorded.checked
    if checked is None:
        return State(False, f"{words}, never checked since: {_remedy(name)}")
    outcome = "held" if checked["held"] else f"NOT held (apart by {checked['apart']:.2g})"
    some, every = len(checked["settings"]), len(recorded.settings)
    of = "all settings" if some == every else f"{some} of {every} settings"
    what = f"{words}; checked on {checked['date'][:10]}, seed {checked['seed']} of {of}: {outcome}"
    if checked["fingerprint"] != now:
        return State(False, f"{what}, but the code has changed since.")
    return State(checked["held"] and some == every, f"{what} with the code of this tree.")
