"""The cost of one call: seconds, peak bytes, FLOPs.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils import benchmark

from frugal.checks import at_least, between, check_function, one_of
from frugal.measure.flops import count_flops
from frugal.measure.memory import device_of, peak_bytes

Clock = Literal["wall", "cpu"]

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Wall-clock time, or this process's time on the CPU: on a shared machine the second repeats."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one call costs.

    seconds: median over the rounds. spread: interquartile range of the rounds, in seconds.
    peak_bytes: most bytes held at a time beyond those held before the call. flops: floating-point
    operations counted; a multiplication and an addition are two. blind: operations that ran and
    count as nothing in `flops`.
    """

    seconds: float
    spread: float
    peak_bytes: int
    flops: int
    blind: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = (
            f"{self.seconds * 1e3:.3g} ms (± {self.spread * 1e3:.2g}), "
            f"{self.peak_bytes / 2**20:.3g} MiB, {self.flops / 1e9:.3g} GFLOP"
        )
        return f"{text}, not counted: {', '.join(self.blind)}" if self.blind else text


def measure(
    fn: Callable[..., Any],
    *args: Any,
    clock: Clock = "wall",
    threads: int = 1,
    min_seconds: float | int = 0.2,
    rounds: int = 5,
    **options: Any,
) -> Cost:
    """Measure `fn(*args, **options)`, where its tensors are.

    It runs a few times to warm up, to count FLOPs and to see its memory; then
    `torch.utils.benchmark` times it for at least `min_seconds` and `rounds` rounds.

    clock: "wall", or "cpu" for this process's CPU time, which other programs on the machine hardly
    disturb; with one thread both agree on an idle machine. threads: torch's threads during the
    call; their number is put back afterwards. options: keyword arguments of `fn`; those that are
    called like one of these here, give by `functools.partial`.

    Raises ValueError: an argument is out of range, or the CPU's clock is asked to time a GPU.
    """
    check_function(fn=fn)
    device = device_of(fn, *args, **options)
    check_timing(clock, threads, device)
    at_least(1, rounds=rounds)
    between(0, math.inf, min_seconds=min_seconds)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        call = partial(fn, **options) if options else fn
        flops, blind = count_flops(call, *args)
        peak = peak_bytes(call, *args, device=device)
        timer = benchmark.Timer(
            "fn(*args)",
            globals={"fn": call, "args": args},
            num_threads=threads,
            # torch's own wall clock waits for the GPU
            **({"timer": CLOCKS[clock]} if clock == "cpu" else {}),
        )
        once = timer.blocked_autorange(min_run_time=1e-9).median
        timed = timer.blocked_autorange(min_run_time=max(min_seconds, rounds * once))
    finally:
        torch.set_num_threads(before)
    return Cost(timed.median, timed.iqr, peak, flops, blind)


def forward_backward(fn: Callable[..., Tensor]) -> Callable[..., tuple[Tensor | None, ...]]:
    """A callable that runs `fn` and the backward pass from the sum of what it returns.

    Gradients are computed for the floating-point tensors among the positional arguments and, if
    `fn` is a module, for its parameters; None for one that has no part in the output. They are
    returned, not accumulated, so every call does the same.
    """

    def both(*args: Any, **options: Any) -> tuple[Tensor | None, ...]:
        args = tuple(
            a.detach().requires_grad_() if isinstance(a, Tensor) and a.is_floating_point() else a
            for a in args
        )
        leaves = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
        if isinstance(fn, nn.Module):
            leaves += [p for p in fn.parameters() if p.requires_grad]
        with torch.enable_grad():
            out = fn(*args, **options)
        return torch.autograd.grad(out, leaves, torch.ones_like(out), allow_unused=True)

    return both


def check_timing(clock: str, threads: int, device: torch.device) -> None:
    """Raise ValueError unless this clock can time this device with that many threads."""
    one_of(get_args(Clock), clock=clock)
    if clock == "cpu" and device.type != "cpu":
        raise ValueError(f"clock is 'cpu'; it must be 'wall' for tensors on {device}.")
    at_least(1, threads=threads)
