"""Experts in a third of the layers: of 32, each token visits one or two.

Switch: one expert as wide as the network that it replaces (fedus2022switch). Mixture: two of half
the width (shazeer2017moe, with the second one at random, by its weight, as in lepikhin2021gshard).
All matrices of the model start at a tenth of the usual variance.

The room that experts had in the decoder was set under the name "deccoder", which nothing read: it
was the class's own, 1.25 of an even share in training and 2 in evaluation, whatever the row asked.
Here room is counted for each sequence; the paper's groups were of up to 1,024 tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.feedforward.experts import Experts, SwitchFeedForward, room
from frugal.feedforward.routing import SwitchRouter
from frugal.transfer import parts
from frugal.transfer.config import Config, Place
from frugal.transfer.parts import Context, Residual

GROUP, LEAST_ROOM = 1024, 4
QUIET = 0.1
JITTER = 0.01
SECOND = 0.2
DEFAULT = {"train": 1.25, "evaluate": 2.0}
SPELT = "the decoder's room for tokens was set under a misspelt name, and stayed at the default"
LATER = f"{SPELT}; a second expert had room only behind the first choices of later tokens"


def switch(size: Config) -> dict[str, Any]:
    """As published: the default room in the decoder."""
    return _options(_switches(1.2, 1.2), _switches(*DEFAULT.values()))


def switch_repaired(size: Config) -> dict[str, Any]:
    """The same room on both sides."""
    return _options(*[_switches(1.2, 1.2)] * 2)


def mixture(size: Config) -> dict[str, Any]:
    """As published: the default room in the decoder."""
    return _options(_mixtures(2.0, 2.0), _mixtures(*DEFAULT.values()))


def mixture_repaired(size: Config) -> dict[str, Any]:
    """The same room on both sides, and no token's second choice asks what comes later."""
    return _options(*[_mixtures(2.0, 2.0, in_order=True)] * 2)


Factory = Callable[[Config, Place], nn.Module]


def _options(encoder: Factory, decoder: Factory) -> dict[str, Any]:
    return {
        "residual": quiet_residual,
        "encoder": {"feed_forward": encoder},
        "decoder": {"feed_forward": decoder},
    }


def quiet_residual(config: Config, place: Place, sublayer: nn.Module) -> Residual:
    """The usual residual; the matrices inside start at a tenth of their variance."""
    with torch.no_grad():
        for weight in sublayer.parameters():
            if weight.ndim > 1:
                weight.mul_(math.sqrt(QUIET))
    return Residual(config, sublayer)


