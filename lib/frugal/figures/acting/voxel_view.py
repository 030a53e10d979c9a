"""Cubes of a grid as seen from afar: the picture of `voxel_view.js`, for where nothing can move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_NORMALS = {
    "up": (1, 0, 0),
    "front": (0, -1, 0),
    "back": (0, 1, 0),
    "left": (0, 0, -1),
    "right": (0, 0, 1),
}
LIGHT = {"up": 1.0, "front": 0.86, "back": 0.86, "left": 0.72, "right": 0.72}
"""How bright each face is."""


class Face(NamedTuple):
    """One face to paint: its voxel in the flattened grid, its name, its corners (4, 2)."""

    index: int
    name: str
    points: NDArray


def project(
    places: NDArray | Sequence, side: int, *, turn: float | int, tilt: float | int
) -> NDArray:
    """(..., 3) places up, back and right to (..., 3): across, down, away; turn and tilt in degrees.

    At turn 0 one looks along `back`; the middle of the grid is at 0.
    """
    up, back, right = np.moveaxis(np.asarray(places, dtype=float) - side / 2, -1, 0)
    a, t = np.radians([turn, tilt])
    across = right * np.cos(a) + back * np.sin(a)
    away = back * np.cos(a) - right * np.sin(a)
    down = -(up * np.cos(t) + away * np.sin(t))
    return np.stack([across, down, away * np.cos(t) - up * np.sin(t)], axis=-1)


def faces(occupied: NDArray, *, turn: float | int, tilt: float | int) -> list[Face]:
    """What is seen of a (side, side, side) boolean grid, the farthest face first."""
    side = len(occupied)
    view = {"turn": turn, "tilt": tilt}
    origin = project([0, 0, 0], side, **view)
    away = [float((project(axis, side, **view) - origin)[2]) for axis in np.eye(3)]
    seen = [(name, normal) for name, normal in _NORMALS.items() if np.dot(normal, away) < -1e-9]
    places = np.argwhere(occupied)
    # far to near along every axis, which never puts a near cube before a far one that it hides
    keys = [np.where(step > 0, -place, place) for place, step in zip(places.T, away, strict=True)]
    bordered = np.pad(occupied, 1)
    found = []
    for place in places[np.lexsort(keys[::-1])]:
        for name, normal in seen:
            if bordered[tuple(place + normal + 1)]:
                continue
            index = int(np.ravel_multi_index(place, occupied.shape))
            points = project(_corners(place, normal), side, **view)[:, :2]
            found.append(Face(index, name, points))
    return found


def _corners(place: NDArray, normal: tuple[int, ...]) -> NDArray:
    axis = int(np.flatnonzero(normal)[0])
    first, second = (other for other in range(3) if other != axis)
    corners = np.repeat(place[None].astype(float), 4, axis=0)
    corners[:, axis] += normal[axis] > 0
    corners[:, first] += [0, 1, 1, 0]
    corners[:, second] += [0, 0, 1, 1]
    return corners
