"""`SwinShift`: a picture in patches whose windows are cut, shifted, masked, put back and merged."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from frugal.attention.swin import shifted_window_mask
from frugal.checks import one_of
from frugal.show.interactive import Interactive
from frugal.show.theme import accents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Step = Literal["cut", "shift", "mask", "back", "merge"]


class SwinShift(Interactive):
    """The stages of a layer of shifted windows; choose a patch to see which patches it reads.

    picture: (height, width) or (height, width, 3), numbers in 0 ... 1. patches: rows and columns
    of patches, which must divide the picture's sides. window: side of a window in patches, a
    divisor of both; shift: how far it moves, below window. step, query: what is shown at first.
    """

    module = "swin_shift.js"
    style = "swin_shift.css"

    def __init__(
        self,
        picture: np.ndarray,
        *,
        patches: tuple[int, int] = (8, 8),
        window: int = 4,
        shift: int = 2,
        step: Step = "cut",
        query: tuple[int, int] = (1, 1),
    ) -> None:
        self.pixels = np.asarray(picture, dtype=float)
        if self.pixels.ndim not in (2, 3) or not ((self.pixels >= 0) & (self.pixels <= 1)).all():
            raise ValueError(
                f"picture has shape {self.pixels.shape} and values {self.pixels.min():.3g} ... "
                f"{self.pixels.max():.3g}; it must have (height, width[, 3]) and 0 ... 1."
            )
        if min(patches) < 2 or any(s % p for s, p in zip(self.pixels.shape, patches, strict=False)):
            raise ValueError(
                f"patches is {patches}; it must be two or more that divide {self.pixels.shape[:2]}."
            )
        if any(p % window for p in patches) or not 0 <= shift < window:
            raise ValueError(
                f"window is {window} and shift {shift}; a window must divide {patches} "
                "and the shift must be smaller."
            )
        one_of(get_args(Step), step=step)
        if not all(0 <= q < p for q, p in zip(query, patches, strict=True)):
            raise ValueError(f"query is {query}; it must be a row and a column of {patches}.")
        super().__init__(
            alt=f"A picture in {patches[0]} by {patches[1]} patches and windows of {window} by "
            f"{window}. Five stages: the windows are cut, the picture is rolled by {shift}, "
            "patches from the opposite edge are masked, the picture is rolled back, and 2 by 2 "
            "patches are merged. A chosen patch shows which patches it attends to at each stage.",
            picture=f"data:image/png;base64,{b64encode(_png(self.pixels)).decode()}",
            grid={
                "rows": patches[0],
                "columns": patches[1],
                "window": window,
                "shift": shift,
            },
            step=step,
            query=list(query),
        )

    def picture(self) -> Figure:
        """The windows before and after the shift, each drawn in the place it has in the picture."""
        from matplotlib import pyplot as plt

        _, orange, *_ = accents()
        rows, columns, window, shift = self.state["grid"].values()
        tall, wide = (s // p for s, p in zip(self.pixels.shape, (rows, columns), strict=False))
        figure, all_axes = plt.subplots(1, 2, figsize=(6.4, 3.4))
        for axes, moved in zip(all_axes, (0, shift), strict=True):
            axes.imshow(self.pixels, cmap="gray", vmin=0, vmax=1)
            for at in range(moved, rows + 1, window):
                axes.axhline(at * tall - 0.5, color=orange, linewidth=2)
            for at in range(moved, columns + 1, window):
                axes.axvline(at * wide - 0.5, color=orange, linewidth=2)
            row, column = self.state["query"]
            mask = shifted_window_mask(rows, columns, window=window, shift=(moved, moved))
            seen = (
                window**2
                if mask is None
                else _seen(mask, row, column, rows, columns, window, moved)
            )
            axes.set(xticks=[], yticks=[])
            axes.set_title(
                f"{'shifted' if moved else 'plain'} windows: patch ({row + 1}, {column + 1}) "
                f"reads {seen}",
                fontsize=8,
            )
        return figure


def _seen(mask, row: int, column: int, rows: int, columns: int, window: int, shift: int) -> int:
    """How many patches the one at (row, column) sees, by the library's mask."""
    row, column = (row - shift) % rows, (column - shift) % columns
    cell = row // window * (columns // window) + column // window
    return int(mask[cell, row % window * window + column % window].sum())


def _png(pixels: np.ndarray) -> bytes:
    from matplotlib import image

    buffer = io.BytesIO()
    image.imsave(buffer, pixels, cmap="gray", vmin=0, vmax=1, format="png")
    return buffer.getvalue()
