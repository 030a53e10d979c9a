"""`KernelsInText`: the kernels that a dynamic convolution makes at the places of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from frugal.checks import whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥"}


class KernelsInText(Interactive):
    """A text to move through: the kernels of all heads at a place, beside their mean over the text.

    characters: what stands at each place. weights: of every layer, place and head, as from
    `DynamicConv.weights`, the last for the place itself. A bar at each place says which share of
    the weight lies elsewhere than in the mean.
    place, layer: shown first, from 1; without a place, that of a whole window where the kernels of
    the layer move most.
    question, tries: what to ask, and steps of (words, place, layer) that a button goes to.

    Raises ValueError when characters and weights are of different lengths.
    """

    module = "kernels_in_text.js"
    style = "kernels_in_text.css"

    def __init__(
        self,
        characters: Sequence[str],
        weights: Float[Tensor, "layers length heads kernel_size"],
        *,
        place: int | None = None,
        layer: int = 1,
        question: str = "Where does the kernel leave its mean?",
        tries: Sequence[tuple[str, int, int]] = (),
    ) -> None:
        layers, length, heads, kernel_size = weights.shape
        if length != len(characters):
            raise ValueError(
                f"characters has {len(characters)} places and weights {length}; they must be as "
                "many."
            )
        whole_within(1, layers, layer=layer)
        shown = weights.double().flip(-1)  # (layers, places, heads, characters back)
        self._weights = shown
        place = self.most_moved(layer) if place is None else place
        whole_within(1, length, place=place)
        for _, at, of_layer in tries:
            whole_within(1, length, place=at)
            whole_within(1, layers, layer=of_layer)
        moved = self.moves(layer)
        super().__init__(
            alt=(
                f"A text of {length} characters, and a heat map of the kernels that {heads} heads "
                f"make at place {place} of it, over the {kernel_size} latest characters. Beside it "
                f"stands their mean over the text. In layer {layer} the kernels at this place have "
                f"moved {moved[place - 1]:.0%} of their weight away from it, and "
                f"{moved.mean():.0%} on average over all places. The place and the layer, of "
                f"{layers}, can be chosen."
            ),
            characters=list(characters),
            weights=[
                [[[round(w, 3) for w in kernel] for kernel in of_place] for of_place in of_layer]
                for of_layer in shown.tolist()
            ],
            place=place,
            layer=layer,
            question=question,
            tries=[{"words": words, "place": at, "layer": layer} for words, at, layer in tries],
        )

    def moves(self, layer: int) -> Float[Tensor, " length"]:
        """For each place, the share of the kernels' weight that lies elsewhere than in the mean."""
        of_layer = self._weights[layer - 1]
        return (of_layer - of_layer.mean(0)).abs().sum(-1).mean(-1) / 2

    def most_moved(self, layer: int) -> int:
        """The place, from 1, where the kernels move most, of those with a whole window."""
        start = min(self._weights.shape[-1], self._weights.shape[1]) - 1
        return start + 1 + int(self.moves(layer)[start:].argmax())

    def least_moved(self, layer: int) -> int:
        """The place, from 1, where they move least, of those with a whole window."""
        start = min(self._weights.shape[-1], self._weights.shape[1]) - 1
        return start + 1 + int(self.moves(layer)[start:].argmin())

    def picture(self) -> Figure:
        """The kernels at the place and their mean, a row a head."""
        from matplotlib import pyplot as plt

        place, layer = self.state["place"], self.state["layer"]
        of_layer = self._weights[layer - 1]
        characters = self.state["characters"]
        figure, places = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
        titles = (f"kernels at place {place}, layer {layer}", "their mean over the text")
        kernel_size = of_layer.shape[-1]
        read = [place - 1 - distance for distance in range(kernel_size)]
        words = [VISIBLE.get(characters[at], characters[at]) if at >= 0 else "" for at in read]
        for axes, values, title in zip(
            places, (of_layer[place - 1], of_layer.mean(0)), titles, strict=True
        ):
            shade = values.flip(-1).sqrt()
            axes.imshow(shade.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
            axes.set(title=title, xticks=range(kernel_size), yticks=[])
            places[0].set_xticklabels(words[::-1], color=light_color("ink"))
        places[1].set_xticklabels(range(kernel_size - 1, -1, -1))
        places[0].set_ylabel("head")
        return figure
