"""Small matrices as pictures: a square per number, dark for 1, light for 0.

cells(window)                                # one mask, queries down, keys across
cells({"strided": strided, "fixed": fixed})  # side by side
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from frugal.show.site import figure_style, shared_style

if TYPE_CHECKING:
    from torch import Tensor

MOST = 32  # rows or columns that can be told apart on a phone
_ROUNDING = 1e-4  # of shares in float32 that sum to 1
_SIDE, _WIDE = 18, 36  # pixels of a square, without and with its number


class Cells:
    """Matrices side by side; `cells` makes them."""

    def __init__(self, matrices: Mapping[str, Any], *, rows: str, columns: str) -> None:
        import torch

        if not matrices:
            raise ValueError("matrices is empty; it must have one or more.")
        self.rows, self.columns = rows, columns
        self.matrices: dict[str, Tensor] = {}
        for title, matrix in matrices.items():
            values = torch.as_tensor(matrix).detach().cpu()
            name = f"{title!r}" if title else "the matrix"
            if values.dim() != 2 or 0 in values.shape or max(values.shape) > MOST:
                shape = tuple(values.shape)
                raise ValueError(
                    f"{name} has shape {shape}; cells shows (1 to {MOST}, 1 to {MOST})."
                )
            values = values.double()
            if not ((values > -_ROUNDING) & (values < 1 + _ROUNDING)).all():
                raise ValueError(f"{name} has a number beyond 0 to 1; it must have none.")
            self.matrices[title] = values.clamp(0, 1)

    def __repr__(self) -> str:
        return " ".join(map(self._words, self.matrices))

    def _words(self, title: str) -> str:
        """What a reader who does not see it is told: the ones of each row, or all numbers."""
        values = self.matrices[title]
        size = f"{len(values)} {self.rows} by {values.shape[1]} {self.columns}"
        told = []
        for number, row in enumerate(values.tolist()):
            if set(row) <= {0.0, 1.0}:
                told.append(f"{number}: {_runs([at for at, value in enumerate(row) if value])}")
            else:
                told.append(f"{number}: {' '.join(f'{value:.2f}' for value in row)}")
        return f"{title + ': ' if title else ''}{size}. {'; '.join(told)}."

    def _svg(self, title: str) -> str:
        values = self.matrices[title]
        binary = bool(((values == 0) | (values == 1)).all())
        side = _SIDE if binary else _WIDE
        parts = []
        for y, row in enumerate(values.tolist()):
            for x, value in enumerate(row):
                step = round(8 * value)
                at = f'x="{x * side + 1}" y="{y * side + 1}"'
                fill = f"var(--frugal-heat-{7 if binary and value else step})"
                size = f'width="{side - 2}" height="{side - 2}" rx="2"'
                parts.append(f'<rect {at} {size} style="fill:{fill}"/>')
                if not binary:
                    ink = "paper" if step > 4 else "ink"
                    place = f'x="{(x + 0.5) * side:g}" y="{(y + 0.5) * side + 4:g}"'
                    told = f"{value:.2f}".removeprefix("0") if value < 1 else "1"
                    parts.append(f'<text {place} style="fill:var(--frugal-{ink})">{told}</text>')
        height, width = (side * length for length in values.shape)
        return (
            f'<svg class="frugal-cells-grid" role="img" aria-label="{escape(self._words(title))}" '
            f'viewBox="0 0 {width} {height}" width="{width}">{"".join(parts)}</svg>'
        )

    def to_html(self) -> str:
        """The matrices with the style sheet that their colors come from."""
        axes = f"{escape(self.rows)} ↓ {escape(self.columns)} →"
        shown = "".join(
            f'<div><p class="frugal-cells-title">{f"<b>{escape(title)}</b> " if title else ""}'
            f"<small>{axes}</small></p>{self._svg(title)}</div>"
            for title in self.matrices
        )
        style = shared_style("figure", figure_style())
        return f'{style}\n<div class="frugal-cells">{shown}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": self.to_html(), "text/plain": repr(self)}


def _runs(places: list[int]) -> str:
    """[0, 1, 2, 5] as "0 to 2, 5"."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    told = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(told) or "none"


def cells(
    matrices: Tensor | Mapping[str, Tensor], *, rows: str = "queries", columns: str = "keys"
) -> Cells:
    """Show matrices of numbers from 0 to 1, such as masks, as squares.

    matrices: one of shape (rows, columns), or `{title: matrix}` to stand side by side. Booleans and
    zeros and ones are squares alone; other numbers stand in their squares. rows, columns: what they
    are, for the axes and for readers who do not see the squares.

    Raises ValueError: no matrix, one that is not two-dimensional or has more than 32 rows or
    columns, or a number beyond 0 to 1.
    """
    named = matrices if isinstance(matrices, Mapping) else {"": matrices}
    return Cells(named, rows=rows, columns=columns)
