"""Convolutions in place of attention: the same few weights for many channels, summing to 1.

A head is a group of d_model / n_heads channels that share one kernel of `kernel_size` weights. The
weights are normalised by a softmax, so every output is a weighted mean of neighbours, as in
attention. A *lightweight* convolution learns the kernel; a *dynamic* one computes a kernel for each
position from the vector there, and from nothing else.

Source: wu2019pay. Cost for N tokens, width d and kernel_size κ: 2·N·κ·d FLOPs.
Chapter: no-attention.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from frugal.checks import (
    at_least,
    check_divides,
    check_input,
    check_same_dtype,
    hide_padding,
)
from frugal.mixing.mixer import Mixer
from frugal.telling import told

BLOCK = 32
"""Positions that share a stretch of inputs in `dynamic_conv`. A block of b positions multiplies a
band of b × (b + k - 1) numbers of which b × k are weights: a longer block multiplies more zeros, a
shorter one makes matrices too small to be fast."""


def lightweight_conv(
    x: Float[Tensor, "batch length d_model"],
    weights: Float[Tensor, "n_heads kernel_size"],
    *,
    causal: bool = False,
) -> Float[Tensor, "batch length d_model"]:
    """out[i, c] = Σₙ weights[h, n] · x[i + n - left, c], with h = c // (d_model / n_heads).

    left: kernel_size - 1 when causal, so that the last weight is of the position itself; else
    kernel_size // 2, and for an even kernel the longer side is the past. What lies outside the
    sequence is zero, also when the kernel is longer than the sequence.
    """
    check_input(x, None)
    _check_weights(weights, "(n_heads, kernel_size)")
    n_heads, kernel_size = weights.shape
    check_divides(n_heads, x.shape[-1])
    sides = _sides(kernel_size, causal)
    kernels = weights.repeat_interleave(x.shape[-1] // n_heads, 0)[:, None]  # (d_model, 1, k)
    return F.conv1d(F.pad(x.mT, sides), kernels, groups=x.shape[-1]).mT


def dynamic_conv(
    x: Float[Tensor, "batch length d_model"],
    weights: Float[Tensor, "batch length n_heads kernel_size"],
    *,
    causal: bool = False,
) -> Float[Tensor, "batch length d_model"]:
    """The same with a kernel for every position: weights[batch, t, h, j] in place of weights[h, j].

    Positions are taken in blocks. The kernels of a block form a band matrix, which is multiplied
    with the stretch of inputs that the block reads. Memory: batch·length·n_heads·(kernel_size +
    `BLOCK`) numbers, where a copy of every neighbourhood takes batch·length·d_model·kernel_size.
    """
    check_input(x, None)
    _check_weights(weights, "(batch, length, n_heads, kernel_size)")
    length, d_model = x.shape[1:]
    n_heads, kernel_size = weights.shape[2:]
    check_divides(n_heads, d_model)
    if weights.shape[:2] != x.shape[:2]:
        raise ValueError(
            f"weights has shape {tuple(weights.shape)}; it must begin with the batch and length of "
            f"x, {tuple(x.shape[:2])}."
        )
    left, right = _sides(kernel_size, causal)
    block = min(BLOCK, length)
    n_blocks = -(-length // block)
    extra = n_blocks * block - length
    stretch = block + kernel_size - 1

    # A row longer by `block`, read with one element less a row, moves each row one to the right.
    rows = F.pad(weights, (0, block, 0, 0, 0, extra)).unflatten(1, (n_blocks, block))
    rows = rows.transpose(2, 3).flatten(3)  # (batch, blocks, n_heads, block · (kernel + block))
    band = rows[..., : block * stretch].unflatten(3, (block, stretch))
    inputs = F.pad(x, (0, 0, left, right + extra)).unfold(1, stretch, block)
    inputs = inputs.unflatten(2, (n_heads, -1)).mT  # (batch, blocks, n_heads, stretch, head width)
    out = (band.to(inputs.dtype) @ inputs).transpose(2, 3)
    return out.flatten(3).flatten(1, 2)[:, :length]


def _check_weights(weights: Tensor, axes: str) -> None:
    """One sentence when the kernels do not have these axes, or no weights."""
    if weights.ndim != axes.count(",") + 1 or weights.shape[-1] < 1:
        raise ValueError(
            f"weights has shape {tuple(weights.shape)}; it must be {axes} with a kernel_size of at "
            "least 1."
        )


def _sides(kernel_size: int, causal: bool) -> tuple[int, int]:
    """How many weights lie before a position, and how many after it."""
    left = kernel_size - 1 if causal else kernel_size // 2
    return left, kernel_size - 1 - left


class _Convolution(Mixer):
    """Linear, gate, convolution, linear; a subclass says where the kernels come from."""

    takes_padding = True
    conv: Callable[..., Tensor]

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        kernel_size: int,
        *,
        causal: bool,
        gated: bool = True,
        dropconnect: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_divides(n_heads, d_model)
        at_least(1, kernel_size=kernel_size)
        if not 0 <= dropconnect < 1:
            raise ValueError(f"dropconnect is {dropconnect}; it must be at least 0 and below 1.")
        self.d_model, self.n_heads, self.kernel_size = d_model, n_heads, kernel_size
        self.causal, self.gated, self.dropconnect = causal, gated, dropconnect
        self.to_inner = nn.Linear(d_model, 2 * d_model if gated else d_model, bias=bias)
        self.to_out = nn.Linear(d_model, d_model, bias=bias)
        for layer in (self.to_inner, self.to_out):
            nn.init.xavier_uniform_(layer.weight)
            if bias:
                nn.init.zeros_(layer.bias)
        self.make_kernels()

    def extra_repr(self) -> str:
        return told(self, "n_heads", "kernel_size", "causal", "gated", "dropconnect")

    def make_kernels(self) -> None:
        """The parameters that the kernels come from."""
        raise NotImplementedError

    def kernel_scores(self, inner: Float[Tensor, "batch length d_model"]) -> Tensor:
        """What softmax makes kernels of, (..., n_heads, kernel_size)."""
        raise NotImplementedError

    def inner(
        self, x: Float[Tensor, "batch length d_model"], padding: Tensor | None
    ) -> Float[Tensor, "batch length d_model"]:
        """What is convolved: the (gated) projection of x, zero where there is no real token."""
        check_input(x, padding, d_model=self.d_model)
        check_same_dtype(x, self.to_inner)
        inner = self.to_inner(x)  # (batch, length, d_model or 2·d_model)
        return hide_padding(F.glu(inner, -1) if self.gated else inner, padding)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length d_model"]:
        """padding: True = real token; the convolution reads zeros where there is none."""
        inner = self.inner(x, padding)
        kernels = self.kernel_scores(inner).softmax(-1)
        kernels = F.dropout(kernels, self.dropconnect, self.training).to(inner.dtype)
        return self.to_out(self.conv(inner, kernels, causal=self.causal))


class LightweightConv(_Convolution):
    """LightConv as a mixer: x W (2·d_model) -> GLU -> `lightweight_conv` -> W.

    d_model, n_heads: the width and into how many groups of channels, each with one kernel, it is
    divided. kernel_size: weights of a kernel; a kernel longer than the sequence reads zeros outside
    of it. causal: no weight on later positions. gated: False leaves out the GLU. dropconnect: share
    of the normalised weights that are dropped in training, the others scaled up as in dropout.

    Parameters: 3·d_model² and n_heads·kernel_size, whatever the length.
    """

    conv = staticmethod(lightweight_conv)

    def make_kernels(self) -> None:
        self.scores = nn.Parameter(torch.empty(self.n_heads, self.kernel_size))
        nn.init.xavier_uniform_(self.scores)

    def kernel_scores(self, inner: Tensor) -> Float[Tensor, "n_heads kernel_size"]:
        return self.scores

    @property
    def weights(self) -> Float[Tensor, "n_heads kernel_size"]:
        """The kernels: each row sums to 1; when causal, the last weight is for its own place."""
        return self.scores.softmax(-1)


class DynamicConv(_Convolution):
    """DynamicConv as a mixer: `LightweightConv` with kernels softmax(W x[i]) computed at i.

    The arguments are those of `LightweightConv`. The kernel of a position depends on the vector
    there alone: unlike attention, it never compares two positions.

    Parameters: 3·d_model² and d_model·n_heads·kernel_size.
    """

    conv = staticmethod(dynamic_conv)

    def make_kernels(self) -> None:
        self.to_scores = nn.Linear(self.d_model, self.n_heads * self.kernel_size, bias=False)
        nn.init.xavier_uniform_(self.to_scores.weight)

    def kernel_scores(self, inner: Tensor) -> Float[Tensor, "batch length n_heads kernel_size"]:
        return self.to_scores(inner).unflatten(-1, (self.n_heads, self.kernel_size))

    def weights(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length n_heads kernel_size"]:
        """The kernels that `forward` computes for x; each sums to 1."""
        return self.kernel_scores(self.inner(x, padding)).softmax(-1)
