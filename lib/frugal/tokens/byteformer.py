"""A Transformer over the bytes of a file, made affordable by giving up positions on the way.

A file of N bytes is first strided over by a convolution, which leaves N / stride tokens. Each
layer attends within a window, and after some layers two neighbours become one token. Nothing of
the file is decoded, and nothing of its format is known.

Source: horton2023bytes, section 3. There windows are shifted from layer to layer as in Swin; here
each token sees the window around itself, and layers need no shift. Padding never enters: a file
gives the same scores alone and beside a longer one. Chapter: bytes.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal.attention.patterns import PatternAttention
from frugal.checks import (
    at_least,
    check_input,
    check_padding,
    check_same_dtype,
    given,
    hide_padding,
)
from frugal.embeddings import TokenEmbedding, check_ids
from frugal.model import TransformerConfig, TransformerLayer
from frugal.norms import norm
from frugal.positions import Positions

PAD = 256
"""The id after the last byte. Its vector is never read."""


class StridedEmbedding(nn.Module):
    """Embed each byte, then join `kernel_size` neighbours to a token, a token every `stride` bytes.

    Token t reads the bytes t·stride up to t·stride + kernel_size, with zeros beyond the end, so
    that ⌈length / stride⌉ tokens see every byte. stride: kernel_size // 2 when None.

    Shapes: ids (batch, length), 0 to 256; padding (batch, length) or None, True = real; out
    (batch, ⌈length / stride⌉, d_model) and which of these tokens are real.
    """

    def __init__(self, d_model: int, *, kernel_size: int = 8, stride: int | None = None) -> None:
        super().__init__()
        at_least(1, d_model=d_model, kernel_size=kernel_size, **given(stride=stride))
        stride = max(1, kernel_size // 2) if stride is None else stride
        if stride > kernel_size:
            raise ValueError(
                f"stride is {stride} and kernel_size {kernel_size}; a stride of 1 ... kernel_size "
                "is needed, or bytes would be skipped."
            )
        self.embedding = TokenEmbedding(PAD + 1, d_model)
        self.join = nn.Conv1d(d_model, d_model, kernel_size, stride=stride)

    def forward(
        self, ids: Int[Tensor, "batch length"], padding: Bool[Tensor, "batch length"] | None = None
    ) -> tuple[Float[Tensor, "batch tokens d_model"], Bool[Tensor, "batch tokens"] | None]:
        check_ids(ids)
        check_padding(padding, tuple(ids.shape))
        padding = None if padding is None else padding.expand(ids.shape)
        _check_behind(padding)
        x = hide_padding(self.embedding(ids), padding)
        kernel_size, stride = self.join.kernel_size[0], self.join.stride[0]
        tokens = -(-ids.shape[1] // stride)
        missing = (tokens - 1) * stride + kernel_size - ids.shape[1]
        x = F.pad(x.mT, (0, max(0, missing)))  # (batch, d_model, length + missing)
        x = self.join(x).mT[:, :tokens]
        return x, None if padding is None else padding[:, ::stride]


def _check_behind(padding: Tensor | None) -> None:
    """One sentence where a byte stands behind padding: it would be read as one of another place.

    Nobody looks where that would make a GPU wait, nor in a graph.
    """
    if padding is None or padding.device.type != "cpu" or torch.compiler.is_compiling():
        return
    if (padding[:, 1:] & ~padding[:, :-1]).any():
        raise ValueError("padding is False in front of a byte; it must be False behind them only.")


class PairMerging(nn.Module):
    """Two neighbours become one token of the same width: half the tokens, rounded up.

    The pair is concatenated, normalised and projected; a last token without a partner, and a real
    one beside padding, is paired with zeros.

    Shapes: x (batch, length, d_model) and padding (batch, length) or None; out the same with
    ⌈length / 2⌉.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        at_least(1, d_model=d_model)
        self.norm = nn.LayerNorm(2 * d_model)
        self.reduction = nn.Linear(2 * d_model, d_model, bias=False)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Float[Tensor, "batch half d_model"], Bool[Tensor, "batch half"] | None]:
        check_input(x, padding, d_model=self.reduction.out_features)
        check_same_dtype(x, self.norm)
        x = hide_padding(x, padding)
        padding = None if padding is None else padding[:, ::2]
        x = F.pad(x, (0, 0, 0, x.shape[1] % 2))
        pairs = x.unflatten(1, (-1, 2)).flatten(2)  # (batch, half, 2·d_model)
        return self.reduction(self.norm(pairs)), padding


class ByteFormer(nn.Module):
    """Classify files by their bytes.

    n_classes: what is told apart. window: a token sees that many to each side and itself besides,
    or all of them when None, at a cost that is no longer linear. merge_after: the layers, counted
    from 1, after which neighbours are merged; every second one when None. kernel_size, stride: of
    `StridedEmbedding`. positions: of `TransformerConfig`; learned ones reach max_tokens tokens.

    forward(ids, padding=None): ids (batch, length), 0 to 255 and `PAD`; padding (batch, length),
    True = a byte of the file -> scores (batch, n_classes), from the mean over the tokens left.
    Cost: linear in the length. Raises ValueError for a size that does not fit.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 4,
        d_ff: int | None = None,
        window: int | None = 32,
        kernel_size: int = 8,
        stride: int | None = None,
        merge_after: Collection[int] | None = None,
        positions: Positions = "sinusoidal",
        max_tokens: int = 512,
    ) -> None:
        super().__init__()
        at_least(1, n_classes=n_classes, n_layers=n_layers, max_tokens=max_tokens)
        at_least(0, **given(window=window))
        if merge_after is None:
            merge_after = range(2, n_layers + 1, 2)
        beyond = sorted(set(merge_after) - set(range(1, n_layers + 1)))
        if beyond:
            raise ValueError(f"merge_after has {beyond[0]}; layers are counted 1 ... {n_layers}.")
        config = TransformerConfig(
            PAD + 1,
            d_model=d_model,
            n_heads=n_heads,
            n_layers=n_layers,
            d_ff=d_ff,
            positions=positions,
            max_length=max_tokens,
            activation="gelu",
            make_attend=None
            if window is None
            else lambda *_: PatternAttention("window", window=window),
        )
        self.embed = StridedEmbedding(d_model, kernel_size=kernel_size, stride=stride)
        self.positions = config.add_positions()
        self.layers = nn.ModuleList(TransformerLayer(config, i) for i in range(n_layers))
        self.merges = nn.ModuleDict({str(i): PairMerging(d_model) for i in sorted(merge_after)})
        self.norm = norm("layer", d_model)
        self.classify = nn.Linear(d_model, n_classes)

    def forward(
        self, ids: Int[Tensor, "batch length"], padding: Bool[Tensor, "batch length"] | None = None
    ) -> Float[Tensor, "batch classes"]:
        x, real = self.embed(ids, padding)
        x = self.positions(x)
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x, padding=real)
            if str(number) in self.merges:
                x, real = self.merges[str(number)](x, real)
        x = self.norm(x)
        if real is None:
            return self.classify(x.mean(1))
        x = hide_padding(x, real).sum(1)
        return self.classify(x / real.sum(1, keepdim=True).clamp(min=1))

    def token_counts(self, length: int) -> list[int]:
        """Tokens that each layer reads from a file of `length` bytes, and those the mean reads.

        Raises ValueError for a length below 1.
        """
        at_least(1, length=length)
        counts = [-(-length // self.embed.join.stride[0])]
        for number in range(1, len(self.layers) + 1):
            merged = str(number) in self.merges
            counts.append(-(-counts[-1] // 2) if merged else counts[-1])
        return counts
