"""`HeadSwitches`: a trained model whose heads the reader switches off, and which answers at once.

A grid has a switch for each head, a bar in it for the head's importance. The model runs in the
page, from its weights in half precision, on all texts whenever a head goes or comes back::

    HeadSwitches(
        (model.encoder, model.classify),
        importance=[[0.2, 0.1], [0.4, 0.3]],             # a list for each layer
        orders={"the least important": [(0, 1), (0, 0), (1, 1), (1, 0)]},
        vocabulary=journeys.VOCABULARY,
        classes=journeys.PLACES,
        examples=stories,                                # pairs of a text and its right class
    )
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from frugal.attention.heads import layers_of, masked_heads
from frugal.checks import whole_within
from frugal.data.vocabulary import CharacterVocabulary
from frugal.model import Encoder, Stack
from frugal.positions import RotaryPositions
from frugal.show.interactive import Interactive
from frugal.show.models import is_usual, packed, sizes
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Head = tuple[int, int]
"""A layer and a head of it, both from 0."""


class HeadSwitches(Interactive):
    """Layers of switches, the texts that the model still reads rightly, and one of them in words.

    model: an encoder that normalises first, with rotary positions and ReLU, and the layer that
    reads the class from its first vector. importance: of each head, by layer. orders: by the words
    on its button, all heads in the order in which presses of the button switch them off. off: heads
    that are off at first. example: the text shown at first.
    """

    module = "head_switches.js"
    style = "head_switches.css"

    def __init__(
        self,
        model: tuple[Encoder, nn.Linear],
        *,
        importance: Sequence[Sequence[float]],
        orders: Mapping[str, Sequence[Head]],
        vocabulary: CharacterVocabulary,
        classes: Sequence[str],
        examples: Sequence[tuple[str, int]],
        off: Sequence[Head] = (),
        example: int = 0,
        question: str = "Class",
    ) -> None:
        if not examples or not orders:
            raise ValueError("examples or orders is empty; each must have one entry or more.")
        shape = _shape(*model, classes)
        self._model = model
        layers, heads = shape["layers"], shape["heads"]
        if [len(row) for row in importance] != [heads] * layers:
            raise ValueError(
                f"importance has rows of {[len(row) for row in importance]}; it must have "
                f"{layers} rows of {heads} numbers."
            )
        everything = [(layer, head) for layer in range(layers) for head in range(heads)]
        for label, order in orders.items():
            if sorted(map(tuple, order)) != everything:
                raise ValueError(f"orders has {label!r}; it must name each head once.")
        if not set(map(tuple, off)) <= set(everything):
            raise ValueError(f"off is {list(off)}; it must be pairs of a layer and a head there.")
        whole_within(0, len(examples) - 1, example=example)
        given = []
        for text, answer in examples:
            ids = vocabulary.ids(text)
            if not ids or vocabulary.unknown in ids:
                raise ValueError(f"examples has {text[:40]!r}; each must have known words alone.")
            whole_within(0, len(classes) - 1, answer=answer)
            given.append({"text": text, "ids": ids, "answer": answer})
        super().__init__(
            alt=(
                f"A grid of switches, {layers} layers of {heads} heads of a trained model, each "
                f"with a bar for its importance; {len(set(map(tuple, off)))} of them are off. "
                f"Below it {len(given)} texts, marked right or wrong as the model reads them now, "
                "and for one text the probability of each class. Switching a head off or on runs "
                "the model again."
            ),
            shape=shape,
            weights=packed(*model),
            importance=[list(map(float, row)) for row in importance],
            orders={
                label: [_number(one, heads) for one in order] for label, order in orders.items()
            },
            classes=list(classes),
            question=question,
            examples=given,
            off=sorted({_number(one, heads) for one in off}),
            example=example,
        )

    def probabilities(self) -> Tensor:
        """What the model gives each text in the state shown, by torch: (texts, classes)."""
        encoder, classify = self._model
        names = list(layers_of(encoder))
        gone: dict[str, list[int]] = {}
        for number in self.state["off"]:
            layer, head = divmod(number, self.state["shape"]["heads"])
            gone.setdefault(names[layer], []).append(head)
        device = next(encoder.parameters()).device
        found = []
        with torch.no_grad(), masked_heads(encoder, gone):
            for example in self.state["examples"]:
                ids = torch.tensor([example["ids"]], device=device)
                found.append(classify(encoder(ids)[:, 0]).softmax(-1)[0])
        return torch.stack(found)

    def right(self) -> list[bool]:
        """Of each text, whether the class with the highest probability is its own."""
        best = self.probabilities().argmax(-1).tolist()
        return [b == one["answer"] for b, one in zip(best, self.state["examples"], strict=True)]

    def picture(self) -> Figure:
        """The importance of each head, with crosses where one is off, and what is read rightly."""
        from matplotlib import pyplot as plt

        blue, orange, *_ = accents()
        heads, off = self.state["shape"]["heads"], set(self.state["off"])
        rows = self.state["importance"]
        right = self.right()
        figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
        most = max(max(row) for row in rows) or 1.0
        for layer, row in enumerate(rows):
            for head, value in enumerate(row):
                gone = _number((layer, head), heads) in off
                box = {"edgecolor": light_color("edge"), "facecolor": "none"}
                axes.add_patch(plt.Rectangle((head + 0.05, layer + 0.1), 0.9, 0.8, **box))
                color = light_color("line") if gone else blue
                axes.barh(layer + 0.75, 0.86 * value / most, 0.18, left=head + 0.07, color=color)
                words = "off" if gone else f"{value / sum(map(sum, rows)):.1%}"
                axes.text(
                    head + 0.5, layer + 0.42, words, ha="center", color=orange if gone else None
                )
        axes.set(
            xlim=(0, heads),
            ylim=(len(rows), 0),
            xticks=[head + 0.5 for head in range(heads)],
            xticklabels=[f"head {head + 1}" for head in range(heads)],
            yticks=[layer + 0.5 for layer in range(len(rows))],
            yticklabels=[f"layer {layer + 1}" for layer in range(len(rows))],
            title=f"{sum(right)} of {len(right)} texts are read rightly",
        )
        axes.grid(visible=False)
        return figure


def _number(head: Head, heads: int) -> int:
    """Of a head when the layers are counted through."""
    return head[0] * heads + head[1]


def _shape(encoder: Encoder, classify: nn.Linear, classes: Sequence[str]) -> dict[str, Any]:
    """What the page has to know of a model, checked for what its forward pass can do."""
    config, stack = encoder.config, encoder.stack
    plain = type(stack) is Stack and is_usual(encoder, rotate=RotaryPositions)
    if not plain:
        raise ValueError(
            "model has an encoder that the page cannot run; it must have whole layers of softmax "
            "attention, layer norms first, rotary positions, biases and ReLU."
        )
    if classify.bias is None or classify.out_features != len(classes):
        raise ValueError(
            f"model has a classifier of {classify.out_features} outputs; it must have a bias and "
            f"one output for each of {len(classes)} classes."
        )
    return {
        "layers": len(stack.layers),
        "heads": config.n_heads,
        "width": config.d_model,
        "parameters": sizes(encoder, classify),
    }
