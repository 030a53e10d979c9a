"""`QuestionMap`: the book's three questions as a picture, which is also its table of contents.

A small Transformer, drawn as tokens times layers. It plays by itself: each method in turn shows
what it leaves of the interactions, of the representations, of the parameters in use. A reader who
points at a method, taps it or chooses a part of the book stops it. ::

    QuestionMap(links={"Fixed patterns": "chapters/2-interactions/fixed-patterns.html"})

Methods with a link lead to their chapter; of the others the map says that they are not written
yet.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from frugal.checks import instance_of, whole_within
from frugal.figures.first_page.scenes import Scene, changes
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

About = Literal["interactions", "representations", "parameters"]
"""What a question is about, which is what its methods remove."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method: its name, one sentence that says what the picture shows, and the picture."""

    name: str
    says: str
    scene: Scene = "whole"
    href: str | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the book. about: what its question is about; None for a part that asks none."""

    number: int
    title: str
    text: str
    methods: Sequence[Method]
    about: About | None = None
    scene: Scene = "whole"


PARTS = (
    Part(
        number=1,
        title="The baseline",
        text="Every token reads every token, in every head of every layer: N² interactions each. "
        "You measure what that costs, then build the whole model.",
        methods=(
            Method(
                name="Where the cost is",
                says="64 interactions for 8 tokens; twice the tokens, four times the interactions.",
            ),
            Method(
                name="The vanilla Transformer",
                says="a column for each token, a row for each layer, and everything connected.",
            ),
        ),
    ),
    Part(
        number=2,
        title="Which interactions are needed?",
        text="Tokens keep their columns; most of the lines between them go. A method says which "
        "pairs meet: by place, by content, or by way of a summary.",
        about="interactions",
        scene="pattern",
        methods=(
            Method(
                name="Fixed patterns",
                says="a token reads its neighbours; a global token reads all and is read by all.",
                scene="pattern",
            ),
            Method(
                name="Swin windows",
                says="tokens meet inside a window, and the windows shift from layer to layer.",
                scene="windows",
            ),
            Method(
                name="Adaptive spans",
                says="each head learns how far it looks; most stay short.",
                scene="spans",
            ),
            Method(
                name="Hashing",
                says="tokens meet in the bucket (color) that a hash of their content puts them in.",
                scene="hashing",
            ),
            Method(
                name="Sorting",
                says="a block of tokens reads itself and one other block, brought near by sorting.",
                scene="sorting",
            ),
            Method(
                name="Low rank",
                says="a few learned summaries of all keys stand in for them.",
                scene="low-rank",
            ),
            Method(
                name="Kernels",
                says="one summary of fixed size is filled by all keys and read by all queries.",
                scene="kernels",
            ),
            Method(
                name="Convolutions",
                says="a token mixes with its neighbours by weights that no query and key decide.",
                scene="convolution",
            ),
            Method(
                name="FNet",
                says="all tokens mix, by a Fourier transform in which nothing is learned.",
                scene="fixed",
            ),
            Method(
                name="Synthesizer",
                says="all tokens mix, but no token is compared with another to decide how.",
                scene="fixed",
            ),
        ),
    ),
    Part(
        number=3,
        title="How many representations does each layer need?",
        text="Interactions stay complete, between fewer columns. Half the representations make a "
        "quarter of the interactions, and half of all other work too.",
        about="representations",
        scene="pooling",
        methods=(
            Method(
                name="Dropping tokens",
                says="tokens that others hardly attend to end early; few reach the top.",
                scene="dropping",
            ),
            Method(
                name="Pooling tokens",
                says="neighbours merge as the layers go up.",
                scene="pooling",
            ),
            Method(
                name="Latents",
                says="a few learned vectors read the input once and do the rest of the work.",
                scene="latents",
            ),
            Method(
                name="Patches of bytes",
                says="many small inputs enter as few: 16 bytes become 4 representations.",
                scene="patches",
            ),
        ),
    ),
    Part(
        number=4,
        title="Do we need all layers, heads and parameters all the time?",
        text="The tokens stay, and so does who may meet. What goes is the machinery: heads, "
        "layers, or most of the parameters for any one token.",
        about="parameters",
        scene="experts",
        methods=(
            Method(
                name="Pruned heads",
                says="heads that hardly matter are removed after training.",
                scene="heads",
            ),
            Method(
                name="Entmax heads",
                says="heads learn to give most tokens a weight of exactly zero.",
                scene="entmax",
            ),
            Method(
                name="LayerDrop",
                says="layers skipped at random in training can be left out later.",
                scene="fewer-layers",
            ),
            Method(
                name="Early exit",
                says="an input that is easy leaves after two layers.",
                scene="exit",
            ),
            Method(
                name="Drafts",
                says="two layers write the next words; the others only check them, all at once.",
                scene="exit",
            ),
            Method(
                name="Universal Transformer",
                says="one layer's weights serve at every depth, as often as a token needs.",
                scene="shared",
            ),
            Method(
                name="Experts",
                says="the feed-forward block is many, and a token goes through one of them.",
                scene="experts",
            ),
            Method(
                name="Product keys",
                says="a layer becomes a memory with many slots, of which a token reads a few.",
                scene="memory",
            ),
        ),
    ),
    Part(
        number=5,
        title="Does it transfer?",
        text="A method that wins where it was born may lose elsewhere: in another model, on longer "
        "contexts, or when text is written token by token.",
        scene="ends",
        methods=(
            Method(
                name="Fifty-odd modifications",
                says="one part of the model after the other is exchanged, and few changes help.",
                scene="exchanged",
            ),
            Method(
                name="Lost in the middle",
                says="what stands in the middle of a long context is used least.",
                scene="ends",
            ),
            Method(
                name="Decoding in parallel",
                says="nothing is known below, and all tokens of the answer come out at once.",
                scene="parallel",
            ),
        ),
    ),
    Part(
        number=6,
        title="Beyond text",
        text="Bytes, pictures, sound and space arrive as far more pieces than words do. Every "
        "method before this part meets inputs that need it.",
        scene="bytes",
        methods=(
            Method(
                name="Bytes",
                says="an input for each letter: the same eight inputs hold two words, not eight.",
                scene="bytes",
            ),
            Method(
                name="Pictures and sound",
                says="patches and frames make few representations of many samples.",
                scene="patches",
            ),
            Method(
                name="Acting",
                says="a robot's space has so many cells that a few latents must read them all.",
                scene="voxels",
            ),
        ),
    ),
)
"""The parts of the book and their methods."""


def _scenes(parts: Sequence[Part]) -> list[Scene]:
    """The scenes of parts and methods, each once."""
    named = [one.scene for part in parts for one in (part, *part.methods)]
    return list(dict.fromkeys(named))


class QuestionMap(Interactive):
    """The map. parts: what to show. links: from a method's name to its page. part: chosen first."""

    module = "question_map.js"
    style = "question_map.css"

    def __init__(
        self,
        *,
        parts: Sequence[Part] = PARTS,
        links: Mapping[str, str] | None = None,
        part: int = 0,
        alt: str | None = None,
    ) -> None:
        if not isinstance(parts, Sequence) or not all(isinstance(one, Part) for one in parts):
            raise ValueError(f"parts is {parts!r}; it must be a list of Parts.")
        if links is not None:
            instance_of(Mapping, links=links)
        links = dict(links or {})
        names = {method.name for one in parts for method in one.methods}
        for name in links:
            if name not in names:
                raise ValueError(f"links has {name!r}; it must have names of methods in parts.")
        if not parts:
            raise ValueError("parts is empty; it must have one Part or more.")
        whole_within(0, len(parts) - 1, part=part)
        linked = [
            dataclasses.replace(
                one,
                methods=[
                    dataclasses.replace(method, href=links.get(method.name, method.href))
                    for method in one.methods
                ],
            )
            for one in parts
        ]
        questions = " ".join(one.title for one in parts if one.about)
        super().__init__(
            alt=alt
            or "A Transformer drawn as columns of tokens and rows of layers, with a line for every "
            f"interaction between two tokens. The questions of the book: {questions} Choosing one "
            "shows what its methods remove from the picture.",
            parts=[dataclasses.asdict(one) for one in linked],
            scenes={name: changes(name) for name in _scenes(parts)},
            part=part,
            method=-1,
        )

    def to_png(self) -> bytes:
        """`picture()` in a few colors: it stands on the first screen of the book."""
        from PIL import Image

        drawn = super().to_png()
        if not drawn:
            return drawn
        few = Image.open(io.BytesIO(drawn)).convert("RGB").quantize(24)
        written = io.BytesIO()
        few.save(written, "png", optimize=True)
        return written.getvalue()

    def picture(self) -> Figure:
        """The whole stack, with the questions where their answers change it."""
        from matplotlib import pyplot as plt

        blue, orange, green, *_ = accents()
        soft = {"fontsize": 8, "color": light_color("ink-soft")}
        figure, axes = plt.subplots(figsize=(6, 3.4))
        tokens, layers = 8, 4
        for layer in range(layers):
            for query in range(tokens):
                for key in range(tokens):
                    axes.plot([key, query], [layer, layer + 1], color=blue, lw=0.5, alpha=0.4)
            axes.scatter([8.2, 8.5, 8.8, 9.1], [layer + 0.5] * 4, s=22, color=green)
            axes.bar([9.8, 10.1, 10.4, 10.7], 0.5, 0.22, layer + 0.25, color=green)
            axes.text(7.8, layer + 0.44, str(layer + 1), **soft)
        for row in range(layers + 1):
            axes.scatter(range(tokens), [row] * tokens, s=40, color=orange, zorder=3)
        for place, words in ((8.65, "heads"), (10.25, "feed-forward")):
            axes.text(place, layers + 0.05, words, ha="center", **soft)
        below = -0.7
        for one in self.state["parts"]:
            if one["about"]:
                shade = {"interactions": blue, "representations": orange}
                color = shade.get(one["about"], green)
                axes.text(0, below, f"{one['number']}  {one['title']}", fontsize=9.5, color=color)
                below -= 0.45
        axes.set_axis_off()
        return figure
