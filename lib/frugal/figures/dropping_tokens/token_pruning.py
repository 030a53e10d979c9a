"""`TokenPruning`: sentences climb the layers of a trained model and lose tokens on the way.

The model runs in the page, from its weights in half precision, whenever the reader changes how many
tokens a layer keeps::

    TokenPruning(
        {"trained with all tokens": (model.encoder, model.classify)},
        vocabulary=journeys.VOCABULARY,
        classes=journeys.PLACES,
        examples=[PruningExample(text=story.text, answer=story.place), ...],
        presets={"half, half again": (24, 12, 6, 3)},
    )
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from frugal.arithmetic.fewer_tokens import check_schedule, elimination_flops
from frugal.checks import one_of, whole_within
from frugal.data.vocabulary import CharacterVocabulary
from frugal.feedforward.dense import DenseFeedForward
from frugal.model import Encoder
from frugal.positions import RotaryPositions
from frugal.show.interactive import Interactive
from frugal.show.models import packed, sizes
from frugal.show.theme import accents
from frugal.tokens.elimination import Elimination, WordVectorElimination, significance

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class PruningExample:
    """A text of the vocabulary, the number of its right class, and a few words for the list."""

    text: str
    answer: int
    label: str


class TokenPruning(Interactive):
    """Rows of words, one a layer; what a layer drops fades. Above them the classes' probabilities.

    models: by a few words for its button, an encoder and the layer that reads the class from its
    first vector. All have the same shape: `WordVectorElimination` stacks that normalise first,
    rotary positions, ReLU. presets: by label, schedules to choose. keep: shown at first; the first
    preset when None. ask, steps: a question to try, and by a few words for its button what a step
    changes in the first state: `keep`, `order` ("significance", "chance", "first"), `model`.
    """

    module = "token_pruning.js"
    style = "token_pruning.css"

    def __init__(
        self,
        models: Mapping[str, tuple[Encoder, nn.Linear]],
        *,
        vocabulary: CharacterVocabulary,
        classes: Sequence[str],
        examples: Sequence[PruningExample],
        presets: Mapping[str, Sequence[int]],
        keep: Sequence[int] | None = None,
        question: str = "Class",
        ask: str = "Which words are needed?",
        steps: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        if not models or not examples or not presets:
            raise ValueError(
                "one of models, examples and presets is empty; each must have one entry or more."
            )
        shapes = {name: _shape(*pair, classes) for name, pair in models.items()}
        shape = next(iter(shapes.values()))
        if any(other != shape for other in shapes.values()):
            raise ValueError("models have different shapes; all must be alike.")
        self._models = dict(models)
        layers = len(next(iter(models.values()))[0].stack.layers)
        chosen = {label: check_schedule(one, layers) for label, one in presets.items()}
        first = next(iter(chosen.values())) if keep is None else check_schedule(keep, layers)
        given = []
        for example in examples:
            ids = vocabulary.ids(example.text)
            if not ids or vocabulary.unknown in ids:
                raise ValueError(
                    f"examples has {example.text[:40]!r}; each must have known words alone."
                )
            whole_within(0, len(classes) - 1, answer=example.answer)
            given.append(
                {
                    "label": example.label,
                    "ids": ids,
                    "words": list(vocabulary.split(example.text)),
                    "answer": example.answer,
                }
            )
        guided = [
            [label, _step(first, next(iter(models)), layers, **step)]
            for label, step in (steps or {}).items()
        ]
        super().__init__(
            alt=(
                f"A text of {len(given[0]['ids'])} words in {layers} rows, one for each layer of a "
                f"trained model, which keeps {', '.join(map(str, first))} of them at most. Words "
                "that a layer drops fade. Bars show the probability of each class, and moving the "
                "schedule changes words, bars and FLOPs."
            ),
            shape=shape,
            weights={name: packed(*pair) for name, pair in models.items()},
            classes=list(classes),
            question=question,
            examples=given,
            presets={label: list(one) for label, one in chosen.items()},
            layers=layers,
            ask=ask,
            steps=guided,
            model=next(iter(models)),
            example=0,
            order="significance",
            **_by_layer(first),
        )

    def run(self) -> tuple[Elimination, Tensor]:
        """What the state shows, by torch: the run through the layers, and the probabilities."""
        encoder, classify = self._models[self.state["model"]]
        stack = encoder.stack
        before, stack.keep, stack.score = (stack.keep, stack.score), self._keep(), significance
        device = next(encoder.parameters()).device
        ids = torch.tensor([self.state["examples"][self.state["example"]]["ids"]], device=device)
        with torch.no_grad():
            ran = stack.run(encoder.positions(encoder.embedding(ids)))
            probabilities = classify(encoder.norm(ran.output[:, 0])).softmax(-1)[0]
        stack.keep, stack.score = before
        return ran, probabilities

    def picture(self) -> Figure:
        """The words that are left after each layer, and the probabilities."""
        from matplotlib import pyplot as plt

        blue, *_ = accents()
        ran, probabilities = self.run()
        words = self.state["examples"][self.state["example"]]["words"]
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(8, 6), height_ratios=[1, 2.2], layout="constrained"
        )
        above.barh(self.state["classes"], probabilities.tolist(), color=blue)
        above.invert_yaxis()
        above.set(xlim=(0, 1), title=self.state["question"])
        below.set_axis_off()
        rows = [list(range(len(words))), *(one[0].tolist() for one in ran.positions)]
        for layer, places in enumerate(rows):
            left = [word if place in set(places) else "·" for place, word in enumerate(words)]
            half = (len(left) + 1) // 2
            name = f"layer {layer}" if layer else "input"
            text = f"{name}: {' '.join(left[:half])}\n    {' '.join(left[half:])}"
            below.text(0, layer / len(rows), text, fontsize=7, transform=below.transAxes)
        return figure

    def flops(self) -> tuple[int, int]:
        """Of the layers for the text shown: on the schedule, and with all tokens."""
        length = len(self.state["examples"][self.state["example"]]["ids"])
        sizes = {"length": length, "d_model": self.state["shape"]["width"]}
        sizes["d_ff"] = self.state["shape"]["inner"]
        everything = (length,) * self.state["layers"]
        return elimination_flops(self._keep(), **sizes), elimination_flops(everything, **sizes)

    def _keep(self) -> tuple[int, ...]:
        return tuple(self.state[f"keep_{layer + 1}"] for layer in range(self.state["layers"]))


def _by_layer(keep: Sequence[int]) -> dict[str, int]:
    return {f"keep_{layer}": tokens for layer, tokens in enumerate(keep, 1)}


def _step(
    first: Sequence[int],
    trained: str,
    layers: int,
    *,
    keep: Sequence[int] | None = None,
    order: str = "significance",
    model: str | None = None,
) -> dict[str, Any]:
    """The state of a guided step, on the first story."""
    one_of(("significance", "chance", "first"), order=order)
    state = {"example": 0, "order": order, "model": trained if model is None else model}
    return state | _by_layer(first if keep is None else check_schedule(keep, layers))


def _shape(encoder: Encoder, classify: nn.Linear, classes: Sequence[str]) -> dict[str, Any]:
    """What the page has to know of a model, checked for what its forward pass can do."""
    config, stack = encoder.config, encoder.stack
    plain = (
        isinstance(stack, WordVectorElimination)
        and stack.retention is None
        and config.norm_first
        and config.norm == "layer"
        and config.bias
        and all(isinstance(one.mix.sublayer.rotate, RotaryPositions) for one in stack.layers)
        and all(isinstance(one.feed_forward.sublayer, DenseFeedForward) for one in stack.layers)
        and config.activation == "relu"
    )
    if not plain:
        raise ValueError(
            "models has an encoder that the page cannot run; it must have a WordVectorElimination "
            "stack without soft retention, layer norms first, rotary positions, biases and ReLU."
        )
    if classify.bias is None or classify.out_features != len(classes):
        raise ValueError(
            f"models has a classifier of {classify.out_features} outputs; it must have a bias and "
            f"one output for each of {len(classes)} classes."
        )
    return {
        "heads": config.n_heads,
        "width": config.d_model,
        "inner": config.hidden_width,
        "parameters": sizes(encoder, classify),
    }
