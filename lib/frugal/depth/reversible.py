"""Reversible residual layers: the backward pass computes what the forward pass did not keep.

Two streams take turns, o₁ = x₁ + attend(x₂) and o₂ = x₂ + feed(o₁). Given o₁ and o₂ the inputs
follow, x₂ = o₂ - feed(o₁) and x₁ = o₁ - attend(x₂), so nothing but the last layer's output has to
be stored, however deep the stack. The price is both functions once more in the backward pass.

Sources: gomez2017reversible; kitaev2020reformer, section 3. Chapter: hashing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal.checks import check_input, check_layers, refuse
from frugal.depth.replay import Replay, Turn
from frugal.model import TransformerLayer


class ReversibleStack(nn.Module):
    """Run `TransformerLayer`s reversibly, for `TransformerConfig(make_stack=ReversibleStack)`.

    `attend` is a layer's attention or mixer with its norm, `feed` its feed-forward network with its
    norm. Both streams start as x; their mean comes out. Random numbers (dropout, hashing, random
    features) and buffers are those of the first time when a branch is computed again. Every tensor
    that a layer uses gets its gradient, however it came there: options and what a function closes
    over, too.

    Memory for training: two (batch, length, d_model) and one layer's work, whatever the depth.
    Time: the forward pass once more than `Stack`, whose function it does not compute. Without
    gradients, or with caches, it stores nothing anyway and runs plainly.

    Raises ValueError for layers that attend to a memory, or that normalise last.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        check_layers(layers, TransformerLayer)
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
        refuse("a reversible stack attends only to itself.", memory=memory)
        check_input(x, None, d_model=self.layers[0].d_model)
        turns: list[Turn] = []
        for index, layer in enumerate(self.layers):
            own = None if caches is None else caches[index].own
            turns += [_mixing(layer, own, options), _feeding(layer, options.get("padding"))]
        plain = caches is not None or not torch.is_grad_enabled()
        if plain or torch.compiler.is_exporting():  # a graph has a backward pass of its own
            first, second = x, x
            for turn in turns:
                first, second = second, first + turn.branch(second)
        else:
            first, second = _forgetful(turns, x)
        return (first + second) / 2


def _mixing(layer: nn.Module, cache: Any, options: dict[str, Any]) -> Turn:
    """attend: what a layer's first residual adds."""
    mix = layer.mix
    return Turn(mix, lambda x: mix.inner(mix.before(x), cache=cache, **options))


def _feeding(layer: nn.Module, padding: Tensor | None) -> Turn:
    """feed: what a layer's feed-forward residual adds."""
    feed = layer.feed_forward
    return Turn(feed, lambda x: feed.inner(feed.before(x), padding=padding))


@torch.compiler.disable
def _forgetful(turns: Sequence[Turn], x: Tensor) -> tuple[Tensor, Tensor]:
    """Both streams after all turns; what the turns would keep for the backward pass is dropped."""
    replay = Replay()
    first, second = x, x
    for turn in turns:
        first, second = second, first + replay.run(turn, second)
    replay.ends = first.detach(), second.detach()
    return first, second
