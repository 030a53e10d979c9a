"""Peak memory of one call: from the allocator on CUDA, from the profiler's events on a CPU.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# The profiler's library writes a line to the terminal whenever it starts or stops; it reads this
# when it starts for the first time.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")


def peak_bytes(
    fn: Callable[..., Any], *args: Any, device: torch.device | None = None, **options: Any
) -> int:
    """The most bytes that one call holds at a time, beyond what was there before it.

    What the call returns is included, its arguments are not. On a CPU it is the largest running
    sum of the profiler's allocation events, work space inside kernels included; on CUDA the
    allocator's own mark. options: keyword arguments of `fn`.
    """
    device = device or device_of(fn, *args, **options)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        fn(*args, **options)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        fn(*args, **options)
    events = [event for event in profile.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def device_of(fn: Callable[..., Any], *args: Any, **options: Any) -> torch.device:
    """Where a call runs: the first device that is not a CPU among its tensors, else the CPU."""
    for tensor in _of_call(fn, *args, **options):
        if tensor.device.type != "cpu":
            return tensor.device
    return torch.device("cpu")


def dtype_of(fn: Callable[..., Any], *args: Any, **options: Any) -> str:
    """In which dtype a call computes: the first of its tensors that holds fractions, or "".

    Under autocast it is autocast's: "float32, autocast bfloat16".
    """
    found = [x for x in _of_call(fn, *args, **options) if x.is_floating_point() or x.is_complex()]
    name = str(found[0].dtype).removeprefix("torch.") if found else ""
    kind = found[0].device.type if found else "cpu"
    if torch.is_autocast_enabled(kind):
        cast = str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
        name = f"{name}, autocast {cast}"
    return name


@cache
def processor_of(device: torch.device) -> str:
    """The name of the card, or of the machine's processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _of_call(fn: Callable[..., Any], *args: Any, **options: Any) -> Iterator[Tensor]:
    """The tensors that a call is given, and those of the module that it is a method of."""
    yield from _tensors((*args, options))
    while isinstance(fn, partial):
        yield from _tensors((*fn.args, fn.keywords))
        fn = fn.func
    owner = getattr(fn, "__self__", fn)
    if isinstance(owner, nn.Module):
        yield from owner.parameters()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
