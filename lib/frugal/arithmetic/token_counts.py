"""How many tokens a picture, a sound or a voxel grid makes, by arithmetic.

The token calculator computes the same formulas in the browser; a test compares the two.
Sources: dosovitskiy2021vit (pictures), hsu2021hubert (sound), shridhar2022peract (voxels).
Chapter: pictures-and-sound.
"""

from __future__ import annotations


def picture_tokens(height: int, width: int, *, patch: int) -> int:
    """Patches of a picture: (height / patch)·(width / patch).

    Raises ValueError when a side is below 1 or not a multiple of `patch`.
    """
    _check_sides({"height": height, "width": width}, patch)
    return (height // patch) * (width // patch)


def voxel_tokens(side: int, *, patch: int) -> int:
    """Patches of a cube of voxels: (side / patch)³.

    Raises ValueError when the side is below 1 or not a multiple of `patch`.
    """
    _check_sides({"side": side}, patch)
    return (side // patch) ** 3


def sound_frames(samples: int, *, window: int, hop: int) -> int:
    """Frames of a sound: 1 + ⌊(samples - window) / hop⌋, and none when it is shorter than a window.

    Raises ValueError for a negative number of samples, or a window or hop below 1.
    """
    if samples < 0 or window < 1 or hop < 1:
        raise ValueError(
            f"samples is {samples}, window {window} and hop {hop}; "
            "they must be at least 0, 1 and 1."
        )
    return 0 if samples < window else 1 + (samples - window) // hop


def _check_sides(sides: dict[str, int], patch: int) -> None:
    if patch < 1:
        raise ValueError(f"patch is {patch}; it must be at least 1.")
    for name, side in sides.items():
        if side < 1 or side % patch:
            raise ValueError(f"{name} is {side}; it must be a positive multiple of patch={patch}.")
