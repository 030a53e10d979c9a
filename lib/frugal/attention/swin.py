"""Attention in two dimensions: windows of a picture that shift from one layer to the next.

A picture of height × width tokens is cut into windows of window × window; a token attends inside
its window only. Every second layer moves the windows by half their side, so that what was a border
is now inside. The move is a cyclic roll: the number of windows stays the same, and a mask keeps
apart the tokens that the roll brought together from opposite edges.

Source: liu2021swin. Chapter: windows-in-two-dimensions. Cost for N = height·width tokens of width
d: 4·N·window²·d FLOPs beside the projections, so linear in N; full attention takes 4·N²·d.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal.attention.softmax import MultiHeadAttention
from frugal.checks import at_least, check_divides, check_dtypes, check_same_dtype, given
from frugal.feedforward.dense import DenseFeedForward
from frugal.telling import told


def split_windows(
    x: Float[Tensor, "batch height width d_model"], window: int
) -> Float[Tensor, "windows tokens d_model"]:
    """(batch, height, width, d_model) to (batch·windows, window², d_model), row by row.

    The sides must be multiples of `window`.
    """
    if x.shape[1] % window or x.shape[2] % window:
        raise ValueError(
            f"x is {x.shape[1]} x {x.shape[2]}; both sides must be multiples of {window=}."
        )
    # (batch, rows, window, columns, window, d_model), then windows and places of their own
    parts = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    return parts.transpose(2, 3).flatten(0, 2).flatten(1, 2)


def join_windows(
    windows: Float[Tensor, "windows tokens d_model"], window: int, height: int, width: int
) -> Float[Tensor, "batch height width d_model"]:
    """The inverse of `split_windows` for a picture of height × width."""
    rows, columns = height // window, width // window
    parts = windows.unflatten(1, (window, window))
    parts = parts.unflatten(0, (len(windows) // (rows * columns), rows, columns))
    return parts.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def relative_index(window: int, *, device=None) -> Int[Tensor, "tokens tokens"]:
    """Which row of the bias table each pair of a window's tokens reads: (window², window²).

    Pairs with the same offset in rows and columns share a row; there are (2·window - 1)² offsets.
    """
    row, column = torch.meshgrid(
        torch.arange(window, device=device), torch.arange(window, device=device), indexing="ij"
    )
    row, column = row.flatten(), column.flatten()
    rows = row[:, None] - row[None, :] + window - 1  # 0 ... 2·window - 2
    columns = column[:, None] - column[None, :] + window - 1
    return rows * (2 * window - 1) + columns


def shifted_window_mask(
    height: int, width: int, *, window: int, shift: tuple[int, int], device=None
) -> Bool[Tensor, "windows tokens tokens"] | None:
    """Which tokens of a window may see each other: (windows, window², window²), or None for all.

    height, width: the picture before padding. shift: how far rows and columns were rolled. Two
    tokens see each other when the roll moved both, or neither, around the edge, on both axes; no
    token sees padding.
    """
    labels = []
    for size, moved in ((height, shift[0]), (width, shift[1])):
        place = torch.arange(size + -size % window, device=device).roll(-moved)
        wrapped = torch.arange(len(place), device=device) >= len(place) - moved
        labels.append(torch.where(place < size, wrapped.long(), 2))  # 2: padding
    if not any(shift) and height % window == 0 and width % window == 0:
        return None
    row, column = labels
    region = torch.where((row == 2)[:, None] | (column == 2)[None, :], 4, row[:, None] * 2 + column)
    region = split_windows(region[None, :, :, None].float(), window)[..., 0]  # (windows, window²)
    return (region[:, :, None] == region[:, None, :]) & (region < 4)[:, None, :]


def check_picture(x: Tensor, d_model: int) -> None:
    """One sentence when x is not (batch, height, width, d_model) with at least one token."""
    if x.ndim != 4 or x.shape[-1] != d_model or 0 in x.shape[1:]:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; it must be (batch, height, width, {d_model}) with at "
            "least one token, and the channels last."
        )
    check_dtypes(x=x)


class ShiftedWindowAttention(nn.Module):
    """Multi-head attention inside shifted windows, with a learned bias for each relative place.

    d_model, n_heads: as in `MultiHeadAttention`. window: side of a window, so that a token sees
    window² tokens, itself among them (windows here do not move with the token). shift: how far the
    windows move up and left, 0 ... window - 1; the paper alternates 0 and window // 2.

    Shapes: x and out (batch, height, width, d_model). A side that is no multiple of the window is
    padded with tokens nobody sees, and cropped again. An axis with a single window is not shifted:
    its tokens all see each other already.

    Source: liu2021swin, section 3.2 and equation 4.
    """

    def __init__(
        self, d_model: int, n_heads: int, window: int, shift: int = 0, *, bias: bool = True
    ) -> None:
        super().__init__()
        at_least(1, window=window)
        at_least(0, shift=shift)
        if shift >= window:
            raise ValueError(f"shift is {shift}; it must be at least 0 and below {window=}.")
        self.window, self.shift = window, shift
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias)
        self.bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, n_heads))
        nn.init.normal_(self.bias_table, std=0.02)

    def extra_repr(self) -> str:
        return told(self, "window", "shift")

    def relative_bias(self) -> Float[Tensor, "n_heads tokens tokens"]:
        """What is added to the scores of a window: (n_heads, window², window²)."""
        index = relative_index(self.window, device=self.bias_table.device)
        bias, kept = self.bias_table[index].permute(2, 0, 1), self.attention.kept_heads
        return bias if len(kept) == len(bias) else bias[list(kept)]  # some may have been pruned

    def forward(
        self, x: Float[Tensor, "batch height width d_model"]
    ) -> Float[Tensor, "batch height width d_model"]:
        d_model = self.attention.to_q.in_features
        check_picture(x, d_model)
        height, width = x.shape[1:3]
        tall, wide = (size + -size % self.window for size in (height, width))
        shift = tuple(self.shift if size > self.window else 0 for size in (tall, wide))
        mask = shifted_window_mask(height, width, window=self.window, shift=shift, device=x.device)
        if mask is not None:
            mask = mask.repeat(len(x), 1, 1)[:, None]  # (batch·windows, 1, window², window²)

        if torch.compiler.is_compiling() or (tall, wide) != (height, width):  # else a copy
            x = F.pad(x, (0, 0, 0, wide - width, 0, tall - height))
        x = x.roll((-shift[0], -shift[1]), dims=(1, 2))
        out = self.attention(split_windows(x, self.window), mask=mask, bias=self.relative_bias())
        out = join_windows(out, self.window, tall, wide).roll(shift, dims=(1, 2))
        return out[:, :height, :width]


class PatchMerging(nn.Module):
    """Join each 2 × 2 tokens to one of twice the width: a quarter of the tokens.

    Shapes: (batch, height, width, d_model) to (batch, ⌈height/2⌉, ⌈width/2⌉, 2·d_model). An odd
    side is padded with zeros. The four neighbours are concatenated down the columns first,
    normalised, and projected from 4·d_model without a bias.

    Source: liu2021swin, section 3.1.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        at_least(1, d_model=d_model)
        self.norm = nn.LayerNorm(4 * d_model)
        self.reduction = nn.Linear(4 * d_model, 2 * d_model, bias=False)

    def forward(
        self, x: Float[Tensor, "batch height width d_model"]
    ) -> Float[Tensor, "batch half_height half_width double"]:
        check_picture(x, self.reduction.out_features // 2)
        check_same_dtype(x, self.norm)
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))


