"""Mixing without attention against the public forms of the same, and every mixer against softmax.

Convolutions alone: batch 1, width 256, 4 heads, kernel 31, causal, float32. The peers are written
here, after the description of fairseq's code: its LightConv puts the kernel into a matrix of all
pairs of positions by default, and can copy every neighbourhood ("unfolded") instead; its
DynamicConv does the latter beyond 512 positions. Layers: those of the experiment on mixers, width
64 with their projections, forward and backward, in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.bench import Case
from experiments.interactions.mixers import MIXERS, WIDTH, Place
from frugal.measure import forward_backward, peak_bytes
from frugal.mixing.convolution import dynamic_conv, lightweight_conv
from frugal.mixing.fourier import fourier_mix

CHANNELS, HEADS, KERNEL = 256, 4, 31


def pair_matrix(x: Tensor, weights: Tensor) -> Tensor:
    """The convolution as a product with a band matrix over all pairs of positions."""
    batch, length, channels = x.shape
    n_heads, kernel_size = weights.shape
    row = length + kernel_size - 1
    matrix = x.new_zeros(batch * n_heads, length, row)
    band = matrix.as_strided((batch * n_heads, length, kernel_size), (length * row, row + 1, 1))
    band.copy_(weights.repeat(batch, 1)[:, None].expand(band.shape))
    heads = x.view(batch, length, n_heads, -1).transpose(1, 2).flatten(0, 1)
    out = torch.bmm(matrix[..., kernel_size - 1 :], heads)
    return out.unflatten(0, (batch, n_heads)).transpose(1, 2).reshape(batch, length, channels)


def unfolded(x: Tensor, weights: Tensor) -> Tensor:
    """The convolution as one small product a position, on a copy of every neighbourhood.

    weights: (batch, length, n_heads, kernel_size), or (n_heads, kernel_size) for all positions.
    """
    batch, length, channels = x.shape
    n_heads, kernel_size = weights.shape[-2:]
    neighbours = F.pad(x, (0, 0, kernel_size - 1, 0)).unfold(1, kernel_size, 1)
    neighbours = neighbours.reshape(batch * length * n_heads, -1, kernel_size)
    every = weights.expand(batch, length, n_heads, kernel_size)
    return torch.bmm(neighbours, every.reshape(-1, kernel_size, 1)).view(batch, length, channels)


def cases(smoke: bool) -> list[Case]:
    """Convolutions, the Fourier transform, and a layer of every mixer at several lengths."""
    length = 256 if smoke else 8192
    lengths = (64, 128) if smoke else (128, 1024, 4096)
    return [*convolutions(length), *transforms(length), *layers(lengths)]


def convolutions(length: int) -> list[Case]:
    """Ours and theirs, forward and in training; the memory may be a twentieth of theirs."""
    x = torch.randn(1, length, CHANNELS)
    fixed = torch.randn(HEADS, KERNEL).softmax(-1)
    moving = torch.randn(1, length, HEADS, KERNEL).softmax(-1)
    light = partial(lightweight_conv, causal=True)
    dynamic = partial(dynamic_conv, causal=True)
    pairs = "LightConv, matrix of pairs"
    # name, form, weights, what it is compared with, and the bars forward and in training
    forms = (
        (pairs, pair_matrix, fixed, None, (None, None)),
        ("LightConv, unfolded", unfolded, fixed, "LightConv", (None, None)),
        ("LightConv", light, fixed, pairs, (1 / 50, None)),
        ("DynamicConv, unfolded", unfolded, moving, None, (None, None)),
        ("DynamicConv", dynamic, moving, "DynamicConv, unfolded", (None, 1 / 4)),
    )
    least = int(0.05 * held(pair_matrix, (x, fixed)))
    found = []
    for turn, direction in enumerate(("forward", "training")):
        for name, form, weights, against, bars in forms:
            given = (x, weights)
            found.append(
                Case(
                    f"{direction} {length} {name}",
                    partial(forward_backward(form), *given) if turn else forward(form, given),
                    None if against is None else f"{direction} {length} {against}",
                    bars[turn],
                    least if name == "LightConv" and not turn else None,
                )
            )
    return found


def transforms(length: int) -> list[Case]:
    """The Fourier transform of half the frequencies against that of all, and against attention."""
    x = torch.randn(1, length, CHANNELS)
    heads = [torch.randn(1, HEADS, length, CHANNELS // HEADS) for _ in "qkv"]
    whole = f"forward {length} Fourier, all frequencies"
    attention = f"forward {length} attention"
    return [
        Case(attention, forward(F.scaled_dot_product_attention, heads)),
        Case(whole, forward(lambda x: torch.fft.fft2(x).real, (x,)), attention),
        Case(f"forward {length} Fourier", forward(fourier_mix, (x,)), whole, 1.0),
    ]


def layers(lengths: Sequence[int]) -> list[Case]:
    """One mixing layer of each kind, forward and backward, against that of softmax attention."""
    found = []
    for length in lengths:
        x = torch.randn(1, length, WIDTH)
        for name, make in MIXERS.items():
            torch.manual_seed(0)
            against = None if name == "softmax" else f"layer {length} softmax"
            found.append(
                Case(
                    f"layer {length} {name}",
                    partial(forward_backward(make(Place(length, causal=False))), x),
                    against,
                )
            )
    return found


def held(form: Callable[..., Tensor], given: Sequence[Tensor]) -> int:
    """Bytes that a forward pass holds at once."""
    with torch.no_grad():
        return peak_bytes(form, *given)


def forward(form: Callable[..., Tensor], given: Sequence[Tensor]) -> Callable[[], Tensor]:
    """A pass without gradients."""

    def run() -> Tensor:
        with torch.no_grad():
            return form(*given)

    return run
