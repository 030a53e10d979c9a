"""One layer, applied again and again, until each token has had enough.

A Universal Transformer has one block of layers and runs it up to `n_steps` times with the same
weights. After each step a token's state gives a halting probability h_t = sigmoid(w·s_t + b). The
token halts at the first step N at which h_1 + ... + h_N reaches the threshold, or at the last one.
Its shares are p_t = h_t before N and the remainder R = 1 - h_1 - ... - h_(N-1) at N, so they sum to
1, and its output is the sum of p_t·s_t. Its ponder cost is N + R, of which R has a gradient.

Sources: dehghani2019universal; graves2016act for the halting. Chapter: one-layer-many-times.
Cost for T tokens that run N steps on average: N·T·(8·d² + 4·d·d_ff) FLOPs and the attention of
those that run to all; N·T goes down with every token that halts.

What runs here is the paper's text, not the code it came with (tensor2tensor). There the halting
probability is read from the state before the step; halted tokens are computed on until all have
halted, and the others read these states; the default output is y_t = p_t·s_t + (1 - p_t)·y_(t-1)
and only act_type="accumulated" is the sum; and a token that reaches the last step gets no
remainder, so that its shares sum to less than 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from frugal.attention.softmax import softmax_attention
from frugal.checks import (
    at_least,
    between,
    check_input,
    check_layers,
    hide_padding,
    name_of,
    refuse,
    within,
)
from frugal.model import TransformerLayer
from frugal.positions import RotaryPositions, sinusoidal_positions
from frugal.replays import in_backward_pass
from frugal.telling import told


class Pondering(NamedTuple):
    """What a run with halting gave; padding has zeros everywhere.

    output: Σ p_t·s_t. steps: N of each token. remainders: R of each token. shares: p_t by step.
    rows: for each step, how many tokens were computed.
    """

    output: Float[Tensor, "batch length d_model"]
    steps: Int64[Tensor, "batch length"]
    remainders: Float[Tensor, "batch length"]
    shares: Float[Tensor, "batch length n_steps"]
    rows: list[int]


class UniversalTransformer(nn.Module):
    """Run one block of layers up to `n_steps` times, for `TransformerConfig(make_stack=...)`.

    layers: the block, one layer with n_layers=1. n_steps: may be changed later, also to more than
    in training. halting: each token stops by itself (adaptive computation time); False: all run
    `n_steps` times and the last state comes out. threshold: what the halting probabilities must
    sum to, 1 - ε. start: b of the halting unit at first. position_signal, step_signal: add the
    sinusoids of the token's place and of the step before every step, as the paper does; a
    configuration with positions="none" then adds none of its own.

    A token that halts is not computed again. Its query leaves; the state with which it halted gives
    a last key and value in the step after, and they stay as they are. Padding never runs and gets
    zeros. Halting needs softmax attention, with rotary positions or without.

    Raises ValueError for layers that attend to a memory, and where a step cannot leave tokens out.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        *,
        n_steps: int = 8,
        halting: bool = True,
        threshold: float | int = 0.99,
        start: float | int = 1.0,
        position_signal: bool = True,
        step_signal: bool = True,
    ) -> None:
        super().__init__()
        check_layers(layers)
        at_least(1, n_steps=n_steps, layers=len(layers))
        between(-math.inf, math.inf, start=start)
        for index, layer in enumerate(layers):
            _check_layer(layer, index, halting)
        self.layers = nn.ModuleList(layers)
        self.n_steps, self.threshold = n_steps, threshold
        self.position_signal, self.step_signal = position_signal, step_signal
        self.halting = None
        if halting:
            self.halting = nn.Linear(layers[0].d_model, 1)
            nn.init.zeros_(self.halting.weight)
            nn.init.constant_(self.halting.bias, start)
        self.pondering: Pondering | None = None
        self._ponder_cost: Tensor | None = None

    def extra_repr(self) -> str:
        return told(self, "n_steps", "threshold")

    @property
    def threshold(self) -> float:
        """The sum of halting probabilities at which a token stops."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: float | int) -> None:
        within(0, 1, threshold=threshold)
        if not threshold:
            raise ValueError(f"threshold is {threshold}; it must be above 0 and at most 1.")
        self._threshold = float(threshold)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: Tensor | None = None,
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        causal: bool = False,
        caches: Sequence[Any] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        """Afterwards `pondering` holds the run without gradients, where tokens halt."""
        refuse("a universal stack attends only to itself.", memory=memory)
        refuse("a universal stack would need a key per step; call it without.", caches=caches)
        check_input(x, padding, d_model=self.layers[0].d_model)
        if self.halting is None:
            return self._applied(x, padding, causal, options)
        refuse("where tokens halt, attention takes padding and causal alone.", **options)
        if torch.compiler.is_exporting() or x.device.type == "meta":
            return self._everywhere(x, padding, causal)
        found = self.run(x, padding, causal=causal)
        return found.output

    def _applied(
        self, x: Tensor, padding: Tensor | None, causal: bool, options: dict[str, Any]
    ) -> Tensor:
        """The block, `n_steps` times, on everything."""
        for step in range(self.n_steps):
            x = x + self._signals(x.shape[1], step, x)
            for layer in self.layers:
                x = layer(x, padding=padding, causal=causal, **options)
        return x

    def _everywhere(self, x: Tensor, padding: Tensor | None, causal: bool) -> Tensor:
        """The output of `run` where data cannot decide shapes: to be exported, or on "meta".

        Every step is made on every token; what one that has halted would change is thrown away.
        """
        running = x.new_ones(x.shape[:2], dtype=torch.bool)
        running = running if padding is None else padding.expand(x.shape[:2])
        left = torch.zeros_like(running)  # those that halted in the step before
        total = torch.zeros(x.shape[:2], dtype=_exact(x.dtype), device=x.device)
        state, output = hide_padding(x, padding), torch.zeros_like(x)
        kept: list[tuple[Tensor, Tensor] | None] = [None] * len(self.layers)
        for step in range(self.n_steps):
            found = state + self._signals(x.shape[1], step, x)
            for index, layer in enumerate(self.layers):
                mix, attention = layer.mix, layer.mix.sublayer
                read = mix.before(found)
                q, k, v = (
                    attention.split(project(read))
                    for project in (attention.to_q, attention.to_k, attention.to_v)
                )
                if attention.rotate is not None:
                    q, k = attention.rotate(q), attention.rotate(k)
                if (before := kept[index]) is not None:
                    moves = (running | left)[:, None, :, None]
                    k, v = (torch.where(moves, *pair) for pair in zip((k, v), before, strict=True))
                kept[index] = k, v
                out = softmax_attention(q, k, v, padding=padding, causal=causal)
                out = attention.to_out(out.transpose(1, 2).flatten(2))
                new = layer.feed_forward(mix.after(found, attention.dropout(out)))
                found = torch.where(running[..., None], new, found)
            state = torch.where(running[..., None], found, state)
            h = self.halting(state)[..., 0].to(total.dtype).sigmoid()
            halts = (total + h >= self.threshold) | (step == self.n_steps - 1)
            p = torch.where(halts, 1 - total, h).masked_fill(~running, 0.0)
            output = output + (p[..., None] * state).to(output.dtype)
            total, left, running = total + h, running & halts, running & ~halts
        return output

    @torch.compiler.disable
    def run(
        self,
        x: Float[Tensor, "batch length d_model"],
        padding: Bool[Tensor, "batch length"] | None = None,
        *,
        causal: bool = False,
    ) -> Pondering:
        """The same with halting, and when each token halted.

        Raises ValueError where the stack was made with halting=False.
        """
        check_input(x, padding, d_model=self.layers[0].d_model)
        if self.halting is None:
            raise ValueError("halting is False; run must be asked of a stack whose tokens halt.")
        batch, length, _ = x.shape
        real = x.new_ones(batch, length, dtype=torch.bool)
        real = real if padding is None else padding.expand(batch, length)
        hidden = None if padding is None else real
        keys = _Keys(batch, length, len(self.layers), hidden, causal)

        flat = hide_padding(x, padding).flatten(0, 1)  # (batch·length, d_model)
        tokens = real.flatten().nonzero()[:, 0]  # the numbers of those that run
        state = flat[tokens]
        left, left_state = tokens[:0], state[:0]  # those that halted in the step before
        total = state.new_zeros(len(tokens), dtype=_exact(x.dtype))
        output = torch.zeros_like(flat)
        steps = torch.zeros_like(real.flatten(), dtype=torch.int64)
        remainders = total.new_zeros(len(flat))
        shares, rows = [], []
        for step in range(self.n_steps):
            rows.append(len(tokens))
            signals = self._signals(length, step, x)
            state = self._step(
                state + signals[tokens % length],
                left_state + signals[left % length],
                tokens,
                left,
                keys,
            )
            h = self.halting(state)[:, 0].to(total.dtype).sigmoid()
            halts = total + h >= self.threshold
            if step == self.n_steps - 1:
                halts = torch.ones_like(halts)
            p = torch.where(halts, 1 - total, h)
            output = output.index_add(0, tokens, (p[:, None] * state).to(output.dtype))
            shares.append(remainders.new_zeros(len(flat)).index_copy(0, tokens, p))
            steps = steps.index_fill(0, tokens, step + 1)
            left, left_state = tokens[halts], state[halts]
            remainders = remainders.index_copy(0, left, p[halts])
            tokens, state, total = tokens[~halts], state[~halts], (total + h)[~halts]
            if not len(tokens):
                break
        shares += [torch.zeros_like(remainders)] * (self.n_steps - len(shares))
        found = Pondering(
            output.view_as(x),
            steps.view(batch, length),
            remainders.view(batch, length),
            torch.stack(shares, -1).view(batch, length, self.n_steps),
            rows,
        )
        count = max(1, rows[0])
        cost = (steps.sum() + remainders.sum()) / count
        if not in_backward_pass():  # what a checkpoint runs again is no later pass
            self._ponder_cost = cost
            self.pondering = Pondering(*(part.detach() for part in found[:-1]), rows)
        return found

    def _signals(self, length: int, step: int, like: Tensor) -> Float[Tensor, "length d_model"]:
        """What is added to the states before a step, counted from 0."""
        width = like.shape[-1]
        kind = {"device": like.device, "dtype": like.dtype}
        found = torch.zeros(length, width, **kind)
        if self.position_signal:
            found = found + sinusoidal_positions(length, width, **kind)
        if self.step_signal:
            found = found + sinusoidal_positions(1, width, offset=step + 1, **kind)
        return found

    def _step(
        self, x: Tensor, left_x: Tensor, tokens: Tensor, left: Tensor, keys: _Keys
    ) -> Float[Tensor, "tokens d_model"]:
        """The block on the tokens that run; `left` only leave a last key and value."""
        both = torch.cat([tokens, left])
        for index, layer in enumerate(self.layers):
            mix, attention = layer.mix, layer.mix.sublayer
            read = mix.before(torch.cat([x, left_x]))  # (tokens + left, d_model)
            q = attention.split(attention.to_q(read[None, : len(tokens)]))
            k = attention.split(attention.to_k(read[None]))  # (1, heads, tokens + left, head_dim)
            v = attention.split(attention.to_v(read[None]))
            if attention.rotate is not None:
                q = attention.rotate.turn(q, tokens % keys.length)
                k = attention.rotate.turn(k, both % keys.length)
            keys.write(index, both, k[0], v[0])
            found = keys.attended(index, tokens, q[0])  # (tokens, d_model)
            x = mix.after(x, attention.dropout(attention.to_out(found)))
            x = layer.feed_forward(x[None])[0]
        return x

    def penalty(self) -> Float[Tensor, ""]:
        """N + R of the latest forward pass, the mean over real tokens; 0 where none halts.

        To be scaled by λ. Raises ValueError before a forward pass, and where that kept no gradient
        though one is wanted.
        """
        if self.halting is None:
            return next(self.parameters()).new_zeros(())
        cost = self._ponder_cost
        if cost is None:
            raise ValueError("no token has pondered yet; penalty must follow a forward pass.")
        if torch.is_grad_enabled() and self.halting.bias.requires_grad and not cost.requires_grad:
            raise ValueError(
                "the latest forward pass kept no gradient; penalty must follow one that does."
            )
        return cost

    def __getstate__(self) -> dict[str, Any]:
        """A copy begins without a forward pass: what belongs to a graph cannot be copied."""
        return self.__dict__ | {"_ponder_cost": None, "pondering": None}


class _Keys:
    """Keys and values of all tokens, for each layer of the block, and who may see them."""

    def __init__(
        self, batch: int, length: int, n_layers: int, padding: Tensor | None, causal: bool
    ) -> None:
        self.batch, self.length, self.padding, self.causal = batch, length, padding, causal
        self.kept: list[tuple[Tensor, Tensor] | None] = [None] * n_layers

    def write(self, layer: int, tokens: Tensor, k: Tensor, v: Tensor) -> None:
        """k and v (heads, tokens, head_dim) take the places of these tokens."""
        before = self.kept[layer]
        if before is None:
            before = tuple(new.new_zeros(len(new), self.size, new.shape[-1]) for new in (k, v))
        pairs = zip(before, (k, v), strict=True)
        self.kept[layer] = tuple(old.index_copy(1, tokens, new) for old, new in pairs)

    @property
    def size(self) -> int:
        return self.batch * self.length

    def attended(
        self,
        layer: int,
        tokens: Int64[Tensor, " tokens"],
        q: Float[Tensor, "heads tokens head_dim"],
    ) -> Float[Tensor, "tokens width"]:
        """Softmax attention of these tokens' queries, each to the keys of its own text."""
        k, v = (self._by_text(part) for part in self.kept[layer])
        if len(tokens) == self.size:
            out = softmax_attention(
                self._by_text(q), k, v, padding=self.padding, causal=self.causal
            )
            return out.transpose(1, 2).flatten(0, 1).flatten(1)
        text, place = tokens // self.length, tokens % self.length
        count = torch.bincount(text, minlength=self.batch)
        first = count.cumsum(0) - count  # where each text's tokens begin
        most = max(1, int(count.max()))
        slot = text * most + torch.arange(len(tokens), device=tokens.device) - first[text]
        rows = q.new_zeros(len(q), self.batch * most, q.shape[-1]).index_copy(1, slot, q)
        rows = rows.unflatten(1, (self.batch, most)).transpose(0, 1)
        mask = None
        if self.causal:
            places = place.new_zeros(self.batch * most).index_copy(0, slot, place)
            keys = torch.arange(self.length, device=tokens.device)
            mask = (keys <= places[:, None]).view(self.batch, 1, most, self.length)
        out = softmax_attention(rows, k, v, mask=mask, padding=self.padding)
        return out.transpose(1, 2).flatten(0, 1)[slot].flatten(1)

    def _by_text(self, x: Float[Tensor, "heads all head_dim"]) -> Tensor:
        """(batch, heads, length, head_dim)."""
        return x.unflatten(1, (self.batch, self.length)).transpose(0, 1)


def _exact(dtype: torch.dtype) -> torch.dtype:
    """In which halting probabilities are summed: no less than float32."""
    return torch.promote_types(dtype, torch.float32)


def _check_layer(layer: nn.Module, index: int, halting: bool) -> None:
    if getattr(layer, "cross", None) is not None:
        raise ValueError(
            f"layer {index} attends to a memory; a universal stack attends only to itself."
        )
    if not halting:
        return
    if not isinstance(layer, TransformerLayer) or not layer.attends:
        raise ValueError(
            f"layer {index} mixes without attention; only attention can leave out the queries of "
            "tokens that have halted, so it needs halting=False."
        )
    attention = layer.mix.sublayer
    if attention.attend is not softmax_attention or not isinstance(
        attention.rotate, RotaryPositions | None
    ):
        raise ValueError(
            f"layer {index} attends by {name_of(attention.attend)}; tokens that have halted leave "
            "gaps, which only softmax_attention with or without RotaryPositions can bear."
        )
