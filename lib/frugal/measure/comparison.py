"""Competitors side by side over length, in turns, so that what disturbs one disturbs all.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from __future__ import annotations

import math
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple, SupportsFloat

import numpy as np
import pandas as pd
import torch

from frugal.checks import at_least, between, check_function
from frugal.measure.cost import CLOCKS, Clock, check_timing
from frugal.measure.flops import count_flops
from frugal.measure.memory import device_of, dtype_of, peak_bytes, processor_of

COLUMNS = ("name", "length", "seconds", "spread", "peak_bytes", "flops", "ratio", "note")

CONDITIONS = ("device", "processor", "dtype", "threads", "clock", "torch")
"""The columns that say under what conditions a row was measured, behind `COLUMNS`."""


class Exponent(NamedTuple):
    """The slope of a line through log values over log lengths, and its standard error."""

    exponent: float
    stderr: float


def compare(
    competitors: Mapping[str, Callable[..., Any]],
    lengths: Iterable[int],
    make_inputs: Callable[[int], Any],
    *,
    baseline: str | None = None,
    limits: Mapping[str, int] | None = None,
    clock: Clock | None = None,
    threads: int = 1,
    rounds: int = 5,
    min_seconds: float | int = 0.02,
    x_name: str = "length",
) -> pd.DataFrame:
    """Cost of every competitor at every length.

    At one length each round times A, B, ... once in turn, so a busy spell of the machine hits all
    of them; a ratio is the median of the rounds' ratios.

    competitors: `{name: fn}`; each is called with the same inputs. lengths: taken in ascending
    order. make_inputs: `length -> inputs`, a tensor, a tuple of arguments, or a dictionary of
    keyword arguments. baseline: the name
    that ratios are to; by default the first. limits: `{name: longest length}` for competitors
    that would take too long. clock: "wall" or "cpu"; by default the process's CPU time, or wall
    time for a GPU. threads: torch's threads meanwhile; their number is put back afterwards. rounds:
    turns at each length. min_seconds: repeat a quick call within its turn for about this long, by
    the clock on the wall. x_name: what the lengths are, and the name of their column: "batch", say.

    Gives one row a competitor and length: name, length, seconds (median), spread (interquartile
    range, in seconds), peak_bytes, flops, ratio (of seconds to the baseline's, below 1 is faster),
    note; then the conditions, so that tables of two machines can be told apart: device, processor,
    dtype (of the first tensor that holds fractions), threads, clock, torch (its version). A
    competitor past its limit, or out of memory at this length or a shorter one, has NaN and a note
    that says so.

    Raises ValueError: an argument is out of range, or names a competitor that is not there.
    """
    if not isinstance(competitors, Mapping):
        kind = type(competitors).__name__
        raise ValueError(f"competitors is a {kind}; it must be a mapping, {{name: function}}.")
    if not competitors:
        raise ValueError("competitors is empty; there must be at least one.")
    for name, fn in competitors.items():
        check_function(**{f"the competitor {name!r}": fn})
    check_function(make_inputs=make_inputs)
    lengths = list(lengths)
    if not lengths or not all(isinstance(one, Integral) and one >= 1 for one in lengths):
        raise ValueError(f"lengths is {lengths}; it must hold one or more positive lengths.")
    lengths = sorted(set(lengths))
    baseline = next(iter(competitors)) if baseline is None else baseline
    limits = dict(limits or {})
    for argument, names in (("baseline", [baseline]), ("limits", limits)):
        for name in names:
            if name not in competitors:
                known = ", ".join(map(repr, competitors))
                raise ValueError(f"{argument} names {name!r}; it must name one of {known}.")
    at_least(1, rounds=rounds, threads=threads)
    between(0, math.inf, min_seconds=min_seconds)

    if not isinstance(x_name, str) or x_name in {*COLUMNS, *CONDITIONS} - {"length"}:
        raise ValueError(f"x_name is {x_name!r}; it must be a name that no other column has.")

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    notes: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    try:
        for length in lengths:
            inputs, options = make_inputs(length), {}
            if isinstance(inputs, Mapping):
                inputs, options = (), dict(inputs)
            inputs = inputs if isinstance(inputs, tuple) else (inputs,)
            for name in competitors:
                if length > limits.get(name, math.inf):
                    notes.setdefault(name, f"past its limit of {limits[name]}")
            calls = {name: _call(fn, options) for name, fn in competitors.items()}
            racing = {name: call for name, call in calls.items() if name not in notes}
            places = {name: device_of(fn, *inputs, **options) for name, fn in competitors.items()}
            measured = _race(racing, inputs, notes, clock, threads, rounds, min_seconds)
            for row in _rows(list(competitors), length, measured, notes, baseline):
                device, fn = places[row["name"]], competitors[row["name"]]
                conditions = (
                    str(device),
                    processor_of(device),
                    dtype_of(fn, *inputs, **options),
                    threads,
                    _clock(clock, device),
                    torch.__version__,
                )
                rows.append(row | dict(zip(CONDITIONS, conditions, strict=True)))
    finally:
        torch.set_num_threads(before)
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *CONDITIONS])
    return frame.rename(columns={"length": x_name})


def fit_exponent(lengths: Iterable[SupportsFloat], values: Iterable[SupportsFloat]) -> Exponent:
    """How a cost grows: the k of cost ∝ length ** k by least squares on logarithms.

    Pairs with a NaN are left out. With two points the line is exact and its error NaN.

    Raises ValueError: fewer than two different lengths, or a number that is not positive.
    """
    lengths, values = list(lengths), list(values)
    if len(lengths) != len(values):
        raise ValueError(
            f"lengths holds {len(lengths)} and values {len(values)}; there must be one for each."
        )
    try:
        pairs = np.array([lengths, values], dtype=float).T
    except (TypeError, ValueError):
        raise ValueError(
            "lengths or values holds what is no number; both must be numbers."
        ) from None
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    if len(set(pairs[:, 0])) < 2:
        raise ValueError(f"lengths holds {len(set(pairs[:, 0]))} with a value; it must hold two.")
    if not (pairs > 0).all():
        raise ValueError(
            "values or lengths have one that is not above 0; each must have a logarithm."
        )
    x, y = np.log(pairs).T
    x, y = x - x.mean(), y - y.mean()
    slope = (x @ y) / (x @ x)
    left_over = ((y - slope * x) ** 2).sum()
    free = len(x) - 2
    return Exponent(float(slope), math.sqrt(left_over / free / (x @ x)) if free else math.nan)


def _call(fn: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    return partial(fn, **options) if options else fn


def _clock(clock: Clock | None, device: torch.device) -> Clock:
    """Which clock times this device: the one asked for, or the one that disturbs least."""
    return clock or ("cpu" if device.type == "cpu" else "wall")


def _race(
    racing: Mapping[str, Callable[..., Any]],
    inputs: tuple[Any, ...],
    notes: dict[str, str],
    clock: Clock | None,
    threads: int,
    rounds: int,
    min_seconds: float | int,
) -> dict[str, dict[str, Any]]:
    """Memory, FLOPs and the seconds of each round; who runs out of memory leaves with a note."""
    ready: dict[str, dict[str, Any]] = {}
    for name, fn in racing.items():
        device = device_of(fn, *inputs)
        chosen = _clock(clock, device)
        check_timing(chosen, threads, device)
        turn = _turn(fn, inputs, device, chosen)
        try:
            flops, _ = count_flops(fn, *inputs)
            peak = peak_bytes(fn, *inputs, device=device)
            began = time.perf_counter()
            turn(1)
            once = time.perf_counter() - began
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            notes[name] = "out of memory"
            continue
        repeats = max(1, math.ceil(min_seconds / max(once, 1e-7)))
        ready[name] = {"flops": flops, "peak_bytes": peak, "turn": turn, "repeats": repeats}
    for _ in range(rounds):
        for racer in ready.values():
            racer.setdefault("rounds", []).append(racer["turn"](racer["repeats"]))
    return ready


def _turn(
    fn: Callable[..., Any], inputs: tuple[Any, ...], device: torch.device, clock: str
) -> Callable[[int], float]:
    """A function that calls `fn` so many times and gives the seconds of one call."""
    now = CLOCKS[clock]

    def read() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return now()

    timer = timeit.Timer(lambda: fn(*inputs), timer=read)  # it keeps the garbage collector out
    return lambda repeats: timer.timeit(repeats) / repeats


def _rows(
    names: list[str],
    length: int,
    measured: Mapping[str, Mapping[str, Any]],
    notes: Mapping[str, str],
    baseline: str,
) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        row = {"name": name, "length": length, "note": notes.get(name, "")}
        if name in measured:
            seconds = measured[name]["rounds"]
            low, high = np.quantile(seconds, [0.25, 0.75])
            row |= {
                "seconds": statistics.median(seconds),
                "spread": float(high - low),
                "peak_bytes": float(measured[name]["peak_bytes"]),
                "flops": float(measured[name]["flops"]),
            }
            if baseline in measured:
                pairs = zip(seconds, measured[baseline]["rounds"], strict=True)
                row["ratio"] = statistics.median(ours / theirs for ours, theirs in pairs)
        rows.append(row)
    return rows


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # the CPU's allocator has no exception of its own
    return "can't allocate memory" in str(error)
