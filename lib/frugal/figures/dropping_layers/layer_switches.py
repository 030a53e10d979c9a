"""`LayerSwitches`: trained models whose layers the reader switches off, side by side.

One row of switches for all models. Each model runs in the page, from its weights in half precision,
on all examples whenever a layer goes or comes back, and a bar for every distance says how many
letters it still finds::

    LayerSwitches(
        {"p = 0": (plain.encoder, plain.classify), "p = 0.2": (dropped.encoder, dropped.classify)},
        examples=hops.draw(12, seed=7),
    )
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal.checks import whole_within
from frugal.data.hops import HopsBatch
from frugal.depth.layerdrop import LayerDrop, only_layers
from frugal.model import Encoder, Stack
from frugal.modes import in_evaluation
from frugal.positions import NoPositions
from frugal.show.interactive import Interactive
from frugal.show.models import is_usual, packed, sizes
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Model = tuple[Encoder, nn.Linear]
"""An encoder of arrows, and the layer that reads the letters at every distance from its vectors."""


class LayerSwitches(Interactive):
    """Switches for the layers, what each model still finds at each distance, and one ring in words.

    models: by name; encoders of one shape, which normalise first, without positions and with ReLU.
    examples: rings of arrows, as `frugal.data.hops` draws them. off: layers that are off at first,
    from 0; not all of them. example: the ring that is shown. start: the letter in it from which the
    steps are counted.
    """

    module = "layer_switches.js"
    style = "layer_switches.css"

    def __init__(
        self,
        models: Mapping[str, Model],
        *,
        examples: HopsBatch,
        off: Sequence[int] = (),
        example: int = 0,
        start: int = 0,
    ) -> None:
        if not models:
            raise ValueError("models is empty; it must have one model or more.")
        shapes = {name: _shape(*model, examples) for name, model in models.items()}
        shape = next(iter(shapes.values()))
        for name, other in shapes.items():
            if other != shape:
                raise ValueError(f"models has {name!r} of another shape; all must be alike.")
        layers = shape["layers"]
        for layer in off:
            whole_within(0, layers - 1, off=layer)
        if len(set(off)) == layers:
            raise ValueError(f"off is {list(off)}; one layer must stay on.")
        whole_within(0, len(examples.tokens) - 1, example=example)
        whole_within(0, shape["answers"] - 1, start=start)
        self._models, self._examples = dict(models), examples
        super().__init__(
            alt=(
                f"A row of switches for the {layers} layers of {len(models)} trained models, "
                f"{len(set(off))} of them off. For each model a bar for every distance from 1 to "
                f"{shape['questions']} steps: the share of letters that it finds in "
                f"{len(examples.tokens)} rings. Below it one ring of letters, with the letters "
                "that come after one of them and what each model says. Switching a layer off or on "
                "runs the models again."
            ),
            shape=shape,
            names=list(models),
            weights=[packed(*model) for model in models.values()],
            examples=[
                {"ids": tokens.tolist(), "targets": targets.tolist()}
                for tokens, targets in zip(*examples, strict=True)
            ],
            off=sorted(set(off)),
            example=example,
            start=start,
        )

    def probabilities(self) -> Float[Tensor, "models rings letters hops answers"]:
        """What each model says in the state shown, by torch."""
        kept = [one for one in range(self.state["shape"]["layers"]) if one not in self.state["off"]]
        sizes = self.state["shape"]["questions"], self.state["shape"]["answers"]
        found = []
        for encoder, classify in self._models.values():
            device = next(encoder.parameters()).device
            with torch.no_grad(), only_layers(encoder, kept):
                out = classify(in_evaluation(encoder)(self._examples.tokens.to(device)))
            found.append(out.unflatten(-1, sizes).softmax(-1))
        return torch.stack(found)

    def right(self) -> Float[Tensor, "models hops"]:
        """The share of letters that each model finds at each distance."""
        best = self.probabilities().argmax(-1)
        return (best == self._examples.targets.to(best.device)).double().mean((1, 2))

    def picture(self) -> Figure:
        """The bars of all models."""
        from matplotlib import pyplot as plt

        right, names = self.right(), self.state["names"]
        hops = right.shape[1]
        figure, panels = plt.subplots(
            1, len(names), figsize=(2.4 * len(names) + 1, 2.6), sharey=True, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for axes, name, row in zip(panels[0], names, right.tolist(), strict=True):
            axes.bar(range(1, hops + 1), [100 * one for one in row], color=accents()[0])
            axes.set(title=name, xlabel="steps", ylim=(0, 100), xticks=range(1, hops + 1))
            axes.grid(visible=False)
        panels[0][0].set_ylabel("letters found, %")
        on = self.state["shape"]["layers"] - len(self.state["off"])
        figure.suptitle(f"{on} of {self.state['shape']['layers']} layers on")
        return figure


def _shape(encoder: Encoder, classify: nn.Linear, examples: HopsBatch) -> dict[str, Any]:
    """What the page has to know of a model, checked for what its forward pass can do."""
    config, stack = encoder.config, encoder.stack
    plain = (
        type(stack) in (Stack, LayerDrop)
        and isinstance(encoder.positions, NoPositions)
        and is_usual(encoder, rotate=None)
    )
    if not plain:
        raise ValueError(
            "models has an encoder that the page cannot run; it must have whole layers of softmax "
            "attention, layer norms first, no positions, biases and ReLU."
        )
    letters, hops = examples.targets.shape[1:]
    if letters > len(ascii_lowercase) or encoder.embedding.table.shape[0] != letters**2:
        raise ValueError(
            f"models has an encoder of {encoder.embedding.table.shape[0]} arrows; examples of "
            f"{letters} letters must have {letters**2}."
        )
    if classify.bias is None or classify.out_features != hops * letters:
        raise ValueError(
            f"models has a classifier of {classify.out_features} outputs; it must have a bias and "
            f"{hops * letters} outputs, {letters} letters at {hops} distances."
        )
    return {
        "layers": len(stack.layers),
        "heads": config.n_heads,
        "width": config.d_model,
        "questions": hops,
        "answers": letters,
        "parameters": sizes(encoder, classify),
    }
