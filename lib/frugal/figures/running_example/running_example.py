"""`RunningExample`: one sentence and one trained model, whose attention is exchanged for another.

Every chapter of part 2 asks the same question of its method::

    running_example({"window": PatternAttention("window", window=3)})

The model is the reader of the chapter on dropping tokens: four layers that were trained with all
pairs to say where Anna is at the end of a story. Its weights stay as they are; only what queries,
keys and values are put into is exchanged, in every layer. So the picture shows what a method makes
of a model that was not trained for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal import results
from frugal.attention.softmax import Attend, softmax_attention
from frugal.checks import one_of, whole_within
from frugal.data import journeys
from frugal.model import Encoder, TransformerConfig
from frugal.show.interactive import Interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STORY = "where? ben went to the attic . anna ran to the garden . anna did not go to the cellar ."
ANSWER = "garden"
QUERY = STORY.split().index(ANSWER)
"""The word that is asked about at first: it looks for its hero, `anna`."""
ALL_PAIRS = "all pairs"
N_LAYERS, N_HEADS, WIDTH, D_FF = 4, 4, 48, 96
LAYER, HEAD = 1, 1
"""The head that is shown, counted from 0: the one in which a place looks up who went there."""
READ = 1e-4
"""A weight from here on counts as read."""


class Reading(NamedTuple):
    """matrices: what each head of each layer gives to each value, (layers, heads, words, words).
    chances: of each place."""

    matrices: Float[Tensor, "layers heads words words"]
    chances: Float[Tensor, " places"]

    @property
    def shown(self) -> Float[Tensor, "words words"]:
        """Of the head that is shown."""
        return self.matrices[LAYER, HEAD]

    @property
    def read(self) -> float:
        """Values that a query gets a weight of, on average over queries, heads and layers."""
        return (self.matrices.abs() >= READ).sum(-1).double().mean().item()

    def shared(self, other: Reading) -> float:
        """The part of the weight that both give to the same values: 1 for equal matrices."""
        return torch.minimum(self.matrices, other.matrices).clamp(min=0).sum(-1).mean().item()


class _Watched(nn.Module):
    """An attention that keeps the matrix by which it multiplies the values.

    Attention is linear in its values, so the identity as values gives the matrix, also where the
    method never makes one. Chance draws the same for both calls.
    """

    def __init__(self, attend: Attend, kept: list[Tensor]) -> None:
        super().__init__()
        self.attend, self.kept = attend, kept

    def forward(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        options = {name: given for name, given in options.items() if given is not None}
        found = []
        eye = torch.eye(k.shape[2]).expand(*k.shape[:2], -1, -1)
        for values in (eye, v):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                found.append(self.attend(q, k, values, **options))
        self.kept.append(found[0][0])
        return found[1]


@torch.no_grad()
def read_story(attend: Attend, story: str = STORY) -> Reading:
    """The trained model reads a story with this attention in all of its layers.

    attend: an attention callable of both directions, for 4 heads of width 12; parameters of its own
    stay as they were made. story: words of `journeys.VOCABULARY`.
    """
    with torch.random.fork_rng():  # the page's own draws go on as if nothing had been built here
        return _read(attend, story)


def _read(attend: Attend, story: str) -> Reading:
    kept: list[Tensor] = []
    config = TransformerConfig(
        len(journeys.VOCABULARY),
        d_model=WIDTH,
        n_heads=N_HEADS,
        n_layers=N_LAYERS,
        d_ff=D_FF,
        positions="rope",
        make_attend=lambda index, config: _Watched(attend, kept),
    )
    encoder, classify = Encoder(config), nn.Linear(WIDTH, len(journeys.PLACES))
    weights = _weights()
    own = {name for name in encoder.state_dict() if ".attend." in name}
    encoder.load_state_dict(
        {n.removeprefix("encoder."): w for n, w in weights.items() if n.startswith("encoder.")}
        | {name: weight for name, weight in encoder.state_dict().items() if name in own}
    )
    classify.load_state_dict({n: weights[f"classify.{n}"] for n in ("weight", "bias")})
    encoder.eval()
    scores = classify(encoder(torch.tensor([journeys.VOCABULARY.ids(story)]))[:, 0])
    return Reading(torch.stack(kept), scores.softmax(-1)[0])


@cache
def _weights() -> dict[str, Tensor]:
    return results.load("elimination").weights("journeys")


@cache
def by_all_pairs() -> Reading:
    """What the model was trained with."""
    return read_story(softmax_attention)


class RunningExample(Interactive):
    """The matrix of one head, the words that one of them reads, and the model's answer.

    readings: by the name of an attention, what the model makes of the story with it; the first is
    what the others are compared with. shown: another to begin with. pages: by such a name, the
    address of its chapter. query: the number of the word whose weights are told.
    """

    module = "running_example.js"
    style = "running_example.css"

    def __init__(
        self,
        readings: Mapping[str, Reading],
        *,
        shown: str | None = None,
        pages: Mapping[str, str] | None = None,
        query: int = QUERY,
    ) -> None:
        words = STORY.split()
        shown = next(iter(readings), None) if shown is None else shown
        one_of(readings, shown=shown)
        whole_within(0, len(words) - 1, query=query)
        exact = by_all_pairs()
        super().__init__(
            alt=(
                f"A matrix of {len(words)} by {len(words)} words of one story: how much weight "
                f"each word gives to each other in one head of a trained model. Buttons exchange "
                f"the attention ({', '.join(readings)}); below stands what the model then answers."
            ),
            words=words,
            places=list(journeys.PLACES),
            answer=ANSWER,
            methods=list(readings),
            matrices={name: _rounded(one.shown) for name, one in readings.items()},
            chances={name: _rounded(one.chances) for name, one in readings.items()},
            read={name: one.read for name, one in readings.items()},
            shared={name: one.shared(exact) for name, one in readings.items()},
            pages=dict(pages or {}),
            method=shown,
            query=query,
        )

    def answer(self, name: str) -> tuple[str, float]:
        """The place that the model names with this attention, and how sure it is."""
        chance, place = max(zip(self.state["chances"][name], self.state["places"], strict=True))
        return place, chance

    def picture(self) -> Figure:
        """All pairs beside the attention that is shown."""
        from matplotlib import pyplot as plt

        words, method = self.state["words"], self.state["method"]
        names = list(dict.fromkeys([self.state["methods"][0], method]))
        figure, panels = plt.subplots(
            1, len(names), figsize=(4.6 * len(names), 4.8), squeeze=False, layout="constrained"
        )
        for axes, name in zip(panels[0], names, strict=True):
            axes.imshow(np.sqrt(np.abs(self.state["matrices"][name])), vmin=0, vmax=1)
            axes.set(title=name, xlabel="gives weight to")
            axes.set_xticks(range(len(words)), words, rotation=90)
            axes.set_yticks(range(len(words)), words)
            axes.grid(visible=False)
        return figure


def running_example(
    attends: Mapping[str, Attend], *, pages: Mapping[str, str] | None = None
) -> RunningExample:
    """The book's running example with other attentions, beside all pairs.

    attends: by name, attention callables of both directions for 4 heads of width 12 and 21 words;
    the first is shown first. pages: by name, the address of a chapter. Three steps lead from all
    pairs to the first and to the last of them, or to the word that a single one changes least.
    Raises ValueError without an attention.
    """
    if not attends:
        raise ValueError("attends is empty; it must have an attention to put beside all pairs.")
    readings = {ALL_PAIRS: by_all_pairs()}
    readings |= {name: read_story(attend) for name, attend in attends.items()}
    figure = RunningExample(readings, shown=next(iter(attends)), pages=pages)
    figure.guided("Which attention can take the place of all pairs?", *_tries(readings))
    return figure


def _tries(readings: Mapping[str, Reading]) -> list[tuple[str, dict[str, Any]]]:
    exact, first, *others = readings
    if others:
        third = f"And with {others[-1]}?", {"method": others[-1], "query": QUERY}
    else:
        apart = (readings[exact].shown - readings[first].shown).abs().sum(-1)
        apart[QUERY] = torch.inf
        least = int(apart.argmin())
        words = f"Now “{STORY.split()[least]}”, which it changes least: what does that read?"
        third = words, {"method": first, "query": least}
    return [
        (
            f"{exact.capitalize()}: which word does “{ANSWER}” find?",
            {"method": exact, "query": QUERY},
        ),
        (f"Now {first}: the same word, and answer?", {"method": first, "query": QUERY}),
        third,
    ]


def _rounded(values: Tensor) -> list[Any]:
    return ((values.double() * 1e3).round() / 1e3).tolist()
