"""Which heads matter, and a model without the others.

A gate ξ_h on each head multiplies what the head found. How much a loss would change with the gate
is |∂L/∂ξ_h| = |A_h · ∂L/∂A_h|, A_h being the output of the head; its mean over examples is the
head's importance. The absolute value is taken per example: gradients of different examples point
different ways and would cancel. A head that goes takes rows of three matrices and columns of the
fourth with it, so that a layer computes less, and not the same with zeros.

Source: michel2019sixteen, section 4. Chapter: sixteen-heads-or-one. Cost: importance takes one
pass forward and backward over the examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal.attention.softmax import MultiHeadAttention
from frugal.checks import at_least
from frugal.modes import in_evaluation

Loss = Callable[[nn.Module, Any], Float[Tensor, " batch"]]
"""(model, batch) to the loss of each example."""


def layers_of(model: nn.Module) -> dict[str, MultiHeadAttention]:
    """The attention layers of a model by name. Raises ValueError when there is none."""
    found = {n: m for n, m in model.named_modules() if isinstance(m, MultiHeadAttention)}
    if not found:
        raise ValueError(f"model is {type(model).__name__}; it must have a MultiHeadAttention.")
    return found


def head_importance(
    model: nn.Module, loss: Loss, batches: Iterable[Any], *, normalize: bool = False
) -> dict[str, Float[Tensor, " heads"]]:
    """The mean over examples of |A_h · ∂L/∂A_h|: a layer's name to one number per head it has.

    The numbers stand in the order of the layer's `kept_heads`. loss: (model, batch) -> (batch,),
    the loss of each example, which must not depend on the others. The model is asked in evaluation
    mode and gets no gradient. normalize: divide each layer's numbers by their Euclidean norm, as
    the paper does, which makes heads of a layer that hardly matters look as weighty as others.
    Raises ValueError for a loss that is not one number per example, and without batches.
    """
    layers = layers_of(model)
    sums = {name: torch.zeros(layer.n_heads) for name, layer in layers.items()}
    examples = 0
    evaluated = in_evaluation(model)
    for batch in batches:
        with _heads_kept(layers) as outputs, torch.inference_mode(False), torch.enable_grad():
            losses = loss(evaluated, batch)
            if losses.ndim != 1:
                shape = tuple(losses.shape)
                raise ValueError(f"loss gave shape {shape}; it must be (batch,): one per example.")
            calls = [(name, out) for name in outputs for out in outputs[name]]
            found = torch.autograd.grad(losses.sum(), [out for _, out in calls], allow_unused=True)
        per_example = {name: torch.zeros(len(losses), len(sums[name])) for name in sums}
        for (name, out), gradient in zip(calls, found, strict=True):
            if gradient is not None:
                by_head = (out * gradient).unflatten(-1, (layers[name].n_heads, -1))
                per_example[name] += by_head.sum((1, 3)).float().cpu().detach()
        for name, values in per_example.items():
            sums[name] += values.abs().sum(0)
        examples += len(losses)
    if not examples:
        raise ValueError("batches is empty; it must have an example or more.")
    means = {name: total / examples for name, total in sums.items()}
    if not normalize:
        return means
    tiny = torch.finfo(torch.float32).tiny
    return {name: values / values.norm().clamp_min(tiny) for name, values in means.items()}


@contextmanager
def _heads_kept(layers: Mapping[str, MultiHeadAttention]) -> Iterator[dict[str, list[Tensor]]]:
    """What each layer's heads found, (batch, queries, heads·head_dim) at each call, with a gradient
    even where the model's weights need none."""
    outputs: dict[str, list[Tensor]] = {name: [] for name in layers}

    def keep(name: str) -> Callable[..., tuple[Tensor]]:
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            out = inputs[0] if inputs[0].requires_grad else inputs[0].detach().requires_grad_()
            outputs[name].append(out)
            return (out,)

        return hook

    hooks = [
        layer.to_out.register_forward_pre_hook(keep(name))
        for name, layer in layers.items()
        if layer.n_heads
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def least_important(
    model: nn.Module, importance: Mapping[str, Tensor], n: int
) -> dict[str, list[int]]:
    """The n heads of all layers with the lowest numbers, as `prune_heads` takes them."""
    layers = layers_of(model)
    ranked = sorted(
        (value, name, head)
        for name, values in importance.items()
        for head, value in zip(layers[name].kept_heads, values.tolist(), strict=True)
    )
    if not 0 <= n <= len(ranked):
        raise ValueError(f"n is {n}; it must be from 0 to the {len(ranked)} heads there are.")
    chosen: dict[str, list[int]] = {}
    for _, name, head in ranked[:n]:
        chosen.setdefault(name, []).append(head)
    return chosen


def prune_heads(model: nn.Module, heads: Mapping[str, Iterable[int]] | Iterable[int]) -> None:
    """Take heads out of a model for good, in place.

    heads: by a layer's name the numbers of the heads that go; for a single layer, the numbers
    alone. A number is the one that the head had in the whole layer, also when others are gone. All
    heads of a layer may go: then the bias of its output stays. The weights are new parameters, so
    an optimizer has to be made again. Nothing is changed when something does not fit: ValueError
    for a layer or head that is not there (any more), and for an attention with numbers of its own
    for each head that cannot let go of them. Where heads share keys and values (`n_kv_heads`), all
    that share them go together.
    """
    if not isinstance(heads, Mapping):
        heads = {"": heads}
    layers = layers_of(model)
    places = {}
    for name, numbers in heads.items():
        numbers = list(numbers)
        _check_heads_of(layers, name, numbers)
        places[name] = _places(layers[name], numbers, name)
    for name, kept in places.items():
        _keep(layers[name], kept)


def _attends(layer: MultiHeadAttention) -> Iterator[nn.Module]:
    """The attention of a layer, and the one that it calls, as ALiBi does, if they are modules."""
    attend = layer.attend
    while isinstance(attend, nn.Module):
        yield attend
        attend = getattr(attend, "attend", None)


def _where(name: str) -> str:
    return f"of the layer {name!r}" if name else "of the layer"


def _check_heads_of(
    layers: Mapping[str, MultiHeadAttention], name: str, numbers: list[int]
) -> None:
    """One sentence for a layer or a head that is not there."""
    if name not in layers:
        raise ValueError(f"heads names the layer {name!r}; it must be of {sorted(layers)}.")
    kept = layers[name].kept_heads
    for number in numbers:
        if number not in kept:
            raise ValueError(f"heads has {number} {_where(name)}; it must be of {kept}.")


def _places(layer: MultiHeadAttention, numbers: list[int], name: str) -> list[int]:
    """The places, among the heads that there are, of those that stay."""
    where = _where(name)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"heads has {numbers} {where}; each must be named once.")
    for attend in _attends(layer):
        if not hasattr(attend, "keep_heads") and any(True for _ in attend.parameters()):
            raise ValueError(
                f"attend is {type(attend).__name__}; it must have keep_heads, since it learns "
                "something for each head."
            )
    kept = [place for place, head in enumerate(layer.kept_heads) if head not in numbers]
    group = layer.n_heads // max(layer.n_kv_heads, 1)
    if group > 1 and any(kept.count(p) != kept.count(p - p % group) for p in range(layer.n_heads)):
        raise ValueError(
            f"heads has {numbers} {where}; {group} heads share keys and values there, and they "
            "must go together."
        )
    return kept


