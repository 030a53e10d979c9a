"""Mixing without parameters: the two-dimensional Fourier transform of FNet.

Every output is a sum of all inputs with fixed coefficients,

    O = Re F_sequence(F_hidden(X)),

so all positions meet in every layer, and nothing is learned here; the feed-forward network that
follows learns to use it. The sum has no order in time, so it cannot be causal.

Source: leethorp2022fnet. Cost for N tokens of width d: O(N·d·(log N + log d)).
Chapter: no-attention.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.checks import check_input, hide_padding
from frugal.mixing.mixer import Mixer

HALF_PRECISION = (torch.bfloat16, torch.float16)


def fourier_mix(x: Float[Tensor, "batch length d_model"]) -> Float[Tensor, "batch length d_model"]:
    """The real part of the Fourier transform of x over length and width.

    Of a real signal half the frequencies suffice, since Y(-k, -l) is the conjugate of Y(k, l): this
    transforms d_model / 2 + 1 columns and mirrors the others. Numbers grow by about
    √(length·d_model). bfloat16 and float16 are transformed in float32.
    """
    check_input(x, None)
    if not len(x):
        return x  # a transform of no numbers is an error in torch
    wide = x.float() if x.dtype in HALF_PRECISION else x
    known = torch.fft.rfft2(wide).real  # (batch, length, d_model // 2 + 1)
    missing = known[:, :, 1 : (x.shape[-1] + 1) // 2]
    mirrored = missing.flip(1, 2).roll(1, 1)  # row k comes from row -k, and row 0 from itself
    return torch.cat((known, mirrored), 2).to(x.dtype)


class FourierMixing(Mixer):
    """`fourier_mix` as a mixer for `TransformerConfig(make_mixer=...)`, in encoders only.

    Padding is mixed in: padded positions count as zeros, but they set the length and with it all
    frequencies. The same sentence with more padding gives other numbers, so train and test with
    one length, as the paper does.
    """

    takes_padding = True

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length d_model"]:
        """padding: True = real token; what is not real is set to zero first."""
        check_input(x, padding)
        return fourier_mix(hide_padding(x, padding))
