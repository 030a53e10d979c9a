"""Does `torch.compile` give the same numbers, at two lengths, and in how many graphs?

Each attention and mixer is asked without padding, and then with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from experiments.gpu.correctness import error
from experiments.gpu.subjects import attentions, heads, mixers, ragged, rows

LENGTHS = (256, 200)
SMOKE_LENGTHS = (48, 40)
FEW = ("softmax", "elu", "lightweight conv")
"""What the tests compile."""
PADDED = ": padding"
"""How the name of a call with padding ends."""


def names(smoke: bool) -> list[str]:
    """The jobs, "call | size": those without padding first; all of them take it."""
    known = [*attentions(LENGTHS[0]), *mixers(LENGTHS[0])]
    size = "smoke" if smoke else "full"
    chosen = [name for name in known if not smoke or name in FEW]
    padded = [f"{name}{PADDED}" for name in chosen]
    return [f"{call} | {size}" for call in (*chosen, *padded)]


def about(job: str) -> dict[str, Any]:
    return {"subject": job.split(" | ")[0], "lengths": list(LENGTHS)}


def work(job: str, device: str) -> dict[str, float]:
    """Graphs and breaks of one call, and how far compiled and plain numbers lie apart.

    On a CPU the compiler's back end, which needs a C++ compiler there, is left out.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    call, size = job.split(" | ")
    name = call.removesuffix(PADDED)
    lengths = LENGTHS if size == "full" else SMOKE_LENGTHS
    causal = False
    torch.manual_seed(0)
    if name in mixers(lengths[0]):
        module, draw = mixers(lengths[0])[name](), rows
    else:
        make, ways = attentions(lengths[0])[name]
        module, draw, causal = make(), heads, "causal" in ways

    def options(length: int) -> dict[str, Any]:
        found: dict[str, Any] = {"causal": True} if causal else {}
        if call != name:
            found["padding"] = ragged(length, left=causal).to(device)
        return found

    weights: list[Tensor] = []
    if isinstance(module, nn.Module):
        module = module.to(device).eval()
        weights = list(module.parameters())

    def inputs(length: int) -> list[Tensor]:
        drawn = draw(torch.Generator().manual_seed(length), length=length)
        return [x.float().to(device).requires_grad_() for x in drawn]

    explained = torch._dynamo.explain(module)(*inputs(lengths[0]), **options(lengths[0]))
    torch._dynamo.reset()
    back_end = "inductor" if torch.device(device).type == "cuda" else "aot_eager"
    compiled = torch.compile(module, backend=back_end)
    values = {
        "graphs": float(explained.graph_count),
        "breaks": float(explained.graph_break_count),
    }
    for place, length in zip(("first", "second"), lengths, strict=True):
        given = options(length)
        found = [_outcome(one, inputs(length), weights, given) for one in (compiled, module)]
        values[f"output, {place} length"] = error(found[0][:1], found[1][:1])
        values[f"gradients, {place} length"] = error(found[0][1:], found[1][1:])
    return values


def _outcome(
    call: Any, given: list[Tensor], weights: list[Tensor], options: dict[str, Any]
) -> list[Tensor]:
    """The output, and the gradients of its sum of squares."""
    out = call(*given, **options)
    leaves = [*given, *weights]
    grads = torch.autograd.grad(out.square().sum(), leaves, allow_unused=True)
    return [out, *(grad for grad in grads if grad is not None)]
