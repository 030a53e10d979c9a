"""Pictures and voxel grids as sequences of patches, and back without loss.

A patch of side P is one token: its P² pixels (P³ voxels) of every channel in one row, ready for a
linear embedding, which is then the same map as a convolution of kernel P and stride P. A picture
gives height·width / P² tokens, so halving the side of a patch takes four times the tokens and
sixteen times the pairs; for voxels it is eight times and sixty-four times.

Source: dosovitskiy2021vit, section 3.1; shridhar2022peract for voxels. Cost: one copy.
Chapter: pictures-and-sound.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Shaped
from torch import Tensor

from frugal.checks import at_least


def image_patches(
    images: Shaped[Tensor, "batch channels height width"], *, patch: int
) -> Shaped[Tensor, "batch tokens values"]:
    """(batch, channels, height, width) to (batch, height·width / patch², channels·patch²).

    Tokens run row by row; inside a token the order is channel, row, column, as in a convolution's
    weight. Raises ValueError when a side is not a multiple of `patch`.
    """
    _check_grid("images", images, ("height", "width"), patch)
    return _split(images, patch)


def images_from_patches(
    tokens: Shaped[Tensor, "batch tokens values"], *, patch: int, size: tuple[int, int]
) -> Shaped[Tensor, "batch channels height width"]:
    """The inverse of `image_patches` for pictures of `size` = (height, width)."""
    _check_tokens(tokens, patch, size, 2)
    return _join(tokens, patch, size)


def voxel_patches(
    voxels: Shaped[Tensor, "batch channels height depth width"], *, patch: int
) -> Shaped[Tensor, "batch tokens values"]:
    """(batch, channels, height, depth, width) to (batch, tokens, channels·patch³).

    There are height·depth·width / patch³ tokens, along the width first, then the depth, then the
    height; inside a token the order is channel, height, depth, width. Raises ValueError when a
    side is not a multiple of `patch`.
    """
    _check_grid("voxels", voxels, ("height", "depth", "width"), patch)
    return _split(voxels, patch)


def voxels_from_patches(
    tokens: Shaped[Tensor, "batch tokens values"], *, patch: int, size: tuple[int, int, int]
) -> Shaped[Tensor, "batch channels height depth width"]:
    """The inverse of `voxel_patches` for grids of `size` = (height, depth, width)."""
    _check_tokens(tokens, patch, size, 3)
    return _join(tokens, patch, size)


def _split(x: Tensor, patch: int) -> Tensor:
    n_axes = x.ndim - 2
    for axis in range(n_axes):
        x = x.unflatten(2 + 2 * axis, (-1, patch))  # ..., side / patch, patch, ...
    places = range(2, 2 + 2 * n_axes, 2)
    inside = range(3, 3 + 2 * n_axes, 2)
    return x.permute(0, *places, 1, *inside).flatten(1, n_axes).flatten(2)


def _join(tokens: Tensor, patch: int, size: tuple[int, ...]) -> Tensor:
    n_axes = len(size)
    x = tokens.unflatten(2, (-1, *[patch] * n_axes))
    x = x.unflatten(1, tuple(side // patch for side in size))  # batch, places, channel, inside
    channel = 1 + n_axes
    order = [axis for i in range(n_axes) for axis in (1 + i, channel + 1 + i)]
    x = x.permute(0, channel, *order)
    for axis in range(n_axes):
        x = x.flatten(2 + axis, 3 + axis)
    return x


def _check_patch(patch: int) -> None:
    at_least(1, patch=patch)


def _check_grid(name: str, x: Tensor, axes: tuple[str, ...], patch: int) -> None:
    _check_patch(patch)
    if x.ndim != 2 + len(axes):
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; it must be (batch, channels, {', '.join(axes)})."
        )
    sides = tuple(x.shape[2:])
    if any(side % patch or not side for side in sides):
        shown = " x ".join(map(str, sides))
        raise ValueError(f"{name} is {shown}; every side must be a multiple of patch={patch}.")


def _check_tokens(tokens: Tensor, patch: int, size: tuple[int, ...], n_axes: int) -> None:
    _check_patch(patch)
    if not isinstance(size, Sequence) or len(size) != n_axes:
        raise ValueError(f"size is {size!r}; it must have {n_axes} sides.")
    at_least(1, **{f"side {number} of size": side for number, side in enumerate(size)})
    shown = " x ".join(map(str, size))
    if any(side % patch for side in size):
        raise ValueError(f"size is {shown}; every side must be a multiple of patch={patch}.")
    count, volume = 1, patch ** len(size)
    for side in size:
        count *= side // patch
    if tokens.ndim != 3 or tokens.shape[1] != count or tokens.shape[2] % volume:
        raise ValueError(
            f"tokens has shape {tuple(tokens.shape)}; a grid of {shown} in patches of {patch} "
            f"needs (batch, {count}, a multiple of {volume})."
        )
