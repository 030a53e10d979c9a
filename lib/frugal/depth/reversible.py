"""Reversible residual layers: the backward pass computes what the forward pass did not keep.

Two streams take turns, y₁ = x₁ + F(x₂) and y₂ = x₂ + G(y₁). Given y₁ and y₂ the inputs follow,
x₂ = y₂ - G(y₁) and x₁ = y₁ - F(x₂), so nothing but the last layer's output has to be stored,
however deep the stack. The price is F and G once more in the backward pass.

Sources: gomez2017reversible; kitaev2020reformer, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal.attention.kernels.features import RandomVectors

Branch = Callable[[Tensor], Tensor]
Vectors = list[tuple[RandomVectors, int, Tensor]]


class ReversibleStack(nn.Module):
    """Run `TransformerLayer`s reversibly, for `TransformerConfig(make_stack=ReversibleStack)`.

    F is a layer's attention or mixer with its norm, G its feed-forward network with its norm. Both
    streams start as x; their mean comes out. Random numbers (dropout, hashing, random features) are
    replayed.

    Memory for training: two (batch, length, d_model) and one layer's work, whatever the depth.
    Time: the forward pass once more than `Stack`, whose function it does not compute. Without
    gradients, or with caches, it stores nothing anyway and runs plainly.

    Raises ValueError for layers that attend to a memory, or that normalise last.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        for index, layer in enumerate(layers):
            if layer.cross is not None:
                raise ValueError(
                    f"layer {index} attends to a memory; a reversible layer has two branches, "
                    "self-attention and feed-forward."
                )
            if not (layer.mix.norm_first and layer.feed_forward.norm_first):
                raise ValueError(
                    f"layer {index} normalises last; only x + f(norm(x)) can be reversed, so it "
                    "needs norm_first=True."
                )
        self.layers = nn.ModuleList(layers)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: Tensor | None = None,
        *,
        caches: Sequence[Any] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        """options (padding, causal, ...) are those of `TransformerLayer`."""
        if memory is not None:
            raise ValueError("memory is given; a reversible stack attends only to itself.")
        branches: list[Branch] = []
        for index, layer in enumerate(self.layers):
            cache = None if caches is None else caches[index]
            branches += [_mixing(layer, cache, options), _feeding(layer)]
        weights = [one for one in self.parameters() if one.requires_grad]
        if caches is not None or not torch.is_grad_enabled():
            first, second = x, x
            for mix, feed in zip(branches[::2], branches[1::2], strict=True):
                first = first + mix(second)
                second = second + feed(first)
        else:
            drawn = [one for one in self.modules() if isinstance(one, RandomVectors)]
            first, second = _Reversible.apply(x, x.clone(), branches, drawn, *weights)
        return (first + second) / 2


def _mixing(layer: nn.Module, cache: Any, options: dict[str, Any]) -> Branch:
    """F: what a layer's first residual adds."""
    own = None if cache is None else cache.own
    return lambda x: layer.mix.inner(layer.mix.norm(x), cache=own, **options)


def _feeding(layer: nn.Module) -> Branch:
    """G: what a layer's feed-forward residual adds."""
    return lambda x: layer.feed_forward.sublayer(layer.feed_forward.norm(x))


def _vectors(drawn: list[RandomVectors]) -> Vectors:
    """What random vectors each module has, and after how many training passes."""
    return [(one, one.passes, one.projection) for one in drawn]


def _put_back(vectors: Vectors) -> None:
    for one, passes, projection in vectors:
        one.passes, one.projection = passes, projection


class _Random:
    """The state of torch's generators and of random vectors, to draw the same numbers again."""

    def __init__(self, device: torch.device, drawn: list[RandomVectors]) -> None:
        self.vectors = _vectors(drawn)
        self.devices = [device] if device.type == "cuda" else []
        self.state = torch.get_rng_state()
        self.states = [torch.cuda.get_rng_state(one) for one in self.devices]

    def replay(self, branch: Branch, x: Tensor) -> Tensor:
        now = _vectors([one for one, _, _ in self.vectors])
        with torch.random.fork_rng(devices=self.devices):
            torch.set_rng_state(self.state)
            for device, state in zip(self.devices, self.states, strict=True):
                torch.cuda.set_rng_state(state, device)
            _put_back(self.vectors)  # a branch counts its pass, and may draw, as it did before
            try:
                return branch(x)
            finally:
                _put_back(now)


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        second: Tensor,
        branches: list[Branch],
        drawn: list[RandomVectors],
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        device = first.device
        ctx.branches, ctx.random = branches, []
        kind = device.type
        ctx.autocast = {
            "device_type": kind,
            "enabled": torch.is_autocast_enabled(kind),
            "dtype": torch.get_autocast_dtype(kind),
        }
        for turn, branch in enumerate(branches):
            ctx.random.append(_Random(device, drawn))
            if turn % 2 == 0:
                first = first + branch(second)
            else:
                second = second + branch(first)
        ctx.save_for_backward(first, second, *weights)
        return first, second

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_first: Tensor, grad_second: Tensor) -> tuple[Any, ...]:
        first, second, *weights = ctx.saved_tensors
        # `source` went into the branch, `sum_` is what the branch was added to
        streams = {"sum_": [second, grad_second], "source": [first, grad_first]}
        grads: list[Tensor | None] = [None] * len(weights)
        for branch, random in zip(reversed(ctx.branches), reversed(ctx.random), strict=True):
            (total, grad_total), (source, grad_source) = streams["sum_"], streams["source"]
            with torch.enable_grad(), torch.autocast(**ctx.autocast):
                source = source.detach().requires_grad_()
                added = random.replay(branch, source)
            found = torch.autograd.grad(
                added, [source, *weights], grad_total.to(added.dtype), allow_unused=True
            )
            for index, grad in enumerate(found[1:]):
                if grad is not None:
                    grads[index] = grad if grads[index] is None else grads[index] + grad
            if found[0] is not None:
                grad_source = grad_source + found[0]
            source, before = source.detach(), total - added.detach()
            streams = {"sum_": [source, grad_source], "source": [before, grad_total]}
        # after an even number of turns the streams are where they began
        (_, grad_second), (_, grad_first) = streams["sum_"], streams["source"]
        return grad_first, grad_second, None, None, *grads
