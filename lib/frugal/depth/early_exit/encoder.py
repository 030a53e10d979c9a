"""An encoder with a classifier after each layer, and the batch that gets smaller on its way up.

Chapter: leaving-early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal.checks import at_least, check_padding, instance_of, one_of
from frugal.model import Encoder, Stack, TransformerConfig
from frugal.norms import norm
from frugal.positions import skipped_in_front

Rule = Callable[[Tensor, Tensor], Tensor]
"""rule(scores, state) -> (rows,) bool, True for an example that leaves now.

scores: (rows, exits so far, classes), the newest last; state: (rows, d_model), what the newest
classifier read.
"""

Weighting = Literal["equal", "depth"]
WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)


class Seen(NamedTuple):
    """What all exits say: the scores of the classes, and the vectors that the classifiers read."""

    scores: Float[Tensor, "batch exits classes"]
    states: Float[Tensor, "batch exits d_model"]


class Left(NamedTuple):
    """The scores that each example left with, and the number of its exit, from 1."""

    scores: Float[Tensor, "batch classes"]
    exits: Int[Tensor, " batch"]


class ExitEncoder(nn.Module):
    """An encoder with a classifier after each of its layers.

    Exit k reads the first vector of layer k, or with `mix` a learned weighted sum of the first
    vectors of the layers 1 to k, whose weights have length 1 (schwartz2020right). It has a norm of
    its own. The first vector is that of a row's first real token, from which positions count.

    forward(ids, padding=None) -> `Seen`, for all exits: for training and calibration. The last exit
    is the full model.
    leave(ids, padding=None, *, rule) -> `Left`: an example for which the rule is fulfilled leaves
    the batch, and the layers above compute nothing for it. Cost: a share (mean exit / layers) of
    the layers' FLOPs, and a copy of the batch at each exit that somebody takes.

    Raises ValueError for a configuration whose stack is not the plain one.
    """

    def __init__(self, config: TransformerConfig, n_classes: int, *, mix: bool = False) -> None:
        super().__init__()
        instance_of(TransformerConfig, config=config)
        at_least(1, n_classes=n_classes)
        self.encoder = Encoder(config)
        if type(self.encoder.stack) is not Stack:
            name = type(self.encoder.stack).__name__
            raise ValueError(f"config makes a {name}; layers that are left need the plain Stack.")
        self.encoder.norm = nn.Identity()  # every exit has its own
        kind = config.norm if config.norm_first else "none"
        n, width = config.n_layers, config.d_model
        self.norms = nn.ModuleList(norm(kind, width) for _ in range(n))
        self.classify = nn.ModuleList(nn.Linear(width, n_classes) for _ in range(n))
        self.mixes = None
        if mix:
            self.mixes = nn.ParameterList(torch.randn(below) for below in range(1, n + 1))

    @property
    def n_exits(self) -> int:
        return len(self.classify)

    def forward(
        self, ids: Int[Tensor, "batch length"], padding: Bool[Tensor, "batch length"] | None = None
    ) -> Seen:
        (x, begin), firsts, states, scores = self._start(ids, padding), [], [], []
        for index, layer in enumerate(self.encoder.stack.layers):
            x = layer(x, padding=padding)
            firsts.append(_first(x, begin))
            states.append(self._state(index, torch.stack(firsts, 1)))
            scores.append(self.classify[index](states[-1]))
        return Seen(torch.stack(scores, 1), torch.stack(states, 1))

    def leave(
        self,
        ids: Int[Tensor, "batch length"],
        padding: Bool[Tensor, "batch length"] | None = None,
        *,
        rule: Rule,
    ) -> Left:
        """rule(scores, state) is asked after every layer but the last, of those that are left."""
        if torch.compiler.is_exporting():
            # Data cannot decide the shapes of such a graph: all go through all layers.
            seen = self(ids, padding)
            exits = exits_by(rule, seen)
            at = (exits - 1)[:, None, None].expand(-1, 1, seen.scores.shape[-1])
            return Left(seen.scores.gather(1, at)[:, 0], exits)
        x, begin = self._start(ids, padding)
        padding = None if padding is None else padding.expand(ids.shape)
        rows = torch.arange(len(ids), device=ids.device)  # who is left
        exits = torch.full_like(rows, self.n_exits)
        firsts = scores = found = None
        for index, layer in enumerate(self.encoder.stack.layers):
            x = layer(x, padding=padding)
            firsts = _grown(firsts, _first(x, begin))  # (rows, exits so far, d_model)
            state = self._state(index, firsts)
            scores = _grown(scores, self.classify[index](state))
            if found is None:
                found = torch.empty_like(scores[:, 0])
            if index + 1 == self.n_exits:
                found[rows] = scores[:, -1]
                break
            done = rule(scores, state)
            gone, stay = rows[done], (~done).nonzero().flatten()
            if len(gone) == 0:
                continue
            found[gone] = scores[done, -1]
            exits[gone] = index + 1
            if len(stay) == 0:
                break
            rows, x, firsts, scores = (one[stay] for one in (rows, x, firsts, scores))
            if padding is not None:
                padding, begin = padding[stay], begin[stay]
        return Left(found, exits)

    def _start(self, ids: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """What the first layer reads, and where each row's first real token stands, 0 if None."""
        encoder = self.encoder
        x, begin = encoder.embedding(ids), None
        check_padding(padding, tuple(ids.shape))
        if padding is not None:
            begin = skipped_in_front(padding.expand(ids.shape))
        return encoder.dropout(encoder.positions(x, skipped=begin)), begin

    def _state(self, index: int, firsts: Tensor) -> Tensor:
        """What the classifier of a layer reads, of the first vectors (rows, exits so far, d)."""
        if self.mixes is None:
            return self.norms[index](firsts[:, -1])
        weights = F.normalize(self.mixes[index], dim=0)
        return self.norms[index](torch.einsum("bkd,k->bd", firsts, weights))


def _first(x: Tensor, begin: Tensor | None) -> Float[Tensor, "rows d_model"]:
    """The vector of each row's first real token."""
    return x[:, 0] if begin is None else x[torch.arange(len(x), device=x.device), begin]


def _grown(history: Tensor | None, new: Tensor) -> Tensor:
    new = new[:, None]
    return new if history is None else torch.cat([history, new], 1)


def exits_by(rule: Rule, seen: Seen) -> Int[Tensor, " batch"]:
    """The exit that each example would take, from 1, told from what all exits say."""
    n_rows, n_exits = seen.scores.shape[:2]
    exits = torch.full((n_rows,), n_exits, device=seen.scores.device)
    for k in range(n_exits - 1, 0, -1):
        exits = exits.masked_fill(rule(seen.scores[:, :k], seen.states[:, k - 1]), k)
    return exits


def exit_loss(
    scores: Float[Tensor, "batch exits classes"],
    labels: Int[Tensor, " batch"],
    *,
    weighting: Weighting = "equal",
) -> Float[Tensor, ""]:
    """Cross-entropy at all exits together, for training them jointly.

    weighting: "equal" is the plain sum (schwartz2020right); "depth" the mean with exit k weighted
    by k (zhou2020pabee, equation 5).
    """
    one_of(WEIGHTINGS, weighting=weighting)
    n = scores.shape[1]
    each = F.cross_entropy(scores.mT, labels[:, None].expand(-1, n), reduction="none").mean(0)
    if weighting == "equal":
        return each.sum()
    weights = torch.arange(1, n + 1, device=each.device, dtype=each.dtype)
    return (weights * each).sum() / weights.sum()
