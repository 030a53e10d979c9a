"""How fast, and in how much memory, from 512 to 65,536 tokens in bfloat16?

Every length has the same number of tokens in all, so that the card is full at each. Forward
without gradients, and forward with backward, beside torch's fused attention of the same direction
and beside installed public kernels; achieved FLOP/s and bytes/s beside the card's own ceilings.
"""

from __future__ import annotations

import gc
import time
from typing import Any

import torch
from torch import Tensor, nn

from experiments.gpu import timing
from experiments.gpu.racers import HEAD_DIM, HEADS, WIDTH, Racer, public, racers

LENGTHS = (4096, 65536, 512, 16384, 1024, 32768, 2048, 8192)
"""In the order in which they are timed: a run that is cut off has the ends and the middle."""
TOKENS = 65536
SMOKE_LENGTHS, SMOKE_TOKENS = (128, 256), 256


def plan(smoke: bool) -> tuple[list[tuple[str, Racer, int]], dict[str, str]]:
    """Who is timed at which length, in order, and what public kernels are missing why."""
    theirs, missing = public()
    everyone = racers() | theirs
    fused = [name for name, racer in everyone.items() if racer.against is None]
    rest = [name for name in everyone if name not in fused]
    steps = []
    for length in SMOKE_LENGTHS if smoke else LENGTHS:
        for name in [*fused, *rest]:
            racer = everyone[name]
            if racer.longest is None or length <= racer.longest:
                steps.append((name, racer, length))
    return steps, missing


def measure(racer: Racer, length: int, device: torch.device, *, smoke: bool) -> dict[str, float]:
    """Seconds, spread and peak bytes, forward and training, and the rates that they mean."""
    tokens = SMOKE_TOKENS if smoke else TOKENS
    batch = max(1, tokens // length)
    call = racer.make(length)
    weights: list[Tensor] = []
    if isinstance(call, nn.Module):
        call = call.to(device, torch.bfloat16)
        call.requires_grad_()
        weights = list(call.parameters())
    shape = (batch, length, WIDTH) if racer.layer else (batch, HEADS, length, HEAD_DIM)
    draw = {"device": device, "dtype": torch.bfloat16}
    given = [torch.randn(shape, **draw) for _ in range(1 if racer.layer else 3)]
    options = dict(racer.options)

    def forward() -> Any:
        with torch.no_grad():
            return call(*given, **options)

    leaves = [x.detach().requires_grad_() for x in given]
    both = timing.training(lambda: call(*leaves, **options), [*leaves, *weights])
    # a layer's FLOPs are counted a token, those of heads a sequence and in units of head_dim
    each = length if racer.layer else HEADS * HEAD_DIM
    flops = racer.flops(length) * batch * each
    moved = sum(x.nbytes for x in given) + given[0].nbytes
    values: dict[str, float] = {"length": length, "batch": batch}
    for what, run, times in (("forward", forward, 1.0), ("training", both, 3.5)):
        seconds, spread = timing.seconds_of(run, device)
        values |= {
            f"{what} seconds": seconds,
            f"{what} spread": spread,
            f"{what} flops per second": times * flops / seconds,
            f"{what} bytes per second": (1 if what == "forward" else 3) * moved / seconds,
            f"{what} peak bytes": timing.peak_bytes_of(run, device),
        }
    return values


def fill(report: Any, device: torch.device, *, smoke: bool, until: float) -> None:
    """Run the plan into the report; who ran out of memory or time is recorded so."""
    began = time.monotonic()
    ceilings = timing.ceilings(device, smoke=smoke)
    report.add("ceilings", {"what": "the card's own"}, ceilings, seconds=time.monotonic() - began)
    steps, missing = plan(smoke)
    for name, why in missing.items():
        report.add(name, {"racer": name}, {}, seconds=0.0, error=f"not installed: {why}")
    for name, racer, length in steps:
        setting = f"{name} | {length}"
        about = {"racer": name, "against": racer.against, "length": length}
        if time.monotonic() > until:
            report.add(setting, about, {}, seconds=0.0, error="not begun: no time left")
            continue
        began, values, error = time.monotonic(), {}, None
        try:
            values = measure(racer, length, device, smoke=smoke)
        except Exception as problem:  # one case must not end the part
            error = f"{type(problem).__name__}: {problem}"
        report.add(setting, about, values, seconds=time.monotonic() - began, error=error)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
