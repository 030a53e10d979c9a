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
from experiments.gpu.models import VOCABULARY
from experiments.gpu.racer import HEAD_DIM, HEADS, PATCH, TOKENS, WIDTH, Racer, sides
from experiments.gpu.racers import public, racers
from frugal.attention.patterns import PatternAttention

LENGTHS = (4096, 65536, 512, 16384, 1024, 32768, 2048, 8192)
"""In the order in which they are timed: a run that is cut off has the ends and the middle."""
MAIN = LENGTHS[:4]
"""Those at which every pattern is timed: each length is a kernel of its own, to be compiled."""
ALWAYS = ("window, causal", "window")
SMOKE_LENGTHS, SMOKE_TOKENS = (256,), 256
CEILINGS = "the card's own ceilings"
MISSING = "not installed"


def names(smoke: bool) -> list[str]:
    """The jobs, "racer | length | size": the ceilings, then at each length the fused kernels first.

    Public kernels come after the first two lengths, since some try out many forms of themselves
    beforehand, and at other lengths last. One that is not installed has one job, which says why.
    """
    size = "smoke" if smoke else "full"
    ours, (theirs, missing) = racers(), public()
    fused = [name for name, racer in ours.items() if racer.against is None]
    ordered = [*fused, *(name for name in ours if name not in fused)]
    jobs = [f"{CEILINGS} | 0 | {size}", *(f"{name} | {MISSING} | {size}" for name in missing)]
    lengths = SMOKE_LENGTHS if smoke else LENGTHS
    for place, length in enumerate(lengths):
        if place == 2:
            jobs += _at(lengths[0], theirs, size)
        jobs += _at(length, {name: ours[name] for name in ordered}, size)
    for length in lengths[1:] if len(lengths) > 2 else lengths:
        jobs += _at(length, theirs, size)
    return jobs


def _at(length: int, known: dict[str, Racer], size: str) -> list[str]:
    """The jobs of those who are timed at this length."""
    return [
        f"{name} | {length} | {size}"
        for name, racer in known.items()
        if (racer.longest is None or length <= racer.longest)
        and (size == "smoke" or length in MAIN or name in ALWAYS or not _compiles(racer, length))
    ]


def _compiles(racer: Racer, length: int) -> bool:
    if racer.given == "heads":
        return isinstance(racer.make(length), PatternAttention)
    return racer.compiles


def compiled(smoke: bool) -> list[str]:
    """The jobs whose kernels are made at run time, to be made by many processes beforehand."""
    ours = racers()
    return [
        job
        for job in names(smoke)
        for name, length, _ in [job.split(" | ")]
        if name in ours and _compiles(ours[name], int(length))
    ]


def warm(job: str, device: str) -> dict[str, float]:
    """Run once, so that what was compiled lies in the compilers' caches on disk."""
    name, length, size = job.split(" | ")
    racer = (racers() | public()[0])[name]
    forward, both = calls(racer, int(length), torch.device(device), smoke=size == "smoke")[:2]
    forward()
    if racer.trains:
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
    each = HEADS * HEAD_DIM if racer.given == "heads" else length
    flops = racer.flops(length) * batch * each
    moved = sum(x.nbytes for x in given) + given[0].nbytes
    if racer.given == "ids":  # the embeddings are read, and as many numbers written
        moved = 2 * 2 * batch * length * WIDTH
    values: dict[str, float] = {"length": length, "batch": batch}
    passes = [("forward", forward, 1.0), ("training", both, 3.5)]
    for what, run, times in passes if racer.trains else passes[:1]:
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
    given = _drawn(racer, batch, length, device)
    options = dict(racer.options)

    def forward() -> Any:
        with torch.no_grad():
            return call(*given, **options)

    leaves = [x.detach().requires_grad_() if x.is_floating_point() else x for x in given]
    learn = [*(x for x in leaves if x.requires_grad), *weights]
    both = timing.training(lambda: call(*leaves, **options), learn)
    return forward, both, given


def _drawn(racer: Racer, batch: int, length: int, device: torch.device) -> list[Tensor]:
    """What a racer is called with."""
    if racer.given == "ids":
        return [torch.randint(4, VOCABULARY, (batch, length), device=device)]
    shapes = {
        "heads": [(batch, HEADS, length, HEAD_DIM)] * 3,
        "vectors": [(batch, length, WIDTH)],
        "pictures": [(batch, 3, *(PATCH * side for side in sides(length)))],
    }
    draw = {"device": device, "dtype": torch.bfloat16}
    return [torch.randn(shape, **draw) for shape in shapes[racer.given]]
