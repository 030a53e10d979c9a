"""Dropping tokens on the way up: each layer hands on only those that the others attend to.

A token's significance in a layer is the attention it receives, summed over heads and queries:

    Sig_j = Σ_h Σ_i A_hij

The layer keeps the tokens with the largest significance, in their old order, and the first one
whatever its score, because the class is read there. How many each layer keeps is a *schedule*: it
is set, learned softly (`SoftRetention`), or searched for (`frugal.tokens.elimination_schedules`).

Source: goyal2020powerbert. With N tokens entering layer l and N_l leaving it the layer costs
6·N·d² + 2·N²·d + 2·N·N_l·d + 2·N_l·d² FLOPs for attention and 4·N_l·d·d_ff for the feed-forward
network.
Chapter: dropping-tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from frugal.arithmetic.fewer_tokens import check_schedule
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.checks import (
    at_least,
    autocast_kind,
    check_input,
    check_layers,
    check_padding,
    refuse,
    whole_within,
)
from frugal.model import TransformerLayer
from frugal.positions import RotaryPositions
from frugal.telling import told
from frugal.tokens.elimination_schedules import retention_schedule

Score = Callable[[Tensor, Tensor | None], Tensor]
"""(weights (batch, heads, tokens, tokens), padding (batch, tokens) or None) -> (batch, tokens)."""


def significance(
    weights: Float[Tensor, "batch heads queries keys"],
    padding: Bool[Tensor, "batch queries"] | None = None,
) -> Float[Tensor, "batch keys"]:
    """The attention each token receives: column sums over heads and real queries.

    Source: goyal2020powerbert, equation 1. Their code takes the mean over heads, which ranks alike,
    and leaves out what a token pays to itself, which does not; this is the paper's sum.
    """
    if weights.ndim != 4:
        raise ValueError(
            f"weights has shape {tuple(weights.shape)}; it must be (batch, heads, queries, keys)."
        )
    check_padding(padding, (weights.shape[0], weights.shape[2]))
    if padding is None:
        return weights.sum((1, 2))
    heads = weights.shape[1]
    asks = padding.to(weights.dtype).repeat(1, heads)[:, None]  # (batch, 1, heads·queries)
    return (asks @ weights.flatten(1, 2))[:, 0]


def ranked(
    scores: Float[Tensor, "batch tokens"], padding: Bool[Tensor, "batch tokens"] | None = None
) -> Float[Tensor, "batch tokens"]:
    """The scores with the first token above all others and padding below them."""
    _check_scores(scores)
    check_padding(padding, tuple(scores.shape))
    if padding is not None:
        scores = scores.masked_fill(~padding, -torch.inf)
    first = torch.arange(scores.shape[1], device=scores.device) == 0
    return scores.masked_fill(first, torch.inf)


def kept_positions(
    scores: Float[Tensor, "batch tokens"],
    keep: int,
    padding: Bool[Tensor, "batch tokens"] | None = None,
) -> Int64[Tensor, "batch keep"]:
    """Where the `keep` tokens with the largest scores stand, in order; the first is among them.

    Padding is kept only when there are fewer real tokens. Raises ValueError for a `keep` below 1
    or above the number of tokens, and for padding that does not fit.
    """
    _check_scores(scores)
    at_least(1, keep=keep)
    if keep > scores.shape[1]:
        raise ValueError(f"keep is {keep}; it must lie in 1 ... {scores.shape[1]}, the tokens.")
    return ranked(scores, padding).topk(keep, dim=1).indices.sort(dim=1).values


def _check_scores(scores: Tensor) -> None:
    if not scores.is_floating_point():
        raise ValueError(f"scores has dtype {scores.dtype}; it must be floating point.")
    if scores.ndim != 2:
        raise ValueError(f"scores has shape {tuple(scores.shape)}; it must be (batch, tokens).")


class SoftRetention(nn.Module):
    """One share in 0 ... 1 for each layer and rank, learned: how much of that token is kept.

    The token of rank k in layer j (0: the first token of the sequence, then by score) goes on with
    the share η_ln of what it had: later layers give it that part of its attention. All start at
    1. Rank 0 has no parameter: the first token is always kept.

    gain: a share is gain times its parameter, so that an optimiser with one learning rate for
    everything moves shares faster than weights.

    Source: goyal2020powerbert, section 3.3, where the share multiplies the *vector*, between
    attention and feed-forward network of a layer that normalises last: the network reads the small
    vector as it is, and the norm behind it makes the sum as long as any other. In a layer that
    normalises first that is not dropping either: keys and values of the next layer come from
    norm(η·x), which is norm(x) down to the smallest η, so the token is read with full weight, while
    the residual stream, which keeps the factor, loses what x held. Here the share multiplies the
    attention that the token receives; at 0 that is what dropping it does. They put parameters back
    into 0 ... 1 after each step; here that happens before the next forward pass in training.
    """

    def __init__(self, n_layers: int, max_length: int, *, gain: float | int = 10) -> None:
        super().__init__()
        at_least(1, n_layers=n_layers)
        at_least(2, max_length=max_length)
        if not gain > 0:
            raise ValueError(f"gain is {gain}; it must be above 0 or no share moves.")
        self.n_layers, self.max_length, self.gain = n_layers, max_length, gain
        self.share = nn.Parameter(torch.full((n_layers, max_length - 1), 1 / gain))

    def extra_repr(self) -> str:
        return told(self, "n_layers", "max_length", "gain")

    @property
    def shares(self) -> Float[Tensor, "n_layers max_length"]:
        """η_ln, with the 1 of the first token in front."""
        return nn.functional.pad((self.gain * self.share).clamp(0, 1), (1, 0), value=1.0)

    def mass(self) -> Float[Tensor, " n_layers"]:
        """Σ_n η_ln: how many tokens each layer keeps, softly."""
        return self.shares.sum(1)

    def penalty(self) -> Float[Tensor, ""]:
        """Σ_l l·Σ_n η_ln with l from 1, in tokens: what is kept late is charged most."""
        layer = torch.arange(1, self.n_layers + 1, device=self.share.device)
        return (layer * self.mass()).sum()

    def schedule(self) -> tuple[int, ...]:
        """The tokens to keep after each layer: the whole part of each mass, never growing."""
        return retention_schedule(self.mass().tolist())

    def forward(
        self, scores: Float[Tensor, "batch tokens"], *, layer: int
    ) -> Float[Tensor, "batch tokens"]:
        """The share of each token, by its rank among `scores`."""
        _check_scores(scores)
        whole_within(0, self.n_layers - 1, layer=layer)
        if scores.shape[1] > self.max_length:
            raise ValueError(
                f"scores has {scores.shape[1]} tokens; "
                f"it must have at most the {self.max_length} that this retention was made for."
            )
        if self.training:
            self._project()
        rank = scores.argsort(dim=1, descending=True).argsort(dim=1)  # (batch, tokens)
        return self.shares[layer][rank]

    def _project(self) -> None:
        # Past autograd's eyes: several layers use it before the backward pass, and after the first
        # this changes nothing. To look first would make a GPU wait.
        self.share.data.clamp_(0, 1 / self.gain)


class Elimination(NamedTuple):
    """What a run through the layers left.

    output: (batch, kept, d_model). padding: which of the kept tokens are real, None if all are.
    positions: for each layer, where the tokens that left it stood at first, (batch, tokens).
    """

    output: Tensor
    padding: Tensor | None
    positions: list[Tensor]


class WordVectorElimination(nn.Module):
    """Run layers and drop tokens between attention and feed-forward network of each.

    For `TransformerConfig(make_stack=WordVectorElimination)`; the encoder then gives
    (batch, kept, d_model), the first token in front. keep: tokens left after each layer, at most;
    None keeps all. score: what a token is ranked by, `significance` by default.

    The three phases of the paper: train with `keep=None`; `soften(max_length)` and train with
    λ·`retention.penalty()` in the loss; `harden()` and train again.

    Rotary positions turn a token by its old place. Other attentions than softmax have no weights
    to add up; a layer with one of them raises ValueError, and so do masks other than `padding`.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        *,
        keep: Sequence[int] | None = None,
        score: Score = significance,
    ) -> None:
        super().__init__()
        check_layers(layers)
        for layer in layers:
            _check_layer(layer)
        self.layers = nn.ModuleList(layers)
        self.score = score
        self.retention: SoftRetention | None = None
        self.keep = keep

    def extra_repr(self) -> str:
        return told(self, "keep")

    @property
    def keep(self) -> tuple[int, ...] | None:
        """Tokens left after each layer, or None for all."""
        return self._keep

    @keep.setter
    def keep(self, keep: Sequence[int] | None) -> None:
        self._keep = None if keep is None else check_schedule(keep, len(self.layers))

    def soften(self, max_length: int) -> SoftRetention:
        """Weigh tokens by learned shares from now on, and drop nothing. Gives the shares."""
        device = next(self.layers.parameters()).device
        self.retention = SoftRetention(len(self.layers), max_length).to(device)
        self.keep = None
        return self.retention

    def harden(self, keep: Sequence[int] | None = None) -> tuple[int, ...]:
        """Drop tokens from now on: by `keep`, or by the schedule that `retention` has learned."""
        if keep is None:
            if self.retention is None:
                raise ValueError("keep is None and no retention was learned; give a schedule.")
            keep = self.retention.schedule()
        self.keep = keep
        self.retention = None
        return self.keep

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: None = None,
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch kept d_model"]:
        """The tokens that are left after the last layer."""
        refuse("elimination knows no other mask than padding.", memory=memory, **options)
        return self.run(x, padding).output

    def run(
        self,
        x: Float[Tensor, "batch length d_model"],
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Elimination:
        """The same, and which tokens left each layer."""
        check_input(x, padding, d_model=self.layers[0].d_model)
        padding = None if padding is None else padding.expand(x.shape[:2])
        length = x.shape[1]
        places = torch.arange(length, device=x.device).expand(x.shape[0], length)
        share = None  # of each token, while retention is soft
        positions = []
        for index, layer in enumerate(self.layers):
            keep = x.shape[1] if self.keep is None else min(self.keep[index], x.shape[1])
            drops = keep < x.shape[1]
            mix, attention = layer.mix, layer.mix.sublayer
            q, k, v = _heads(attention, mix.before(x), places, length)
            scores = None
            if drops or self.retention is not None or attention.recorders:
                weights = _weights(q, k, padding)
                if share is not None:
                    weights = _shared(weights, share)
                attention.record(lambda found=weights: found)
                asked = weights if share is None else weights * share[:, None, :, None]
                scores = ranked(self.score(asked, padding), padding)
                if drops:
                    kept = kept_positions(scores, keep)
                    x, places = _rows(x, kept), places.gather(1, kept)
                    by_head = kept[:, None].expand(-1, weights.shape[1], -1)
                    weights = _rows(weights, by_head)
                out = weights.to(v.dtype) @ v  # (batch, heads, keep, head_dim)
                if padding is not None:  # a text without a real token reads nothing
                    out = out * padding.any(1)[:, None, None, None]
            else:
                out = softmax_attention(q, k, v, padding=padding)
            out = attention.dropout(attention.to_out(out.transpose(1, 2).flatten(2)))
            x = mix.after(x, out)
            if drops:
                padding = None if padding is None else padding.gather(1, kept)
            if self.retention is not None:
                kept_share = self.retention(scores, layer=index)
                share = kept_share if share is None else share * kept_share
            x = layer.feed_forward(x, padding=padding)
            positions.append(places)
        return Elimination(x, padding, positions)


def _check_layer(layer: nn.Module) -> None:
    if not isinstance(layer, TransformerLayer) or not layer.attends or layer.cross is not None:
        raise ValueError(
            "layers has one without self-attention or with cross-attention; elimination needs "
            "encoder layers that attend."
        )
    attend, rotate = layer.mix.sublayer.attend, layer.mix.sublayer.rotate
    if rotate is not None and not isinstance(rotate, RotaryPositions):
        raise ValueError(
            f"layers rotate by {type(rotate).__name__}; dropped tokens leave gaps, "
            "which only RotaryPositions can turn by."
        )
    if attend is not softmax_attention:
        name = getattr(attend, "__name__", type(attend).__name__)
        raise ValueError(f"layers attend by {name}; significance needs softmax_attention.")


def _weights(q: Tensor, k: Tensor, padding: Tensor | None) -> Tensor:
    """`attention_weights` in fewer passes over the matrix, which cost most of the time here.

    A text without a single real token gets equal weights, not zeros. Half precision is computed in
    float32: in float16 a product may be larger than what hides a token.
    """
    batch, heads, n, head_dim = q.shape
    dtype = q.dtype
    q, k = (x.to(torch.promote_types(dtype, torch.float32)) for x in (q, k))
    bias = q.new_zeros(1, 1, 1)
    if padding is not None:  # half of the least number: a score added to it must stay finite
        hidden = torch.finfo(q.dtype).min / 2
        bias = bias.expand(batch, 1, n).masked_fill(~padding[:, None], hidden)
        bias = bias.repeat_interleave(heads, dim=0)  # (batch·heads, 1, tokens)
    q, k = q.flatten(0, 1), k.flatten(0, 1)
    with torch.autocast(autocast_kind(q.device), enabled=False):
        scores = torch.baddbmm(bias, q, k.mT, alpha=head_dim**-0.5)
    return scores.softmax(-1).to(dtype).unflatten(0, (batch, heads))


def _rows(x: Tensor, kept: Tensor) -> Tensor:
    """The rows `kept` (..., keep) of x (..., tokens, width), copied row by row."""
    *before, tokens, width = x.shape
    texts = torch.arange(0, x.numel() // width, tokens, device=x.device)
    index = (kept.flatten(0, -2) + texts[:, None]).flatten()
    return x.flatten(0, -2).index_select(0, index).view(*before, kept.shape[-1], width)


def _heads(
    attention: MultiHeadAttention, x: Tensor, places: Tensor, length: int
) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v of the tokens that stood at `places` of a sequence of `length`."""
    q, k, v = (
        attention.split(project(x)) for project in (attention.to_q, attention.to_k, attention.to_v)
    )
    if attention.rotate is None:
        return q, k, v
    if x.shape[1] == length:
        places = places[0]  # all texts alike, in order
    return attention.rotate.turn(q, places), attention.rotate.turn(k, places), v


def _shared(weights: Tensor, share: Tensor) -> Tensor:
    """The weights when each key counts by its share; rows still sum to 1, or to 0."""
    weights = weights * share[:, None, None, :].to(weights.dtype)
    least = max(1e-12, torch.finfo(weights.dtype).tiny)  # 1e-12 is 0 in float16
    return weights / weights.sum(-1, keepdim=True).clamp(min=least)
