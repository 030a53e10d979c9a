"""Masks as small pictures in text: ■ is True, · is False."""

from torch import Tensor

LARGEST = 24  # rows and columns; of a larger mask the part around the first difference is shown


def beside(want: Tensor, got: Tensor) -> str:
    """Two masks of one shape side by side, `expected` and `got`, with ■ for True and · for False.

    Of more than two axes the first matrix that differs is shown, of a large one the part around
    the first difference.
    """
    place = [int(i) for i in (want != got).nonzero()[0]]
    index, (row, column) = place[:-2], ([0, *place])[-2:]
    want, got = (mask[tuple(index)].reshape(-1, mask.shape[-1]) for mask in (want, got))
    top, left = (_start(at, size) for at, size in zip((row, column), want.shape, strict=True))
    rows, columns = slice(top, top + LARGEST), slice(left, left + LARGEST)
    shown = [_lines(mask[rows, columns]) for mask in (want, got)]
    width = max(len("expected"), len(shown[0][0])) + 4
    lines = [f"{left:{width}}{right}" for left, right in zip(*shown, strict=True)]
    return "\n".join([f"{'expected':{width}}got", *lines, *_where(index, rows, columns, want)])


def _start(at: int, size: int) -> int:
    return 0 if size <= LARGEST else min(max(at - LARGEST // 2, 0), size - LARGEST)


def _lines(mask: Tensor) -> list[str]:
    return [" ".join("■" if value else "·" for value in row) for row in mask.tolist()]


def _where(index: list[int], rows: slice, columns: slice, mask: Tensor) -> list[str]:
    """The place of what is shown, where it is not the whole mask."""
    if not index and max(mask.shape) <= LARGEST:
        return []
    ends = (min(part.stop, size) for part, size in zip((rows, columns), mask.shape, strict=True))
    parts = [f"{part.start}:{end}" for part, end in zip((rows, columns), ends, strict=True)]
    return [f"(shown: [{', '.join([*map(str, index), *parts])}])"]
