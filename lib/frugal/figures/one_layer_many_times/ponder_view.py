"""`PonderView`: the words of an expression run through one layer until each has had enough.

The reader writes nested lists, or chooses some, and moves the threshold at which a word halts and
the steps that it may take. A trained model runs in the page, from its weights in half precision::

    PonderView(
        model,                                       # a ListReader whose stack halts
        examples=["[MAX 2 [MIN 8 [MAX 4 7 ] ] ]"],
    )
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.checks import at_least, whole_within, within
from frugal.data import nested_lists
from frugal.depth.universal import UniversalTransformer
from frugal.feedforward.dense import DenseFeedForward
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color
from frugal.tasks.list_reader import ListReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Pondered(NamedTuple):
    """Of each word of an expression the steps it ran and the value that the model says."""

    words: list[nested_lists.Word]
    steps: list[int]
    said: list[int]


class PonderView(Interactive):
    """An expression, the steps that each word takes, and what the model says of each list.

    model: a reader of one shared layer that halts, without signals, that normalises first, with
    ReLU. text: the expression shown at first, the first example if None. threshold, steps: as
    shown at first; those of the model if None.
    """

    module = "ponder_view.js"
    style = "ponder_view.css"

    def __init__(
        self,
        model: ListReader,
        *,
        examples: Sequence[str],
        text: str | None = None,
        threshold: float | int | None = None,
        steps: int | None = None,
    ) -> None:
        if not examples:
            raise ValueError("examples is empty; it must have one expression or more.")
        _check_model(model)
        stack = model.encoder.stack
        text = examples[0] if text is None else text
        for one in (text, *examples):
            nested_lists.read(one)
        threshold = stack.threshold if threshold is None else threshold
        steps = stack.n_steps if steps is None else steps
        within(0.1, 0.99, threshold=threshold)
        at_least(1, steps=steps)
        whole_within(1, 12, steps=steps)
        self._model = model
        super().__init__(
            alt=(
                f"The words of the expression {text}, each with a cell for every step that it "
                "takes through one layer of a trained model, and for each list the value that the "
                "model says. Another expression, another threshold or another number of steps "
                "runs the model again."
            ),
            shape={
                "heads": model.encoder.config.n_heads,
                "width": model.encoder.config.d_model,
                "parameters": [[name, p.numel()] for name, p in model.named_parameters()],
            },
            weights=_weights(model),
            examples=list(examples),
            example=text if text in examples else "",
            text=text,
            threshold=float(threshold),
            steps=steps,
            trained=stack.n_steps,
        )

    def pondered(self) -> Pondered:
        """The state shown, by torch."""
        stack = self._model.encoder.stack
        device = next(self._model.parameters()).device
        before = stack.threshold, stack.n_steps
        stack.threshold, stack.n_steps = self.state["threshold"], self.state["steps"]
        try:
            with torch.no_grad():
                batch = nested_lists.encode([self.state["text"]], device=device)
                said = self._model(batch)[0].argmax(-1)
        finally:
            stack.threshold, stack.n_steps = before
        words = nested_lists.read(self.state["text"])
        return Pondered(words, stack.pondering.steps[0].tolist(), said.tolist())

    def picture(self) -> Figure:
        """A column for each word, as high as the steps that it took."""
        from matplotlib import pyplot as plt
        from matplotlib.patches import Patch

        blue, orange, *_ = accents()
        words, steps, said = self.pondered()
        figure, axes = plt.subplots(figsize=(6.4, 3), layout="constrained")
        colors = [orange if word.own else blue for word in words]
        axes.bar(range(len(words)), steps, color=colors, edgecolor=light_color("edge"))
        for place, (word, count, value) in enumerate(zip(words, steps, said, strict=True)):
            if word.own:
                axes.text(place, count + 0.1, f"says {value}", ha="center", fontsize=8)
        axes.set(
            xticks=range(len(words)),
            xticklabels=[word.text for word in words],
            ylabel="steps",
            ylim=(0, self.state["steps"] + 1),
            title=f"threshold {self.state['threshold']:.2f}",
        )
        keys = [Patch(color=orange, label="lists"), Patch(color=blue, label="digits")]
        axes.legend(handles=keys, loc="upper right", frameon=False)
        return figure


def _weights(model: ListReader) -> str:
    flat = torch.cat([p.detach().cpu().flatten() for p in model.parameters()])
    return b64encode(flat.numpy().astype("<f2").tobytes()).decode()


def _check_model(model: ListReader) -> None:
    """One sentence for a model that the page cannot run."""
    config, stack = model.encoder.config, model.encoder.stack
    fits = (
        isinstance(stack, UniversalTransformer)
        and stack.halting is not None
        and not (stack.position_signal or stack.step_signal)
        and len(stack.layers) == 1
        and config.norm_first
        and config.norm == "layer"
        and config.bias
        and config.activation == "relu"
        and config.positions == "none"
        and _plain(stack.layers[0].mix.sublayer)
        and isinstance(stack.layers[0].feed_forward.sublayer, DenseFeedForward)
    )
    if not fits:
        raise ValueError(
            "model has an encoder that the page cannot run; it must have one layer that halts, "
            "without signals and positions, with softmax attention, layer norms first and ReLU."
        )


def _plain(attention: Any) -> bool:
    return (
        type(attention) is MultiHeadAttention
        and attention.attend is softmax_attention
        and attention.rotate is None
    )