def _keep(layer: MultiHeadAttention, kept: list[int]) -> None:
    """Rows of q, k and v and columns of the output remain for the heads at these places."""
    group = layer.n_heads // max(layer.n_kv_heads, 1)
    kept_kv = [place // group for place in kept if place % group == 0]
    rows, kv_rows = (
        (torch.tensor(places, dtype=torch.int64)[:, None] * layer.head_dim)
        .add(torch.arange(layer.head_dim))
        .flatten()
        .to(layer.to_q.weight.device)
        for places in (kept, kept_kv)
    )
    for projection, own in ((layer.to_q, rows), (layer.to_k, kv_rows), (layer.to_v, kv_rows)):
        projection.weight = nn.Parameter(projection.weight.detach()[own])
        projection.out_features = len(own)
        if projection.bias is not None:
            projection.bias = nn.Parameter(projection.bias.detach()[own])
    layer.to_out.weight = nn.Parameter(layer.to_out.weight.detach()[:, rows])
    layer.to_out.in_features = len(rows)
    for attend in _attends(layer):
        if hasattr(attend, "keep_heads"):
            attend.keep_heads(kept)
    layer.kept_heads = tuple(layer.kept_heads[place] for place in kept)
    layer.n_heads, layer.n_kv_heads = len(kept), len(kept_kv)


def prune_by_importance(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[Any],
    n: int,
    *,
    steps: int = 1,
    normalize: bool = False,
) -> dict[str, list[int]]:
    """Prune the n least important heads, in place, and say which they were.

    steps: in how many goes; before each, importance is estimated again on the same batches, with
    the heads that are left. One step trusts the first estimate for all of them.
    """
    at_least(0, n=n)
    at_least(1, steps=steps)
    batches = list(batches)
    gone: dict[str, list[int]] = {}
    for step in range(steps):
        now = n * (step + 1) // steps - n * step // steps
        if now:
            found = head_importance(model, loss, batches, normalize=normalize)
            chosen = least_important(model, found, now)
            prune_heads(model, chosen)
            for name, numbers in chosen.items():
                gone.setdefault(name, []).extend(numbers)
    return gone


@contextmanager
def masked_heads(model: nn.Module, heads: Mapping[str, Iterable[int]]) -> Iterator[None]:
    """Inside, the named heads find nothing: zeros in their place. What pruning must be equal to.

    Raises ValueError, as `prune_heads` does, for a layer or a head that is not there.
    """
    layers = layers_of(model)
    chosen = {name: list(numbers) for name, numbers in heads.items()}
    for name, numbers in chosen.items():
        _check_heads_of(layers, name, numbers)

    def hiding(layer: MultiHeadAttention, numbers: list[int]) -> Callable[..., tuple[Tensor]]:
        shown = [head not in numbers for head in layer.kept_heads]

        def hook(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            by_head = inputs[0].unflatten(-1, (layer.n_heads, -1))
            keep = torch.tensor(shown, device=by_head.device, dtype=by_head.dtype)
            return ((by_head * keep[:, None]).flatten(-2),)

        return hook

    hooks = [
        layers[name].to_out.register_forward_pre_hook(hiding(layers[name], numbers))
        for name, numbers in chosen.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
