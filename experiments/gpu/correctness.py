"""Does the card give what the CPU gives in float64, outputs and gradients?

Every subject runs on fresh random inputs, in float32 without tf32 and in bfloat16, against the same
call in float64 on the CPU, from the same rounded inputs and weights. The error is
‖out - reference‖ / ‖reference‖, of the output, of the inputs' gradients, and of the weights'.

In bfloat16 the gradients of several layers err by more than the bound, whatever computes them. So
where an error is above it, the CPU's own in the same dtype is measured beside it, and the card's
may be half as large again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from experiments.gpu import callables
from experiments.gpu.subjects import Subject, of_attentions, of_mixers
from experiments.gpu.wholes import of_wholes

Outcome = Callable[[torch.device, torch.dtype], tuple[list[Tensor], list[Tensor], list[Tensor]]]
"""(device, dtype) -> output, gradients of the inputs and of the weights."""

BOUNDS = {"float32": 1e-3, "bfloat16": 2e-2}
SLACK = 1.5
"""How far above the CPU's own error in the same dtype the card's may be."""
PARTS = ("output", "inputs", "weights")
CALL = "call: "
"""How the name of a small call begins."""
LENGTH = 301
"""Odd, and no multiple of any block."""


def subjects(smoke: bool) -> dict[str, Subject]:
    length = 45 if smoke else LENGTH
    return of_attentions(length) | of_mixers(length) | of_wholes(45)


def names(smoke: bool) -> list[str]:
    """The jobs, "dtype | subject | length": those that compile nothing first, float32 first.

    Behind them a small call of every public callable.
    """
    known, size = subjects(smoke), "smoke" if smoke else "full"
    jobs = [
        (
            subject.compiles,
            dtype == "bfloat16",
            f"{dtype} | {name} | {size}",
        )
        for name, subject in known.items()
        for dtype in BOUNDS
        if subject.half or dtype == "float32"
    ]
    ordered = [job for *_, job in sorted(jobs, key=lambda job: job[:2])]
    return [*ordered, *(f"float32 | {CALL}{name} | {size}" for name in callables.calls())]


def about(job: str) -> dict[str, Any]:
    dtype, name, _ = job.split(" | ")
    return {"subject": name, "dtype": dtype, "bound": BOUNDS[dtype]}


def work(job: str, device: str) -> dict[str, float]:
    """The errors of one subject in one dtype, and whether all are within the bound."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    dtype, name, size = job.split(" | ")
    if name.startswith(CALL):
        return small_call(name.removeprefix(CALL), torch.device(device))
    subject = subjects(size == "smoke")[name]
    seed = sum(map(ord, name))
    torch.manual_seed(seed)
    module = subject.make()
    if isinstance(module, nn.Module):
        module = module.eval()
    given = subject.draw(torch.Generator().manual_seed(seed))
    kind = getattr(torch, dtype)

    def rounded(x: Any) -> Any:
        return x.to(kind) if isinstance(x, Tensor) and x.is_floating_point() else x

    module = module.to(kind) if isinstance(module, nn.Module) else module
    given, options = tree_map(rounded, given), tree_map(rounded, subject.options)
    return compared(partial(outcome, module, given, options), torch.device(device), dtype)


def small_call(name: str, device: torch.device) -> dict[str, float]:
    """The errors of one of `callables`."""
    return compared(partial(callables.outcome, name), device, "float32")


def compared(outcome: Outcome, device: torch.device, dtype: str) -> dict[str, float]:
    """The errors of `outcome(device, dtype)` in each part, and whether all are within the bound."""
    cpu, kind = torch.device("cpu"), getattr(torch, dtype)
    reference = outcome(cpu, torch.float64)
    found = errors(outcome(device, kind), reference)
    if all(value <= BOUNDS[dtype] for value in found.values()):
        return found | {"held": 1.0}
    own = errors(outcome(cpu, kind), reference)
    held = all(value <= max(BOUNDS[dtype], SLACK * own[part]) for part, value in found.items())
    return found | {f"{part} on the CPU": value for part, value in own.items()} | {"held": held}


def errors(
    found: tuple[list[Tensor], ...], reference: tuple[list[Tensor], ...]
) -> dict[str, float]:
    """The error of each part that there is."""
    return {
        part: error(mine, theirs)
        for part, mine, theirs in zip(PARTS, found, reference, strict=True)
        if theirs
    }


def outcome(
    module: Callable[..., Any],
    given: tuple[Tensor, ...],
    options: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Output, gradients of the inputs and of the weights, for a fixed random cotangent."""

    def placed(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return x.to(device, dtype) if x.is_floating_point() else x.to(device)

    if isinstance(module, nn.Module):
        module = placed_module(module, device, dtype)
        weights = [one for one in module.parameters() if one.requires_grad]
    else:
        weights = []
    given, options = tree_map(placed, given), tree_map(placed, options)
    inputs = [x.requires_grad_() for x in given if x.is_floating_point()]
    out = module(*given, **options)
    if not out.requires_grad:
        return [out.detach()], [], []
    generator = torch.Generator().manual_seed(0)
    cotangent = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    cotangent = cotangent.bfloat16().to(device, out.dtype)
    grads = torch.autograd.grad(out, [*inputs, *weights], cotangent, allow_unused=True)
    kept = [
        torch.zeros_like(leaf) if grad is None else grad
        for leaf, grad in zip([*inputs, *weights], grads, strict=True)
    ]
    return [out.detach()], kept[: len(inputs)], kept[len(inputs) :]


def placed_module(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    return copy.deepcopy(module).to(device, dtype)


def error(found: list[Tensor], reference: list[Tensor]) -> float:
    """‖found - reference‖ / ‖reference‖ over all tensors together; whole numbers must be equal."""
    pairs = [(a.detach().cpu(), b.detach().cpu()) for a, b in zip(found, reference, strict=True)]
    if reference[0].is_complex():
        pairs = [(torch.view_as_real(a), torch.view_as_real(b)) for a, b in pairs]
    elif not reference[0].is_floating_point():
        return float(any(not torch.equal(a, b) for a, b in pairs))
    apart = sum((a.double() - b).square().sum() for a, b in pairs)
    whole = sum(b.square().sum() for _, b in pairs)
    return float((apart / whole).sqrt()) if whole > 0 else float(apart.sqrt())
