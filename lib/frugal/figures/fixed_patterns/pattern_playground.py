"""`PatternPlayground`: choose and join attention patterns, and see what a query sees.

The masks are those of `frugal.attention.patterns.masks`, computed again in the browser
(`pattern_formulas.js`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from frugal.attention.patterns.masks import pattern_mask, receptive_field
from frugal.checks import at_least, whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PATTERNS = ("window", "dilated", "global", "random", "strided", "fixed")


class PatternPlayground(Interactive):
    """Checkboxes for patterns, sliders for their numbers, the matrix, and the receptive field.

    patterns: those that are on at first; none is dense attention. length: positions. window,
    dilation, stride, summary, n_random: as in `pattern_mask`; n_global: the first positions are
    global. layers, query: what is selected at first, the query counted from 0.
    """

    module = "pattern_playground.js"
    style = "pattern_playground.css"

    def __init__(
        self,
        patterns: Sequence[str] = ("window", "global"),
        *,
        length: int = 48,
        causal: bool = False,
        window: int = 4,
        dilation: int = 3,
        stride: int = 7,
        summary: int = 1,
        n_global: int = 1,
        n_random: int = 2,
        layers: int = 2,
        query: int = 30,
        alt: str | None = None,
    ) -> None:
        for name in patterns:
            if name not in PATTERNS:
                known = ", ".join(PATTERNS)
                raise ValueError(f"patterns has {name!r}; it must have some of {known}.")
        at_least(1, length=length, dilation=dilation, stride=stride, summary=summary)
        at_least(0, window=window, n_global=n_global, n_random=n_random, layers=layers)
        whole_within(0, length - 1, query=query)
        self.name = "+".join(name for name in PATTERNS if name in patterns) or "full"
        numbers: dict[str, Any] = {
            "window": window,
            "dilation": dilation,
            "stride": stride,
            "summary": summary,
            "n_random": n_random,
            "global_tokens": range(n_global),
        }
        takes = {
            "window": ("window",),
            "dilated": ("window", "dilation"),
            "global": ("global_tokens",),
            "random": ("n_random",),
            "strided": ("stride",),
            "fixed": ("stride", "summary"),
            "full": (),
        }
        options = {n: numbers[n] for part in self.name.split("+") for n in takes[part]}
        self.mask = pattern_mask(self.name, length, causal=causal, **options)
        self.reached = receptive_field(self.mask, layers)
        super().__init__(
            alt=alt
            or f"Matrix of {length} queries and keys for the pattern "
            f"{self.name.replace('+', ' + ')}: {self.mask.float().mean():.0%} of the pairs are "
            f"computed. Position {query + 1} sees {int(self.mask[query].sum())} positions in one "
            f"layer and has heard of {int(self.reached[query].sum())} after {layers}. Checkboxes "
            "and sliders change it.",
            length=length,
            causal=causal,
            window=window,
            dilation=dilation,
            stride=stride,
            summary=summary,
            n_global=n_global,
            n_random=n_random,
            layers=layers,
            query=query,
            **{f"use_{name}": name in patterns for name in PATTERNS},
        )

    def picture(self) -> Figure:
        """The matrix: seen directly, and reached after the layers selected at first."""
        from matplotlib import pyplot as plt

        _, orange, *_ = accents()
        shades = self.mask.float() * 0.5 + self.reached.float() * 0.3
        figure, axes = plt.subplots(figsize=(4.6, 4.6))
        axes.imshow(shades.numpy(), cmap="Blues", vmin=0, vmax=1)
        query = self.state["query"]
        axes.axhspan(query - 0.5, query + 0.5, fill=False, edgecolor=orange, linewidth=1.4)
        axes.set(xlabel="key", ylabel="query", xticks=[], yticks=[])
        axes.set_title(f"seen directly, and after {self.state['layers']} layers", fontsize=10)
        return figure