def _has_experts(config: Config, place: Place) -> bool:
    every = max(1, config.n_layers // 3)
    return place.index % every == every - 1


def _switches(train: float, evaluate: float) -> Factory:
    def make(config: Config, place: Place) -> nn.Module:
        if not _has_experts(config, place):
            return parts.feed_forward(config, place)
        return Switch(config, train, evaluate)

    return make


def _mixtures(train: float, evaluate: float, *, in_order: bool = False) -> Factory:
    def make(config: Config, place: Place) -> nn.Module:
        if not _has_experts(config, place):
            return parts.feed_forward(config, place)
        return Mixture(config, train, evaluate, in_order=in_order)

    return make


def grouped_operations(x: Tensor, n_experts: int, d_ff: int, share: float) -> int:
    """Products where every expert computes all its room in each group of up to 1,024 tokens, and
    where tokens go to their places and back by products with one-hot vectors."""
    tokens, d_model = x.shape[:-1].numel(), x.shape[-1]
    groups = math.ceil(tokens / GROUP)
    while tokens % groups:
        groups += 1
    group = tokens // groups
    capacity = max(LEAST_ROOM, min(group, int(group * share / n_experts)))
    gates = tokens * d_model * n_experts
    moved = 2 * tokens * n_experts * capacity * d_model
    return gates + moved + groups * n_experts * capacity * 2 * d_model * d_ff


class Switch(nn.Module):
    """A `SwitchFeedForward` as a sub-layer, with other room in evaluation than in training."""

    def __init__(self, config: Config, train: float, evaluate: float) -> None:
        super().__init__()
        shape = config.d_model, config.d_ff, config.n_experts, train
        self.d_ff, self.shares = config.d_ff, (evaluate, train)
        self.network = SwitchFeedForward(
            *shape,
            per="sequence",
            activation=config.activation,
            bias=config.feed_forward_bias,
            jitter=JITTER,
        )

    def forward(self, x: Tensor, context: Context) -> Tensor:
        self.network.capacity_factor = self.shares[self.training]
        return self.network(x, padding=context.padding)

    def operations(self, x: Tensor) -> int:
        return grouped_operations(x, self.network.n_experts, self.d_ff, self.shares[True])


class Mixture(nn.Module):
    """Each token visits the two experts of the largest gates, weighted by them.

    d_ff: half of the configuration's. train, evaluate: an expert has room for so many even shares
    of a sequence. The second choice is kept with probability gate / 0.2 and finds room after all
    first choices; in_order: after the choices of earlier tokens alone, so that nothing depends on
    later ones.
    """

    def __init__(
        self, config: Config, train: float, evaluate: float, *, in_order: bool = False
    ) -> None:
        super().__init__()
        self.n_experts, self.d_ff = config.n_experts, max(1, config.d_ff // 2)
        self.shares, self.in_order = (evaluate, train), in_order
        self.router = SwitchRouter(config.d_model, self.n_experts)
        self.experts = Experts(
            config.d_model,
            self.d_ff,
            self.n_experts,
            activation=config.activation,
            bias=config.feed_forward_bias,
        )
        self._balance: Tensor | None = None

    def forward(self, x: Tensor, context: Context) -> Tensor:
        flat = x.flatten(0, 1)
        scores = self.router(flat).scores  # (tokens, experts)
        gates, experts = scores.topk(2, dim=-1)  # (tokens, 2)
        gates = gates / gates.sum(-1, keepdim=True)
        real = torch.ones_like(x[..., 0], dtype=torch.bool)
        real = real if context.padding is None else context.padding.expand_as(real)
        self._balance = self._penalised(experts[:, 0], scores, real.flatten())
        keep = self._room(experts, gates, real)
        return self.experts(flat, experts, gates, keep).view_as(x)

    def _room(self, experts: Tensor, gates: Tensor, real: Tensor) -> Bool[Tensor, "tokens 2"]:
        batch, length = real.shape
        kept = torch.rand_like(gates[:, 1]) < gates[:, 1] / SECOND
        asks = torch.stack([real, real & kept.view_as(real)], dim=-1)  # (batch, length, 2)
        choices = experts.view(batch, length, 2)
        if not self.in_order:  # all first choices, then all second ones
            asks, choices = asks.transpose(1, 2), choices.transpose(1, 2)
        share = self.shares[self.training]
        capacity = max(LEAST_ROOM, int(length * share / self.n_experts))
        found = room(choices.flatten(1), self.n_experts, capacity, asks.flatten(1))
        found = found.view(asks.shape)
        return (found if self.in_order else found.transpose(1, 2)).reshape(-1, 2)

    def _penalised(self, first: Tensor, scores: Tensor, real: Tensor) -> Tensor:
        """E · Σ f_e P_e over real tokens, f_e by the first choice."""
        weight = real.to(scores.dtype) / real.sum().clamp(min=1)
        chosen = F.one_hot(first, self.n_experts).to(scores.dtype)
        return self.n_experts * ((weight @ chosen) * (weight @ scores)).sum()

    def penalty(self) -> Float[Tensor, ""]:
        """The loss of balance of the latest pass, to be scaled by λ (the paper: 0.01)."""
        if self._balance is None:
            raise ValueError("no token has been routed yet; penalty must follow a forward pass.")
        return self._balance

    def __getstate__(self) -> dict[str, Any]:
        """A copy begins without a forward pass: what belongs to a graph cannot be copied."""
        return self.__dict__ | {"_balance": None}

    def operations(self, x: Tensor) -> int:
        return grouped_operations(x, self.n_experts, self.d_ff, self.shares[True])
