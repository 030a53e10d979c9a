"""Which experts a token goes to, and with which weight.

`SwitchRouter` takes the one expert with the largest probability and multiplies its output by it,
which is the only way by which the router learns. What keeps the experts busy is a loss on their
loads (fedus2022switch) or, in `BiasedRouter`, a bias that only the choice sees and that is moved
against the load by hand (deepseek2024v3). Both compute their scores in float32 whatever the layer
computes in. Chapter: experts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugal.checks import at_least, autocast_kind, within
from frugal.replays import check_draws_the_same, in_backward_pass


class Routing(NamedTuple):
    """For T tokens and k experts each. experts: their numbers. gates: what their outputs are
    multiplied by. scores: of all E experts, before anything is chosen, with a gradient; logits:
    what the scores are made from."""

    experts: Int[Tensor, "tokens k"]
    gates: Float[Tensor, "tokens k"]
    scores: Float[Tensor, "tokens experts"]
    logits: Float[Tensor, "tokens experts"]


def _logits(x: Tensor, weight: Tensor) -> Tensor:
    """x Wᵀ in float32 (float64 for such x), also inside of autocast."""
    wide = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(autocast_kind(x.device), enabled=False):
        return F.linear(x.to(wide), weight.to(wide))


class SwitchRouter(nn.Module):
    """One expert a token: p = softmax(W x), the largest p_i and its i (fedus2022switch, section 2).

    jitter: in training, inputs are multiplied by random numbers in 1 - jitter ... 1 + jitter, from
    `generator` or from torch's own.
    forward(x): (tokens, d_model) -> `Routing` with k = 1.
    """

    def __init__(
        self,
        d_model: int,
        n_experts: int,
        *,
        jitter: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        at_least(1, d_model=d_model, n_experts=n_experts)
        within(0, 1, jitter=jitter)
        self.weight = nn.Parameter(torch.randn(n_experts, d_model) * d_model**-0.5)
        self.jitter, self.generator = jitter, generator

    def forward(self, x: Float[Tensor, "tokens d_model"]) -> Routing:
        if self.training and self.jitter:
            x = x * self.noise(x)
        logits = _logits(x, self.weight)
        scores = logits.softmax(-1)
        gates, experts = scores.max(-1, keepdim=True)
        return Routing(experts, gates, scores, logits)

    def noise(self, x: Tensor) -> Tensor:
        """Numbers in 1 - jitter ... 1 + jitter, one for each of x."""
        ends = (1 - self.jitter, 1 + self.jitter)
        if self.generator is None:
            return torch.empty_like(x).uniform_(*ends)
        check_draws_the_same(self.generator, "noise")
        drawn = torch.empty(x.shape, dtype=x.dtype, device=self.generator.device)
        return drawn.uniform_(*ends, generator=self.generator).to(x.device)


class BiasedRouter(nn.Module):
    """k experts a token, balanced by a bias on the choice alone (deepseek2024v3, section 2.1.2).

    s = sigmoid(W x). The k largest of s + b are chosen, b being one number per expert; their gates
    are scale · s_i / Σ s. b gets no gradient: `update_bias` moves it. forward(x): (tokens, d_model)
    -> `Routing`.

    In training every token is counted in `load`, once, also where a checkpoint runs the pass again.
    b stays in float32 when the layer changes over to half precision, whose steps are larger than
    those by which it moves.
    """

    bias: Tensor
    load: Tensor

    def __init__(self, d_model: int, n_experts: int, k: int, *, scale: float | int = 1.0) -> None:
        super().__init__()
        at_least(1, d_model=d_model, n_experts=n_experts, k=k)
        if k > n_experts:
            raise ValueError(f"k is {k}; it must be at most {n_experts=}.")
        self.weight = nn.Parameter(torch.randn(n_experts, d_model) * d_model**-0.5)
        self.k, self.scale = k, scale
        self.register_buffer("bias", torch.zeros(n_experts))
        none = torch.zeros(n_experts, dtype=torch.int64)
        self.register_buffer("load", none, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BiasedRouter:
        before = self.bias
        super()._apply(fn, recurse)
        if torch.finfo(self.bias.dtype).bits < torch.finfo(before.dtype).bits:
            self.bias = before.to(self.bias.device)
        return self

    def forward(self, x: Float[Tensor, "tokens d_model"]) -> Routing:
        logits = _logits(x, self.weight)
        scores = logits.sigmoid()
        experts = (scores.detach() + self.bias).topk(self.k, dim=-1).indices
        # s_i / Σ s from logarithms: all chosen s may be too small for a number
        gates = self.scale * F.logsigmoid(logits.gather(1, experts)).softmax(-1)
        if self.training and not in_backward_pass():
            ones = torch.ones_like(experts, dtype=self.load.dtype).flatten()
            self.load = self.load.index_add(0, experts.flatten(), ones)
        return Routing(experts, gates, scores, logits)

    @torch.no_grad()
    def update_bias(self, rate: float = 1e-3) -> None:
        """After an update of the weights: the bias of experts that had more tokens than the mean
        since the last time falls by rate, that of the others rises, and the count starts anew."""
        load = self.load.to(self.bias.dtype)
        self.bias += rate * torch.sign(load.mean() - load)
        self.load = torch.zeros_like(self.load)


def update_biases(model: nn.Module, rate: float = 1e-3) -> None:
    """`update_bias` of every `BiasedRouter` in a model. Raises ValueError when there is none."""
    routers = [module for module in model.modules() if isinstance(module, BiasedRouter)]
    if not routers:
        raise ValueError(f"model is {type(model).__name__}; it must have a BiasedRouter.")
    for router in routers:
        router.update_bias(rate)
