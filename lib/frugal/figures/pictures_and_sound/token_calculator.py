"""`TokenCalculator`: from pixels, samples and voxels to tokens, and what attention then costs.

The counts are those of `frugal.arithmetic.token_counts`, the costs those of
`frugal.arithmetic.transformer`; both are computed again in the browser (`token_formulas.js`,
`cost_formulas.js`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, get_args

from frugal.arithmetic.token_counts import picture_tokens, sound_frames, voxel_tokens
from frugal.arithmetic.transformer import TransformerShape, flops, memory
from frugal.checks import one_of
from frugal.show.interactive import Interactive
from frugal.show.theme import accents, light_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Modality = Literal["picture", "sound", "voxels"]

BASE = TransformerShape(length=1, d_model=768, n_heads=12, n_layers=12, d_ff=3072)
"""The sizes that ViT-Base, VLC and HuBERT Base share; the length is put in later."""

LANDMARKS: tuple[tuple[str, dict[str, str | int]], ...] = (
    ("ViT, 224 pixels", {"modality": "picture", "side": 224, "patch": 16}),
    ("VLC, 384 pixels", {"modality": "picture", "side": 384, "patch": 16}),
    (
        "HuBERT, 1 minute",
        {"modality": "sound", "seconds": 60, "sample_rate": 16_000, "hop": 320},
    ),
    ("PerAct, 100³ voxels", {"modality": "voxels", "voxel_side": 100, "voxel_patch": 5}),
    ("every pixel of 224²", {"modality": "picture", "side": 224, "patch": 1}),
)
"""Known inputs, and the state that counts them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenBill:
    """What an input of that many tokens costs one forward pass of a Transformer."""

    tokens: int
    attention_flops: int
    """Scores and weighted sum: the part that grows with the square of the tokens."""
    other_flops: int
    """Projections and feed-forward network: the part that grows with the tokens."""
    scores_bytes: int
    """The attention weights of one layer, where they are stored."""
    fused_bytes: int
    """What a fused kernel keeps in their place."""


def token_bill(tokens: int, shape: TransformerShape = BASE) -> TokenBill:
    """FLOPs and bytes for `tokens` tokens in a Transformer of that shape."""
    sized = dataclasses.replace(shape, length=tokens)
    work, held = flops(sized), memory(sized)
    return TokenBill(
        tokens=tokens,
        attention_flops=work.attention,
        other_flops=work.total - work.attention,
        scores_bytes=held.naive_scores,
        fused_bytes=held.fused_scores,
    )


class TokenCalculator(Interactive):
    """Choose a kind of input and how it is cut; see the cut, the tokens and the bill.

    modality: what is shown at first. side, patch: of a square picture, in pixels. seconds,
    sample_rate, hop: of a sound; its window is a quarter longer than the hop. voxel_side,
    voxel_patch: of a cube. shape: the Transformer that pays; its length is ignored.
    """

    module = "token_calculator.js"
    style = "token_calculator.css"

    def __init__(
        self,
        *,
        modality: Modality = "picture",
        side: int = 224,
        patch: int = 16,
        seconds: int = 10,
        sample_rate: int = 16_000,
        hop: int = 320,
        voxel_side: int = 100,
        voxel_patch: int = 5,
        shape: TransformerShape = BASE,
    ) -> None:
        one_of(get_args(Modality), modality=modality)
        counts = {
            "picture": picture_tokens(side, side, patch=patch),
            "sound": sound_frames(seconds * sample_rate, window=hop + hop // 4, hop=hop),
            "voxels": voxel_tokens(voxel_side, patch=voxel_patch),
        }
        if not counts["sound"]:
            raise ValueError(f"seconds is {seconds}; it must be as long as one window or longer.")
        self.counts, self.shape = counts, shape
        super().__init__(
            alt="Tokens of a picture, a sound or a cube of voxels, and what a Transformer pays for "
            f"them. A picture of {side} x {side} pixels in patches of {patch} makes "
            f"{counts['picture']:,} tokens; {seconds} seconds of sound at {sample_rate:,} samples "
            f"a second with a hop of {hop} make {counts['sound']:,}; a cube of {voxel_side} voxels "
            f"a side in patches of {voxel_patch} makes {counts['voxels']:,}. For the chosen one it "
            "draws the cut, and FLOPs over tokens on log axes, where attention rises twice as "
            "steeply as the rest.",
            modality=modality,
            side=side,
            patch=patch,
            seconds=seconds,
            sample_rate=sample_rate,
            hop=hop,
            voxel_side=voxel_side,
            voxel_patch=voxel_patch,
            shape={k: v for k, v in dataclasses.asdict(shape).items() if k != "length"},
            landmarks=[{"label": label, "state": state} for label, state in LANDMARKS],
        )

    def picture(self) -> Figure:
        """FLOPs of attention and of the rest over tokens, with the three counts marked."""
        import numpy as np
        from matplotlib import pyplot as plt

        blue, orange, *_ = accents()
        lengths = np.unique(np.geomspace(16, 2**20, 60).round().astype(int))
        bills = [token_bill(int(length), self.shape) for length in lengths]
        figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
        attention = [bill.attention_flops for bill in bills]
        other = [bill.other_flops for bill in bills]
        axes.plot(lengths, attention, color=orange, label="attention")
        axes.plot(lengths, other, color=blue, linestyle="--", label="all the rest")
        for name, tokens in self.counts.items():
            axes.axvline(tokens, color=light_color("edge"), linewidth=0.8)
            axes.text(tokens, max(attention), f" {name}", rotation=90, va="top", fontsize=8)
        axes.set(xscale="log", yscale="log", xlabel="tokens", ylabel="FLOPs of one pass")
        axes.legend(frameon=False, loc="lower right")
        return figure
