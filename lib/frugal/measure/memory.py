"""Peak memory of one call: from the allocator on CUDA, from the profiler's events on a CPU.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

# The profiler's library writes a line to the terminal whenever it starts or stops; it reads this
# when it starts for the first time.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")


def peak_bytes(fn: Callable[..., Any], *args: Any, device: torch.device | None = None) -> int:
    """The most bytes that one call holds at a time, beyond what was there before it.

    What the call returns is included, its arguments are not. On a CPU it is the largest running
    sum of the profiler's allocation events, work space inside kernels included; on CUDA the
    allocator's own mark.
    """
    device = device or device_of(fn, *args)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        fn(*args)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        fn(*args)
    events = [event for event in profile.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def device_of(fn: Callable[..., Any], *args: Any) -> torch.device:
    """Where a call runs: the first device that is not a CPU among its tensors, else the CPU."""
    owner = getattr(fn, "__self__", fn)
    if isinstance(owner, nn.Module):
        args = (*args, *owner.parameters())
    for tensor in _tensors(args):
        if tensor.device.type != "cpu":
            return tensor.device
    return torch.device("cpu")


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
