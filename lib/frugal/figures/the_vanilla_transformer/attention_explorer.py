"""`AttentionExplorer`: who looks at whom, for every layer and head of recorded attention weights.

A model's weights come from `frugal.attention.softmax.recording`::

    with torch.no_grad(), recording(model) as recorder:
        model(source, target)
    weights = recorded_weights(recorder.weights, sequence=0)   # one sentence of the batch
    example = AttentionExample.from_weights(
        weights, source=["5", " ", "J", …], target=["1", "9", …], title="5 June 1998"
    )
    AttentionExplorer([example, …])

Each weight travels in one byte, which holds its square root: weights below 1 % are exact to 0.04
percentage points, large ones to 0.4 (`bits=16` makes that 0.002 and the page twice as heavy).
A weight of exactly 0 stays 0.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from frugal.checks import one_of, whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["encoder", "decoder", "cross"]
"""Encoder self-attention, causal decoder self-attention, decoder reading the encoder."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionMap:
    """The weights of one kind of attention on one example.

    weights: (layers, heads, queries, keys), each row a distribution over the keys (or all zeros).
    A list of (heads, queries, keys), one a layer, is stacked. Tokens beyond the words given are
    padding and are cut off.

    Raises ValueError when shapes and words do not fit, or weights are not in 0 … 1.
    """

    kind: Kind
    queries: Sequence[str]
    keys: Sequence[str]
    weights: Tensor | Sequence[Tensor]

    def __post_init__(self) -> None:
        one_of(get_args(Kind), kind=self.kind)
        weights = self.weights
        if not isinstance(weights, Tensor):
            weights = torch.stack(list(weights))
        words = (len(self.queries), len(self.keys))
        too_small = weights.ndim != 4 or 0 in weights.shape or 0 in words
        if too_small or weights.shape[2] < words[0] or weights.shape[3] < words[1]:
            raise ValueError(
                f"weights has shape {tuple(weights.shape)} for kind {self.kind!r}; it must be "
                f"(layers, heads, queries, keys) with at least {words[0]} queries and "
                f"{words[1]} keys, as many as the words."
            )
        weights = weights[:, :, : words[0], : words[1]].detach().float().cpu()
        if not ((weights >= 0) & (weights <= 1 + 1e-4)).all():
            raise ValueError(
                f"weights of kind {self.kind!r} has values outside 0 … 1; it must be a softmax."
            )
        object.__setattr__(self, "weights", weights.clamp(max=1))

    def state(self, bits: int) -> dict[str, Any]:
        """What the page gets: words, shape and weights as square roots in `bits` bits."""
        assert isinstance(self.weights, Tensor)
        steps = 2**bits - 1
        codes = (self.weights.double().sqrt() * steps).round().numpy()
        stored = codes.astype(np.uint8 if bits == 8 else np.dtype("<u2"))
        return {
            "queries": list(self.queries),
            "keys": list(self.keys),
            "shape": list(self.weights.shape),
            "bits": bits,
            "weights": b64encode(stored.tobytes()).decode(),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionExample:
    """One input to the model: its title and a map for each kind of attention."""

    title: str
    maps: Sequence[AttentionMap]

    def __post_init__(self) -> None:
        kinds = [part.kind for part in self.maps]
        if not kinds or len(set(kinds)) < len(kinds):
            raise ValueError(
                f"maps has the kinds {kinds}; it must have one map or more, no kind twice."
            )

    @classmethod
    def from_weights(
        cls,
        weights: Mapping[str, Tensor | Sequence[Tensor]],
        *,
        source: Sequence[str] = (),
        target: Sequence[str] = (),
        title: str = "",
    ) -> AttentionExample:
        """From `{kind: (layers, heads, queries, keys)}` and the words of both sides.

        source: what the encoder read. target: what the decoder read (its input, shifted), or, for
        each position, what it wrote: whichever you want to see beside the rows.
        """
        words = {
            "encoder": (source, source),
            "decoder": (target, target),
            "cross": (target, source),
        }
        for kind in weights:
            if kind not in words:
                raise ValueError(
                    f"weights has the kind {kind!r}; it must be encoder, decoder or cross."
                )
        maps = [
            AttentionMap(kind=kind, queries=words[kind][0], keys=words[kind][1], weights=tensor)
            for kind, tensor in weights.items()
        ]
        return cls(title=title or "".join(source) or "".join(target), maps=maps)


def recorded_weights(
    weights: Mapping[str, Tensor], *, sequence: int = 0, alone: Kind = "encoder"
) -> dict[Kind, Tensor]:
    """Sort what `recording` kept by kind: `{kind: (layers, heads, queries, keys)}`.

    weights: by module name, each (batch, heads, queries, keys). sequence: which one of the batch.
    alone: the kind of a model that is an encoder or a decoder only. Names are those of
    `frugal.model`: `encoder.…`, `decoder.…`, and `….cross.…` for cross-attention.
    """
    if not weights:
        raise ValueError("weights is empty; it must be what `recording` kept of a forward pass.")
    layers: dict[Kind, list[Tensor]] = {}
    for name, tensor in weights.items():
        parts = name.split(".")
        if "cross" in parts:
            kind: Kind = "cross"
        elif parts[0] in ("encoder", "decoder"):
            kind = parts[0]
        else:
            kind = alone
        if not -len(tensor) <= sequence < len(tensor):
            raise ValueError(f"sequence is {sequence}; it must be one of the {len(tensor)}.")
        layers.setdefault(kind, []).append(tensor[sequence])
    return {kind: torch.stack(found) for kind, found in layers.items()}


class AttentionExplorer(Interactive):
    """The explorer: choose example, kind, layer and head; point at a token to see what it reads.

    examples: shown in a menu by their titles. kind, layer, head, query: what is selected at first
    (counted from 0; kind defaults to the last map of the first example). bits: 8 or 16, how
    exactly weights are stored. alt: written for you from what is selected at first when omitted.

    A narrow page shows the chosen token (0) or the whole head (1); the state's `part` says which.
    """

    module = "attention_explorer.js"
    style = "attention_explorer.css"

    def __init__(
        self,
        examples: Sequence[AttentionExample],
        *,
        kind: Kind | None = None,
        layer: int = 0,
        head: int = 0,
        query: int = 0,
        bits: Literal[8, 16] = 8,
        alt: str | None = None,
    ) -> None:
        if not examples:
            raise ValueError("examples is empty; it must have one AttentionExample or more.")
        one_of((8, 16), bits=bits)
        maps = {part.kind: part for part in examples[0].maps}
        for one in examples:
            if {part.kind for part in one.maps} != set(maps):
                raise ValueError(
                    f"examples has {one.title!r} with other kinds of attention than "
                    f"{examples[0].title!r}; all must have the same."
                )
        kind = kind if kind is not None else examples[0].maps[-1].kind
        one_of(maps, kind=kind)
        self.selected = maps[kind]
        layers, heads, queries, _ = self.selected.weights.shape
        whole_within(0, layers - 1, layer=layer)
        whole_within(0, heads - 1, head=head)
        whole_within(0, queries - 1, query=query)
        super().__init__(
            alt=alt or _description(self.selected, layer, head, query),
            examples=[
                {"title": one.title, "maps": {part.kind: part.state(bits) for part in one.maps}}
                for one in examples
            ],
            example=0,
            kind=kind,
            layer=layer,
            head=head,
            query=query,
            part=0,
        )

    def picture(self) -> Figure:
        """All heads of the selected layer, and the selected one large."""
        from matplotlib import pyplot as plt

        _, orange, *_ = accents()
        layer, head, query = (self.state[name] for name in ("layer", "head", "query"))
        part = self.selected
        heads = part.weights[layer].numpy()
        cell = min(0.22, 5 / max(len(part.keys), len(part.queries)))
        size = len(part.keys) * cell + 2.6, len(part.queries) * cell + 1.4
        figure = plt.figure(figsize=size, layout="none")
        columns = math.ceil(len(heads) / 4)
        grid = figure.add_gridspec(
            min(4, len(heads)), columns + 1, width_ratios=[1] * columns + [4.2], wspace=0.35
        )
        for index, weights in enumerate(heads):
            axes = figure.add_subplot(grid[index % 4, index // 4])
            axes.imshow(weights**0.5, cmap="Blues", vmin=0, vmax=1)
            axes.set_title(f"head {index + 1}", fontsize=7, loc="left", pad=2)
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(linewidth=1.8 if index == head else 0.4, color=light_color("ink"))
        axes = figure.add_subplot(grid[:, -1])
        axes.imshow(heads[head] ** 0.5, cmap="Blues", vmin=0, vmax=1)
        axes.axhspan(query - 0.5, query + 0.5, fill=False, edgecolor=orange, linewidth=1.2)
        size = min(9, cell * 60)
        axes.set_xticks(range(len(part.keys)), part.keys, fontsize=size)
        axes.set_yticks(range(len(part.queries)), part.queries, fontsize=size)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        if max(map(len, part.keys)) > 1:
            axes.tick_params(axis="x", rotation=90)
        axes.set_title(
            f"layer {layer + 1}, head {head + 1}: each row is one query", fontsize=9, loc="left"
        )
        return figure


_NAMES = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention (decoder reading encoder)",
}


def _description(part: AttentionMap, layer: int, head: int, query: int) -> str:
    row = part.weights[layer, head, query]
    key = int(row.argmax())
    return (
        f"Attention weights of {_NAMES[part.kind]}, one heat map for each head of layer "
        f"{layer + 1} and one enlarged. In head {head + 1} the token ‘{part.queries[query]}’ "
        f"gives {row[key]:.0%} of its attention to ‘{part.keys[key]}’, more than to any other. "
        "Moving over the tokens shows what each one attends to, in every layer and head."
    )
