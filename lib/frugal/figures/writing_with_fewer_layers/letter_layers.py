"""`LetterLayers`: how many layers each letter took, and which drafts of the lower layers held.

LetterLayers([WrittenText.by(model, prompt, decode=list, thresholds=(0.5, 0.9), max_new_tokens=48)])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from frugal.checks import one_of, whole_within
from frugal.decoding import exit_logits, generate, generate_early
from frugal.model import Decoder
from frugal.modes import in_evaluation
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VIEWS = ("early", "drafts")
MOST_DRAFTED = 8


@dataclass(frozen=True)
class WrittenText:
    """One prompt and what was written behind it.

    whole: the letters of all layers. early: by threshold, the letters and the layers of each.
    lower: for each layer, the letter that it would write at every place of `whole`.
    """

    prompt: Sequence[str]
    whole: Sequence[str]
    early: Mapping[float, tuple[Sequence[str], Sequence[int]]]
    lower: Sequence[Sequence[str]]

    @classmethod
    def by(
        cls,
        model: Decoder,
        prompt: Int[Tensor, " length"],
        *,
        decode: Callable[[Tensor], Sequence[str]],
        thresholds: Sequence[float],
        max_new_tokens: int,
    ) -> WrittenText:
        """By a model. decode: the letters of a row of ids, one for each."""
        start, model = len(prompt), in_evaluation(model)
        whole = generate(model, prompt[None], max_new_tokens=max_new_tokens)
        with torch.no_grad():
            lower = exit_logits(model, whole[:, :-1])[:, 0, start - 1 :].argmax(-1)
        early = {}
        for threshold in thresholds:
            found = generate_early(
                model, prompt[None], threshold=threshold, max_new_tokens=max_new_tokens
            )
            early[threshold] = (decode(found.ids[0, start:]), found.layers[0].tolist())
        return cls(decode(prompt), decode(whole[0, start:]), early, [decode(row) for row in lower])


class Round(NamedTuple):
    """One check: where its drafts begin, how many there are, and how many held."""

    start: int
    drafted: int
    accepted: int


class LetterLayers(Interactive):
    """The letters of a text, each filled as high as it climbed; or in rounds of drafts and checks.

    texts: to choose from, with the same thresholds and layers. view: "early" or "drafts". text,
    threshold (its place among the thresholds), depth (layers that draft), n_drafted: shown first.
    """

    module = "letter_layers.js"
    style = "letter_layers.css"

    def __init__(
        self,
        texts: Sequence[WrittenText],
        *,
        view: str = "early",
        text: int = 0,
        threshold: int = 0,
        depth: int = 1,
        n_drafted: int = 4,
    ) -> None:
        if not texts:
            raise ValueError("texts is empty; it must have a text or more.")
        thresholds, n_layers = list(texts[0].early), len(texts[0].lower)
        for one in texts:
            rows = [*one.lower, *(part for pair in one.early.values() for part in pair)]
            same = list(one.early) == thresholds and len(one.lower) == n_layers
            if not same or any(len(row) != len(one.whole) for row in rows):
                raise ValueError(
                    "texts differ in their thresholds or layers, or a text has not a letter for "
                    "every place; they must agree."
                )
        one_of(VIEWS, view=view)
        whole_within(0, len(texts) - 1, text=text)
        whole_within(0, len(thresholds) - 1, threshold=threshold)
        whole_within(1, n_layers - 1, depth=depth)
        whole_within(1, MOST_DRAFTED, n_drafted=n_drafted)
        super().__init__(
            alt=(
                f"The letters of a text that a model of {n_layers} layers wrote. In one view each "
                "letter is filled as high as the layers that it took, and where all layers "
                "write another letter the frame is dashed. In the other view the letters stand "
                "in rounds: drafts of the lower layers that held, and the one letter that the "
                "check wrote. The threshold, the draft's layers and its length can be moved."
            ),
            texts=[
                {
                    "prompt": "".join(one.prompt),
                    "whole": list(one.whole),
                    "early": [list(letters) for letters, _ in one.early.values()],
                    "layers": [list(layers) for _, layers in one.early.values()],
                    "lower": [list(row) for row in one.lower],
                }
                for one in texts
            ],
            thresholds=thresholds,
            most_drafted=MOST_DRAFTED,
            view=view,
            text=text,
            threshold=threshold,
            depth=depth,
            n_drafted=n_drafted,
        )

    def outcome(self) -> tuple[float, int, int]:
        """Of the text that left early: mean layers, letters as all layers write them, and how many
        of these stand in front of the first other one."""
        shown = self.state["texts"][self.state["text"]]
        letters, layers = (shown[name][self.state["threshold"]] for name in ("early", "layers"))
        same = [a == b for a, b in zip(letters, shown["whole"], strict=True)]
        return sum(layers) / len(layers), sum(same), [*same, False].index(False)

    def rounds(self) -> list[Round]:
        """The checks of the text, by the definition: drafts hold up to the first that differs."""
        shown = self.state["texts"][self.state["text"]]
        whole, lower = shown["whole"], shown["lower"][self.state["depth"] - 1]
        found, start = [], 0
        while start < len(whole):
            n = min(self.state["n_drafted"], len(whole) - start - 1)
            same = [whole[start + j] == lower[start + j] for j in range(n)]
            found.append(Round(start, n, [*same, False].index(False)))
            start += found[-1].accepted + 1
        return found

    def picture(self) -> Figure:
        """The letters in rows, with what the view shows of each."""
        from matplotlib import pyplot as plt

        shown, wide = self.state["texts"][self.state["text"]], 32
        orange = accents()[1]
        n_layers = len(shown["lower"])
        letters, fills = shown["whole"], [0.0] * len(shown["whole"])
        marked = set()
        if self.state["view"] == "early":
            letters = shown["early"][self.state["threshold"]]
            fills = [used / n_layers for used in shown["layers"][self.state["threshold"]]]
            marked = {i for i, a in enumerate(letters) if a != shown["whole"][i]}
        else:
            marked = {one.start + one.accepted for one in self.rounds()}
            fills = [
                0.0 if i in marked else self.state["depth"] / n_layers for i in range(len(letters))
            ]
        rows = -(-len(letters) // wide)
        figure, axes = plt.subplots(figsize=(8, 0.5 + 0.45 * rows))
        for i, (letter, fill) in enumerate(zip(letters, fills, strict=True)):
            x, y = i % wide, -(i // wide)
            axes.add_patch(plt.Rectangle((x, y), 0.92, 0.9 * fill, color=light_color("heat-3")))
            edge, style = (orange, "--") if i in marked else (light_color("line"), "-")
            box = plt.Rectangle((x, y), 0.92, 0.9, fill=False, edgecolor=edge, linestyle=style)
            axes.add_patch(box)
            word = "␣" if letter == " " else "⏎" if letter == "\n" else letter
            axes.text(x + 0.46, y + 0.42, word, ha="center", va="center", family="monospace")
        axes.set(xlim=(-0.1, wide), ylim=(1 - rows - 0.1, 1))
        axes.set_axis_off()
        return figure