class SwinBlock(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)), on (batch, height, width, d_model).

    d_ff: 4·d_model when None. Source: liu2021swin, equation 3.
    """

    def __init__(
        self, d_model: int, n_heads: int, window: int, shift: int = 0, *, d_ff: int | None = None
    ) -> None:
        super().__init__()
        check_divides(n_heads, d_model)
        hidden = 4 * d_model if d_ff is None else d_ff
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = ShiftedWindowAttention(d_model, n_heads, window, shift)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.feed_forward = DenseFeedForward(d_model, hidden, activation="gelu")

    def forward(
        self, x: Float[Tensor, "batch height width d_model"]
    ) -> Float[Tensor, "batch height width d_model"]:
        check_picture(x, self.attention.attention.to_q.in_features)
        check_same_dtype(x, self.attention_norm)
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.feed_forward_norm(x))


class SwinEncoder(nn.Module):
    """Stages of `SwinBlock`s with patch merging between them; the width and heads double each time.

    d_model, n_heads: of the first stage. depths: blocks in each stage; every second block is
    shifted by `shift`, window // 2 when None (0 gives the same network without shifts).

    Shapes: (batch, height, width, d_model) to (batch, height/2ˢ, width/2ˢ, 2ˢ·d_model), rounded up,
    for s = len(depths) - 1 merges.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        window: int,
        *,
        depths: Sequence[int],
        shift: int | None = None,
    ) -> None:
        super().__init__()
        check_divides(n_heads, d_model)
        at_least(1, window=window)
        at_least(0, **given(shift=shift))
        if not isinstance(depths, Sequence) or not depths:
            raise ValueError(f"depths is {depths!r}; it must be the blocks of one stage or more.")
        at_least(1, **{f"depths[{stage}]": depth for stage, depth in enumerate(depths)})
        shift = window // 2 if shift is None else shift
        parts: list[nn.Module] = []
        for stage, depth in enumerate(depths):
            if stage:
                parts.append(PatchMerging(d_model * 2 ** (stage - 1)))
            width, heads = d_model * 2**stage, n_heads * 2**stage
            shifts = [shift if block % 2 else 0 for block in range(depth)]
            parts += [SwinBlock(width, heads, window, moved) for moved in shifts]
        self.parts = nn.Sequential(*parts)
        self.norm = nn.LayerNorm(d_model * 2 ** (len(depths) - 1))

    def forward(
        self, x: Float[Tensor, "batch height width d_model"]
    ) -> Float[Tensor, "batch smaller_height smaller_width wider"]:
        return self.norm(self.parts(x))
