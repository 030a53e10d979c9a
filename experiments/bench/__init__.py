"""Benchmarks: the library against its peers, in turns, on one thread, in process CPU time.

A bench is a module of this folder with `cases(smoke)`, a list of `Case`. In each round the cases
run once after the other, so that a busy spell of the machine hits all of them; a ratio is the
median of the rounds' ratios. `python -m experiments.bench` prints the tables.
"""

from __future__ import annotations

import datetime
import gc
import importlib
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from experiments import provenance, runner, writing
from frugal.measure import forward_backward, peak_bytes


@dataclass(frozen=True)
class Case:
    """One thing to time.

    run: called without arguments. against: the case that its time is divided by. bar: the largest
    ratio that the book promises. memory_bar: the most bytes that it may hold at once.
    """

    name: str
    run: Callable[[], Any]
    against: str | None = None
    bar: float | None = None
    memory_bar: int | None = None


def names() -> list[str]:
    """The benches there are."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if not path.stem.startswith("_"))


def race(cases: Sequence[Case], *, rounds: int, progress: bool = True) -> list[dict[str, float]]:
    """CPU seconds of every case in every round, after one unmeasured call each.

    Raises ValueError when `rounds` is below 1, or a case is against one that is not there.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; it must be 1 or more.")
    for case in cases:
        if case.against is not None and case.against not in {other.name for other in cases}:
            raise ValueError(f"{case.name!r} is against {case.against!r}, which is no case.")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds: list[dict[str, float]] = []
    try:
        with tqdm(total=(rounds + 1) * len(cases), disable=not progress, leave=False) as bar:
            for turn in range(rounds + 1):
                taken = {}
                for case in cases:
                    gc.collect()
                    began = time.process_time()
                    case.run()
                    taken[case.name] = time.process_time() - began
                    bar.update()
                if turn > 0:  # the first is a warm-up
                    seconds.append(taken)
    finally:
        torch.set_num_threads(threads)
    return seconds


def table(cases: Sequence[Case], seconds: Sequence[dict[str, float]]) -> pd.DataFrame:
    """A row a case: milliseconds (median), ratio, peak, their bars, and whether these hold."""
    rows = []
    for case in cases:
        ratio = peak = None
        if case.against is not None:
            ratio = statistics.median(one[case.name] / one[case.against] for one in seconds)
        if case.memory_bar is not None:
            peak = peak_bytes(case.run)
        held = (case.bar is None or ratio <= case.bar) and (
            case.memory_bar is None or peak <= case.memory_bar
        )
        rows.append(
            {
                "case": case.name,
                "ms": 1e3 * statistics.median(one[case.name] for one in seconds),
                "ratio": ratio,
                "against": case.against or "",
                "bar": case.bar,
                "peak MB": None if peak is None else peak / 1e6,
                "bar MB": None if case.memory_bar is None else case.memory_bar / 1e6,
                "held": held,
            }
        )
    return pd.DataFrame(rows).set_index("case")


def bench(
    name: str, *, rounds: int = 5, smoke: bool = False
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Run one bench: its table, and its result in the form that `frugal.results` reads.

    In the result every round of the race stands where an experiment has a seed.
    """
    if name not in names():
        raise ValueError(f"name is {name!r}; it must be one of {', '.join(names())}.")
    module = importlib.import_module(f"experiments.bench.{name}")
    cases = module.cases(smoke)
    seconds = race(cases, rounds=rounds)
    frame = table(cases, seconds)
    processor, commit = provenance.processor(), provenance.commit(runner.FOLDER.parent)
    fingerprint = runner.fingerprint_of(f"{runner.BENCH}{name}")
    runs = []
    for turn, taken in enumerate(seconds):
        for case in cases:
            values = {"seconds": taken[case.name]}
            if case.against is not None:
                values["ratio"] = taken[case.name] / taken[case.against]
            if case.memory_bar is not None:
                values["peak_bytes"] = float(frame.loc[case.name, "peak MB"] * 1e6)
            runs.append(
                {
                    "setting": case.name,
                    "seed": turn,
                    "seconds": round(taken[case.name], 4),
                    "processor": processor,
                    "values": values,
                    "commit": commit,
                    "fingerprint": fingerprint,
                }
            )
    settings = {
        c.name: {"against": c.against, "bar": c.bar, "memory_bar": c.memory_bar} for c in cases
    }
    made = {
        "command": f"python -m experiments.bench {name} --rounds {rounds} --write",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "torch": metadata.version("torch"),
        "python": platform.python_version(),
    }
    question = (module.__doc__ or name).strip().splitlines()[0]
    result = {
        "name": f"{runner.BENCH}{name}",
        "question": question,
        "settings": settings,
        "smoke": smoke,
    }
    return frame, result | {"unit": "round", "made": made, "runs": runs}


def write(result: dict[str, Any], folder: Path = runner.RESULTS) -> Path:
    """Write a bench's result beside those of the experiments, and give its path."""
    return writing.write(folder / f"{result['name']}.json", writing.as_json(result))


def call(
    run: Callable[..., Tensor], *inputs: Tensor, training: bool = False
) -> Callable[[], Tensor]:
    """`run` on the inputs, forward without gradients or with its backward pass, to be timed."""
    if training:
        return partial(forward_backward(run), *inputs)

    def forward() -> Tensor:
        with torch.no_grad():
            return run(*inputs)

    return forward


class Encoded(nn.Module):
    """An encoder called on vectors, as a module, so that training reaches its weights."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder.encode(x)
