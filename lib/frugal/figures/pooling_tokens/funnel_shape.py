"""`FunnelShape`: blocks of layers to set, words that merge from one to the next, and the bill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frugal.arithmetic.fewer_tokens import FunnelLayerCost, funnel_flops, layer_flops
from frugal.checks import whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import light_colors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BLOCKS, MOST_LAYERS, MOST_DECODER_LAYERS = 4, 12, 4
LENGTHS = range(16, 1025, 16)
PRESETS = (
    {
        "label": "12 plain layers",
        "blocks": [12],
        "decoder": 0,
        "words": "Every layer computes every word.",
    },
    {
        "label": "B4-4-4",
        "blocks": [4, 4, 4],
        "decoder": 0,
        "words": "As many layers, and words that merge: what is left of the FLOPs?",
    },
    {
        "label": "B6-6-6",
        "blocks": [6, 6, 6],
        "decoder": 0,
        "words": "Six layers more. Which of the three blocks costs most?",
    },
    {
        "label": "B6-6-6 with a decoder",
        "blocks": [6, 6, 6],
        "decoder": 2,
        "words": "Every word has a vector again. Which block would you shorten to pay for it?",
    },
)


class FunnelShape(Interactive):
    """Words that merge from block to block, FLOPs of each layer, and of all against twelve plain.

    blocks: layers of up to four blocks, 1 ... 12 each. n_decoder_layers: 0 ... 4. length: tokens, a
    multiple of 16 up to 1,024. d_model, d_ff: widths that the FLOPs are for.
    """

    module = "funnel_shape.js"
    style = "funnel_shape.css"

    def __init__(
        self,
        blocks: Sequence[int] = (6, 6, 6),
        *,
        n_decoder_layers: int = 0,
        length: int = 512,
        d_model: int = 768,
        d_ff: int = 3072,
    ) -> None:
        if not 1 <= len(blocks) <= MOST_BLOCKS or not all(1 <= n <= MOST_LAYERS for n in blocks):
            raise ValueError(
                f"blocks is {tuple(blocks)}; it must be from 1 to {MOST_BLOCKS} blocks of 1 to "
                f"{MOST_LAYERS} layers."
            )
        whole_within(0, MOST_DECODER_LAYERS, n_decoder_layers=n_decoder_layers)
        if length not in LENGTHS:
            raise ValueError(f"length is {length}; it must be a multiple of 16 up to 1024.")
        sizes = [*blocks, *[0] * (MOST_BLOCKS - len(blocks))]
        super().__init__(
            alt=(
                f"A funnel of blocks with {', '.join(map(str, blocks))} layers over {length} "
                "tokens: from block to block two vectors merge into one, so that a vector stands "
                "for one word, for two, for four. Sliders change the "
                "layers of each block, the decoder and the length, and with them the FLOPs."
            ),
            **{f"block_{index + 1}": size for index, size in enumerate(sizes)},
            decoder=n_decoder_layers,
            length=length,
            d_model=d_model,
            d_ff=d_ff,
            presets=list(PRESETS),
        )

    @property
    def layers(self) -> tuple[FunnelLayerCost, ...]:
        """The layers of the state, first to last."""
        sizes = [self.state[f"block_{index + 1}"] for index in range(MOST_BLOCKS)]
        return funnel_flops(
            self.state["length"],
            blocks=[size for size in sizes if size],
            d_model=self.state["d_model"],
            d_ff=self.state["d_ff"],
            n_decoder_layers=self.state["decoder"],
        )

    def picture(self) -> Figure:
        """The bars, the first layer at the bottom."""
        from matplotlib import pyplot as plt

        colors = light_colors()
        layers, length = self.layers, self.state["length"]
        plain = layer_flops(length, length, d_model=self.state["d_model"], d_ff=self.state["d_ff"])
        figure, axes = plt.subplots(figsize=(6.4, 1 + 0.18 * len(layers)))
        for row, layer in enumerate(layers):
            accent = 2 if layer.block is None else (1, 3, 4, 5)[layer.block]
            axes.barh(
                row,
                layer.queries,
                left=-layer.queries / 2,
                color=colors[f"--frugal-accent-{accent}"],
            )
            if layer.keys > layer.queries:
                axes.barh(
                    row,
                    layer.keys,
                    left=-layer.keys / 2,
                    fill=False,
                    linestyle="--",
                    edgecolor=colors["--frugal-edge"],
                )
            axes.text(
                length * 0.55,
                row,
                f"{layer.queries} · {layer.flops / plain:.0%}",
                va="center",
                fontsize=7,
            )
        axes.set(yticks=[], xticks=[], xlim=(-length * 0.55, length * 0.8))
        axes.set_title(
            f"{sum(one.flops for one in layers) / plain:.1f} plain layers' worth of FLOPs",
            fontsize=9,
        )
        axes.set_frame_on(False)
        return figure
