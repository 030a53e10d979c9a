"""Many feed-forward networks, of which each token visits few.

A layer of E experts holds E times the parameters of one and costs each token the FLOPs of those it
visits. Tokens are sorted by their expert, so that every expert sees its own as one matrix, and put
back; nothing as large as tokens · experts · capacity is ever made. An expert has room for a number
of tokens, its capacity; the tokens beyond it get zeros, and the residual around the layer carries
them past it (fedus2022switch). On a GPU experts with a capacity get rooms of one size: then no
number of tokens has to be waited for, and one product does for all experts.

Sources: fedus2022switch, zoph2022stmoe for the loss on the logits, deepseek2024v3. Chapter:
experts. Cost for T tokens: 4·T·k·d_model·d_ff FLOPs for k visits each, and 2·T·d_model·E for the
router; memory linear in T.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal.checks import (
    at_least,
    between,
    check_dropout,
    check_padding,
    check_same_dtype,
    given,
    one_of,
)
from frugal.feedforward.dense import ACTIVATIONS, Activation, DenseFeedForward
from frugal.feedforward.routing import BiasedRouter, Routing, SwitchRouter
from frugal.replays import in_backward_pass
from frugal.telling import told

Per = Literal["batch", "sequence"]
PER: tuple[Per, ...] = get_args(Per)
SPARE = 4
"""Rooms for so many times the visits are not too many to be worth their zeros."""


def _parameters(n: int, *shape: int) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(torch.zeros(shape)) for _ in range(n))


class Experts(nn.Module):
    """E networks activation(x W₁ + b₁) W₂ + b₂, and the way of the tokens through them.

    forward(x, experts, gates, keep): x (tokens, d_model); experts, gates (tokens, k), the numbers
    of the experts and what their outputs are multiplied by; keep (tokens, k), False where an expert
    has no room -> (tokens, d_model), the sum over the k. room: how many visits an expert has at
    most, where that is known: then a GPU is not asked how many each has.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        n_experts: int,
        *,
        activation: Activation = "relu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, d_model=d_model, d_ff=d_ff, n_experts=n_experts)
        one_of(ACTIVATIONS, activation=activation)
        self.activation = ACTIVATIONS[activation]
        # a tensor per expert: one for all would get its gradient by copying those of each
        self.inner = _parameters(n_experts, d_ff, d_model)
        self.outer = _parameters(n_experts, d_model, d_ff)
        self.inner_bias = _parameters(n_experts, d_ff) if bias else None
        self.outer_bias = _parameters(n_experts, d_model) if bias else None
        for weight in (*self.inner, *self.outer):
            nn.init.xavier_uniform_(weight)

    def forward(
        self,
        x: Float[Tensor, "tokens d_model"],
        experts: Int[Tensor, "tokens k"],
        gates: Float[Tensor, "tokens k"],
        keep: Bool[Tensor, "tokens k"] | None = None,
        *,
        room: int | None = None,
    ) -> Float[Tensor, "tokens d_model"]:
        if torch.compiler.is_exporting() or x.device.type == "meta":
            return self._all(x, experts, gates, keep)
        tokens, k = experts.shape
        visits = experts.flatten()
        if keep is not None:  # those without room go to an expert that is not there, the last
            visits = torch.where(keep.flatten(), visits, len(self.inner))
        order = visits.argsort(stable=True)
        if not _on_cpu(x) and room and room * len(self.inner) <= SPARE * tokens * k:
            return self._in_rooms(x, visits, order, gates, room)
        sizes = torch.bincount(visits, minlength=len(self.inner) + 1).tolist()
        stay = order[: tokens * k - sizes[-1]]
        y = self._each(x[stay // k], sizes[:-1])
        y = y * gates.flatten()[stay, None].to(y.dtype)
        if k == 1:
            return torch.zeros_like(x, dtype=y.dtype).index_copy(0, stay, y)
        parts = y.new_zeros(tokens * k, x.shape[1]).index_copy(0, stay, y)
        return parts.view(tokens, k, x.shape[1]).sum(1)

    def _in_rooms(
        self, x: Tensor, visits: Tensor, order: Tensor, gates: Tensor, room: int
    ) -> Tensor:
        """Every expert on a room of its own, with zeros where it is not full.

        visits: the expert of each visit, (tokens·k,), the one after the last for nobody. order: the
        visits sorted by it.
        """
        n, (tokens, k) = len(self.inner), gates.shape
        chosen = visits[order]
        counts = torch.zeros(n + 1, dtype=visits.dtype, device=x.device)
        counts = counts.scatter_add(0, visits, torch.ones_like(visits))
        first = counts.cumsum(0) - counts  # the place in the order where an expert's tokens begin
        place = torch.arange(tokens * k, device=x.device) - first[chosen]
        slot = torch.where(chosen < n, chosen * room + place, n * room)  # the last is nobody's
        inside = x.new_zeros(n * room + 1, x.shape[1]).index_copy(0, slot, x[order // k])
        inside = inside[:-1].view(n, room, -1)
        hidden = self.activation(_linear(inside, self.inner, self.inner_bias))
        out = _linear(hidden, self.outer, self.outer_bias).flatten(0, 1)  # (n·room, d_model)
        out = torch.cat([out, torch.zeros_like(out[:1])])
        y = out[torch.empty_like(slot).scatter(0, order, slot)]  # (tokens·k, d_model)
        y = y * gates.flatten()[:, None].to(y.dtype)
        return y if k == 1 else y.view(tokens, k, x.shape[1]).sum(1)

    def _all(self, x: Tensor, experts: Tensor, gates: Tensor, keep: Tensor | None) -> Tensor:
        """Every expert on every token, where data cannot decide shapes: to be exported, on "meta".

        What an expert says to tokens that did not choose it is thrown away.
        """
        n = len(self.inner)
        each = self._each(x.repeat(n, 1), [x.shape[0]] * n).view(n, *x.shape)
        found = torch.zeros_like(each[0])
        for number in range(n):
            here = experts == number if keep is None else (experts == number) & keep
            gate = (gates * here).sum(1).to(each.dtype)  # (tokens,)
            part = gate[:, None] * each[number]
            found = found + part.masked_fill(~here.any(1, keepdim=True), 0.0)
        return found

    def _each(self, x: Tensor, sizes: list[int]) -> Tensor:
        """Every expert on its own tokens, which lie one after another."""
        none = [None] * len(sizes)
        weights = zip(
            x.split(sizes),
            self.inner,
            none if self.inner_bias is None else self.inner_bias,
            self.outer,
            none if self.outer_bias is None else self.outer_bias,
            strict=True,
        )
        return torch.cat(
            [
                F.linear(self.activation(F.linear(part, first, b1)), second, b2)
                for part, first, b1, second, b2 in weights
            ]
        )


def _on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu"


def _linear(x: Tensor, weights: nn.ParameterList, biases: nn.ParameterList | None) -> Tensor:
    """x Wᵀ + b of every expert, (experts, room, width)."""
    joined = torch.stack(tuple(weights)).mT
    if biases is None:
        return x @ joined
    return torch.baddbmm(torch.stack(tuple(biases))[:, None], x, joined)


def room(
    experts: Int[Tensor, "groups tokens"],
    n_experts: int,
    capacity: int,
    real: Bool[Tensor, "groups tokens"] | None = None,
) -> Bool[Tensor, "groups tokens"]:
    """Whether each token finds room: experts (groups, tokens) are the numbers that they chose.

    In each group the first `capacity` tokens of an expert do. real: False for tokens that take
    none, and find none.
    """
    chosen = F.one_hot(experts, n_experts)  # (groups, tokens, experts)
    if real is not None:
        chosen = chosen * real[..., None]
    place = (chosen.cumsum(1) * chosen).sum(-1)
    return (place >= 1) & (place <= capacity)


class SwitchFeedForward(nn.Module):
    """A feed-forward layer of experts of which each token visits one (fedus2022switch, section 2).

    d_ff: hidden width of each expert, so that a token costs what it costs a dense layer of d_ff.
    capacity_factor: C; an expert has room for tokens / n_experts · C tokens, rounded down but at
    least 1, counted over the whole batch or for each sequence alone (per). Tokens beyond it get
    zeros. None: room for all. jitter, generator: see `SwitchRouter`. z_weight: of the squared log
    of the router's normaliser, beside the loss of balance, in `penalty`. Shapes: x and out (batch,
    length, d_model). Counted over the batch, whether a token is dropped depends on the other
    sequences; in a causal model count per sequence, where only earlier tokens matter.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        n_experts: int,
        capacity_factor: float | int | None = 1.25,
        *,
        per: Per = "batch",
        activation: Activation = "relu",
        bias: bool = True,
        dropout: float = 0.0,
        jitter: float = 0.0,
        z_weight: float | int = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        between(0, math.inf, **given(capacity_factor=capacity_factor))
        one_of(PER, per=per)
        check_dropout(dropout=dropout)
        between(-math.inf, math.inf, z_weight=z_weight)
        self.router = SwitchRouter(d_model, n_experts, jitter=jitter, generator=generator)
        self.experts = Experts(d_model, d_ff, n_experts, activation=activation, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.n_experts, self.capacity_factor, self.per = n_experts, capacity_factor, per
        self.z_weight = z_weight
        self.routing: Routing | None = None
        self.kept: Tensor | None = None
        self._losses: tuple[Tensor, Tensor] | None = None

    def extra_repr(self) -> str:
        return told(self, "n_experts", "capacity_factor", "per")

    def capacity(self, tokens: int) -> int:
        """The room of each expert for a group of so many tokens."""
        if self.capacity_factor is None:
            return tokens
        return max(1, int(tokens / self.n_experts * self.capacity_factor))

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length d_model"]:
        """padding: True = a real token; others take no room and get zeros. Afterwards `routing`
        (without gradients) and `kept` (batch, length) say where the tokens went."""
        if x.ndim != 3 or x.shape[-1] != self.router.weight.shape[1]:
            width = self.router.weight.shape[1]
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (batch, length, {width}).")
        check_same_dtype(x, self.router)
        check_padding(padding, tuple(x.shape[:2]))
        flat = x.flatten(0, 1)
        routing = self.router(flat)
        real = x.new_ones(x.shape[:2], dtype=torch.bool) if padding is None else padding
        real = real.expand(x.shape[:2])
        keep = self._room(routing.experts.view(x.shape[:2]), real)
        if not torch.compiler.is_exporting():  # a graph has nothing to look at afterwards
            self._note(routing, real.flatten(), keep)
        given = routing.experts, routing.gates, keep.reshape(-1, 1)
        out = self.experts(flat, *given, room=self._most(*x.shape[:2]))
        return self.dropout(out.view_as(x))

    def _note(self, routing: Routing, real: Tensor, keep: Tensor) -> None:
        """Keep what is asked for after a forward pass; one that runs again is no later one."""
        losses = self._penalised(routing, real)  # made in both, for autograd counts what it keeps
        if not in_backward_pass():
            self._losses = losses
            self.routing, self.kept = Routing(*(part.detach() for part in routing)), keep

    def _most(self, batch: int, length: int) -> int | None:
        """How many tokens of the batch an expert takes at most, None where all may want one."""
        if self.capacity_factor is None:
            return None
        if self.per == "batch":
            return self.capacity(batch * length)
        return batch * self.capacity(length)

    def _room(self, experts: Tensor, real: Tensor) -> Tensor:
        if self.capacity_factor is None:
            return real
        batch, length = experts.shape
        if self.per == "batch":
            capacity = self.capacity(batch * length)
            found = room(experts.view(1, -1), self.n_experts, capacity, real.reshape(1, -1))
            return found.view(batch, length)
        return room(experts, self.n_experts, self.capacity(length), real)

    def _penalised(self, routing: Routing, real: Tensor) -> tuple[Tensor, Tensor]:
        """E · Σ f_e P_e, and the mean of log² Σ exp(logits), over the real tokens."""
        weight = real.to(routing.scores.dtype)
        weight = weight / weight.sum().clamp_min(1)
        chosen = F.one_hot(routing.experts[:, 0], self.n_experts).to(weight.dtype)
        share, probability = weight @ chosen, weight @ routing.scores  # (experts,) each
        balance = self.n_experts * (share * probability).sum()
        return balance, weight @ routing.logits.logsumexp(-1).square()

    @property
    def aux_loss(self) -> Float[Tensor, ""]:
        """E · Σ_e f_e P_e of the latest forward pass: 1 when the experts share the tokens evenly, E
        when one gets all. f_e: share of the tokens that chose e. P_e: its mean probability."""
        return self._latest()[0]

    @property
    def z_loss(self) -> Float[Tensor, ""]:
        """The mean of log² Σ exp(logits) of the latest forward pass (zoph2022stmoe, equation 5)."""
        return self._latest()[1]

    def penalty(self) -> Float[Tensor, ""]:
        """aux_loss + z_weight · z_loss, to be scaled by λ (the paper: 0.01)."""
        balance, z = self._latest()
        if torch.is_grad_enabled() and self.router.weight.requires_grad and not z.requires_grad:
            raise ValueError(
                "the latest forward pass kept no gradient; penalty must follow one that does."
            )
        return balance + self.z_weight * z

    def _latest(self) -> tuple[Tensor, Tensor]:
        if self._losses is None:
            raise ValueError("no token has been routed yet; penalty must follow a forward pass.")
        return self._losses

    def __getstate__(self) -> dict[str, Any]:
        """A copy begins without a forward pass: what belongs to a graph cannot be copied."""
        return self.__dict__ | {"_losses": None, "routing": None, "kept": None}


class MixtureOfExperts(nn.Module):
    """Each token visits k experts of many, and one that all share (deepseek2024v3, section 2.1.2).

    d_ff: hidden width of an expert; n_shared: of the shared network, in units of d_ff, 0 for none.
    Nothing is dropped. The experts are balanced by `frugal.feedforward.routing.update_biases`,
    called after each update of the weights, and no loss. Shapes: x and out (..., d_model).
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        n_experts: int,
        k: int = 2,
        *,
        n_shared: int = 1,
        scale: float | int = 1.0,
        activation: Activation = "relu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        at_least(0, n_shared=n_shared)
        between(0, math.inf, scale=scale)
        self.router = BiasedRouter(d_model, n_experts, k, scale=scale)
        self.experts = Experts(d_model, d_ff, n_experts, activation=activation, bias=bias)
        self.shared = None
        if n_shared:
            shape = {"activation": activation, "bias": bias}
            self.shared = DenseFeedForward(d_model, n_shared * d_ff, **shape)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        """Raises ValueError for an x of another width."""
        if x.shape[-1:] != self.router.weight.shape[1:]:
            width = self.router.weight.shape[1]
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (..., {width}).")
        check_same_dtype(x, self.router)
        flat = x.reshape(-1, x.shape[-1])
        routing = self.router(flat)
        out = self.experts(flat, routing.experts, routing.gates).view_as(x)
        return out if self.shared is None else out + self.shared(x)
