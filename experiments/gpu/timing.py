"""Seconds by the card's own events, peak memory by its allocator, and what the card can do at most.

On a CPU, where the script is only tried out, a clock takes the place of the events.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LEAST_SECONDS = 0.1
"""Repeat for about this long."""
TURNS = (3, 20)
"""At least and at most so many repetitions."""


def seconds_of(
    call: Callable[[], Any], device: torch.device, *, smoke: bool = False
) -> tuple[float, float]:
    """Median and interquartile range, after three calls to warm up."""
    turns = 2
    if not smoke:
        for _ in range(2):
            call()
        once = _timed(call, device)
        turns = max(TURNS[0], min(TURNS[1], round(LEAST_SECONDS / max(once, 1e-7))))
    found = [_timed(call, device) for _ in range(turns)]
    low, middle, high = statistics.quantiles(found, n=4)
    return middle, high - low


def _timed(call: Callable[[], Any], device: torch.device) -> float:
    if device.type != "cuda":
        began = time.perf_counter()
        call()
        return time.perf_counter() - began
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    began.record()
    call()
    ended.record()
    torch.cuda.synchronize(device)
    return began.elapsed_time(ended) / 1e3


def peak_bytes_of(call: Callable[[], Any], device: torch.device) -> int:
    """The most that one call holds beyond what was there before; 0 on a CPU, where none counts."""
    if device.type != "cuda":
        return 0
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def ceilings(device: torch.device, *, smoke: bool) -> dict[str, float]:
    """FLOP/s of a large bfloat16 matrix product of random numbers, bytes/s of a large copy.

    The copy counts the bytes that are read and those that are written.
    """
    side, numbers = (256, 2**16) if smoke else (8192, 2**30)
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    product, _ = seconds_of(lambda: a @ b, device, smoke=smoke)
    source = torch.randn(numbers, device=device, dtype=torch.bfloat16)
    target = torch.empty_like(source)
    copy, _ = seconds_of(lambda: target.copy_(source), device, smoke=smoke)
    return {
        "flops per second": 2 * side**3 / product,
        "bytes per second": 2 * source.nbytes / copy,
    }


def training(call: Callable[..., Tensor], leaves: list[Tensor]) -> Callable[[], Any]:
    """The call and its backward pass, for a fixed random cotangent that is drawn at first."""
    cotangent: list[Tensor] = []

    def both() -> Any:
        with torch.enable_grad():
            out = call()
        if not cotangent:
            cotangent.append(torch.randn_like(out))
        return torch.autograd.grad(out, leaves, cotangent[0], allow_unused=True)

    return both
