"""How fast, and in how much memory, from 512 to 65,536 tokens in bfloat16?

Every length has the same number of tokens in all, so that the card is full at each. Forward
without gradients, and forward with backward, beside torch's fused attention of the same direction
and beside installed public kernels; achieved FLOP/s and bytes/s beside the card's own ceilings.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from experiments.gpu import timing
from experiments.gpu.racers import HEAD_DIM, HEADS, WIDTH, Racer, public, racers
from frugal.attention.patterns import PatternAttention

LENGTHS = (4096, 65536, 512, 16384, 1024, 32768, 2048, 8192)
"""In the order in which they are timed: a run that is cut off has the ends and the middle."""
TOKENS = 65536
SMOKE_LENGTHS, SMOKE_TOKENS = (256,), 256
CEILINGS = "the card's own ceilings"
MISSING = "not installed"


def names(smoke: bool) -> list[str]:
    """The jobs, "racer | length | size": the ceilings, then at each length the fused kernels first.

    A public kernel that is not installed has one job, which says why.
    """
    size = "smoke" if smoke else "full"
    theirs, missing = public()
    everyone = racers() | theirs
    fused = [name for name, racer in everyone.items() if racer.against is None]
    ordered = [*fused, *(name for name in everyone if name not in fused)]
    jobs = [f"{CEILINGS} | 0 | {size}", *(f"{name} | {MISSING} | {size}" for name in missing)]
    for length in SMOKE_LENGTHS if smoke else LENGTHS:
        for name in ordered:
            longest = everyone[name].longest
            if longest is None or length <= longest:
                jobs.append(f"{name} | {length} | {size}")
    return jobs


def compiled(smoke: bool) -> list[str]:
    """The jobs whose kernels are made at run time, to be made by many processes beforehand."""
    theirs, ours = public()[0], racers()
    found = []
    for job in names(smoke):
        name, length, _ = job.split(" | ")
        if length in ("0", MISSING):
            continue
        if name in theirs or isinstance(ours[name].make(int(length)), PatternAttention):
            found.append(job)
    return found


def warm(job: str, device: str) -> dict[str, float]:
    """Run once, so that what was compiled lies in the compilers' caches on disk."""
    name, length, size = job.split(" | ")
    racer = (racers() | public()[0])[name]
    forward, both = calls(racer, int(length), torch.device(device), smoke=size == "smoke")[:2]
    forward()
    both()
    return {}


def about(job: str) -> dict[str, Any]:
    name, length, _ = job.split(" | ")
    if name == CEILINGS or length == MISSING:
        return {"racer": name}
    racer = (racers() | public()[0])[name]
    return {"racer": name, "against": racer.against, "length": int(length)}


def work(job: str, device: str) -> dict[str, float]:
    """The ceilings, or what one racer takes at one length."""
    name, length, size = job.split(" | ")
    where, smoke = torch.device(device), size == "smoke"
    theirs, missing = public()
    if name == CEILINGS:
        return timing.ceilings(where, smoke=smoke)
    if name in missing:
        raise ImportError(missing[name])
    gc.collect()
    if where.type == "cuda":
        torch.cuda.empty_cache()
    return measure((racers() | theirs)[name], int(length), where, smoke=smoke)


def measure(racer: Racer, length: int, device: torch.device, *, smoke: bool) -> dict[str, float]:
    """Seconds, spread and peak bytes, forward and training, and the rates that they mean."""
    forward, both, given = calls(racer, length, device, smoke=smoke)
    batch = given[0].shape[0]
    # a layer's FLOPs are counted a token, those of heads a sequence and in units of head_dim
    each = length if racer.layer else HEADS * HEAD_DIM
    flops = racer.flops(length) * batch * each
    moved = sum(x.nbytes for x in given) + given[0].nbytes
    values: dict[str, float] = {"length": length, "batch": batch}
    for what, run, times in (("forward", forward, 1.0), ("training", both, 3.5)):
        seconds, spread = timing.seconds_of(run, device, smoke=smoke)
        values |= {
            f"{what} seconds": seconds,
            f"{what} spread": spread,
            f"{what} flops per second": times * flops / seconds,
            f"{what} bytes per second": (1 if what == "forward" else 3) * moved / seconds,
            f"{what} peak bytes": timing.peak_bytes_of(run, device),
        }
    return values


def calls(
    racer: Racer, length: int, device: torch.device, *, smoke: bool
) -> tuple[Callable[[], Any], Callable[[], Any], list[Tensor]]:
    """Forward without gradients, forward with backward, and the inputs of both."""
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
    return forward, both, given
