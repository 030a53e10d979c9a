"""`LatentCost`: what a Perceiver saves, over the number of its inputs and of its latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from frugal.arithmetic.fewer_tokens import PerceiverCost, layer_flops, perceiver_flops
from frugal.checks import one_of, whole_within
from frugal.show.interactive import Interactive
from frugal.show.theme import light_colors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Outputs = Literal["one", "all"]
INPUT_POWERS, LATENT_POWERS = range(5, 18), range(2, 14)
PRESETS = (
    {
        "label": "Bytes of a text",
        "inputs": 2048,
        "latents": 256,
        "layers": 26,
        "outputs": "all",
    },
    {
        "label": "Pixels of a picture",
        "inputs": 50176,
        "latents": 512,
        "layers": 48,
        "outputs": "one",
    },
    {
        "label": "Voxels of a robot",
        "inputs": 8077,
        "latents": 2048,
        "layers": 6,
        "outputs": "all",
    },
)


class LatentCost(Interactive):
    """A surface of inputs by latents, and the FLOPs of the chosen cell split into three steps.

    inputs, latents: chosen at first, within the surface. layers: on the latents, and of
    the full attention they are compared with. outputs: "one", or "all" for as many as inputs.
    d_model, d_ff: widths of both.
    """

    module = "latent_cost.js"
    style = "latent_cost.css"

    def __init__(
        self,
        inputs: int = 2048,
        latents: int = 256,
        *,
        layers: int = 26,
        outputs: Outputs = "one",
        d_model: int = 512,
        d_ff: int = 2048,
    ) -> None:
        whole_within(2 ** INPUT_POWERS[0], 2 ** INPUT_POWERS[-1], inputs=inputs)
        whole_within(2 ** LATENT_POWERS[0], 2 ** LATENT_POWERS[-1], latents=latents)
        whole_within(1, 48, layers=layers)
        one_of(get_args(Outputs), outputs=outputs)
        super().__init__(
            alt=(
                "A surface of squares, inputs across and latents up, darker where a Perceiver "
                "saves more against full attention: darkest at many inputs and few latents, "
                f"crossed out where it costs more. Below, bars for {inputs} inputs and {latents} "
                "latents."
            ),
            inputs=inputs,
            latents=latents,
            layers=layers,
            outputs=outputs,
            d_model=d_model,
            d_ff=d_ff,
            presets=list(PRESETS),
        )

    def costs(self, inputs: int, latents: int) -> tuple[PerceiverCost, int]:
        """FLOPs of the Perceiver, and of full attention, with the state's layers and widths."""
        widths = {"d_model": self.state["d_model"], "d_ff": self.state["d_ff"]}
        layers = self.state["layers"]
        outputs = 1 if self.state["outputs"] == "one" else inputs
        cost = perceiver_flops(inputs, latents, outputs, n_layers=layers, **widths)
        return cost, layers * layer_flops(inputs, inputs, **widths)

    def picture(self) -> Figure:
        """The surface, with a ring around the chosen cell, and the bars."""
        import numpy as np
        from matplotlib import pyplot as plt

        colors = light_colors()
        savings = np.empty((len(LATENT_POWERS), len(INPUT_POWERS)))
        for row, n in enumerate(LATENT_POWERS):
            for column, m in enumerate(INPUT_POWERS):
                cost, full = self.costs(2**m, 2**n)
                savings[row, column] = full / cost.total
        figure, (surface, bars) = plt.subplots(
            2, 1, figsize=(6.4, 5), height_ratios=[4, 1], layout="constrained"
        )
        surface.imshow(
            np.log10(savings), origin="lower", cmap="Blues", vmin=0, vmax=3, aspect="auto"
        )
        for row, column in np.argwhere(savings < 1):
            surface.text(column, row, "×", ha="center", va="center", color=colors["--frugal-bad"])
        inputs, latents = self.state["inputs"], self.state["latents"]
        column, row = np.log2(inputs) - INPUT_POWERS[0], np.log2(latents) - LATENT_POWERS[0]
        surface.plot(round(column), round(row), "o", mfc="none", mec=colors["--frugal-accent-2"])
        surface.set_xticks(range(len(INPUT_POWERS)), [2**m for m in INPUT_POWERS], rotation=45)
        surface.set_yticks(range(len(LATENT_POWERS)), [2**n for n in LATENT_POWERS])
        surface.tick_params(labelsize=7)
        surface.set_xlabel("inputs", fontsize=8)
        surface.set_ylabel("latents", fontsize=8)
        cost, full = self.costs(inputs, latents)
        bars.barh(1, full, color=colors["--frugal-accent-6"])
        left = 0
        for accent, step in enumerate(("encode", "process", "decode"), 1):
            flops = getattr(cost, step)
            bars.barh(0, flops, left=left, color=colors[f"--frugal-accent-{accent}"], label=step)
            left += flops
        bars.set_yticks([0, 1], ["Perceiver", "full attention"], fontsize=8)
        bars.tick_params(labelsize=7)
        bars.legend(fontsize=7)
        return figure
