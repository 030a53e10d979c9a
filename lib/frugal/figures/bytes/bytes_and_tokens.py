"""`BytesAndTokensFigure`: the reader's own text as characters, bytes and byte pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from frugal.show.interactive import Interactive
from frugal.tokens.byte_pairs import BytePairTokenizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 240
"""Characters that the text box takes."""


class BytesAndTokensFigure(Interactive):
    """A text box, the text in three kinds of tokens, and the pairs that attention compares.

    tokenizer: its merges run in the browser; a slider says how many of them are known, and at 0 the
    pieces are bytes. samples: by name, texts to choose from; the first is shown.
    Raises ValueError when there is no sample, or one is empty or longer than `LONGEST`.
    """

    module = "bytes_and_tokens.js"
    style = "bytes_and_tokens.css"

    def __init__(self, tokenizer: BytePairTokenizer, samples: Mapping[str, str]) -> None:
        if not samples:
            raise ValueError("samples is empty; the figure begins with one text.")
        for name, text in samples.items():
            if not 1 <= len(text) <= LONGEST:
                raise ValueError(
                    f"samples has {len(text)} characters under {name!r}; 1 ... {LONGEST} fit."
                )
        sample, text = next(iter(samples.items()))
        self.counts = {
            "characters": len(text),
            "bytes": len(text.encode()),
            "pieces": len(tokenizer.pieces(text)),
        }
        super().__init__(
            alt=(
                f"“{text}” as {self.counts['characters']} characters, {self.counts['bytes']} bytes "
                f"and {self.counts['pieces']} pieces, with the pairs that full attention compares "
                "in each case. Typing another text, or moving the number of merges, changes all."
            ),
            merges=[" ".join(pair) for pair in tokenizer.merges],
            samples=dict(samples),
            sample=sample,
            text=text,
            n_merges=len(tokenizer.merges),
        )

    def picture(self) -> Figure:
        """Tokens and pairs of the first sample, as bars."""
        from matplotlib import pyplot as plt

        figure, (left, right) = plt.subplots(1, 2, figsize=(7, 1.8), sharey=True)
        names, sizes = list(self.counts), list(self.counts.values())
        colors = ["#00735a", "#b34700", "#0068a8"]
        for axes, values, title in (
            (left, sizes, "tokens N"),
            (right, [n * n for n in sizes], "pairs N² that attention compares"),
        ):
            bars = axes.barh(names, values, color=colors)
            axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
            axes.set_title(title, fontsize=8)
            axes.margins(x=0.2)
            axes.tick_params(labelsize=8)
        left.invert_yaxis()
        return figure
