"""Random cabinets of voxels, an instruction that names a drawer, and the voxel to take hold of.

The small sibling of "open the middle drawer" (shridhar2022peract): a cabinet of three drawers of
unequal heights stands somewhere in a cube of voxels and faces one of four ways. Each drawer has a
handle, one voxel in front of it and three long; to open the drawer is to name the middle voxel of
its handle. Knobs in the handles' color on the other sides and things on top mislead whoever goes by
color alone, and which drawer is the middle one depends on where the other two are.
Chapter: acting.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.source import GENERATED, Source
from frugal.data.vocabulary import WordVocabulary

SOURCE = Source(
    name="cabinets",
    loader="frugal.data.cabinets.draw",
    content="voxel grids with a cabinet of three drawers, and which drawer to open",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)

DRAWERS = ("top", "middle", "bottom")
"""The drawers, in the order of their numbers."""

INSTRUCTIONS = tuple(f"open the {drawer} drawer" for drawer in DRAWERS)
"""What is said for each of `DRAWERS`."""

VOCABULARY = WordVocabulary(INSTRUCTIONS)

CHANNELS = 4
"""Red, green, blue, and 1 where a voxel is occupied; all 0 where it is empty."""

SMALLEST_SIDE = 12
"""Voxels a side that the largest cabinet and its handles need."""

TALLEST, WIDEST, DEEPEST = 10, 8, 6
"""The largest cabinet without its handles, in voxels."""


EMPTY, BODY, FRONT, MIDDLE_FRONT, METAL, THING = range(6)
"""What a voxel is made of; only its color is shown to a model."""


class CabinetBatch(NamedTuple):
    """What is seen and said, and where all the handles are.

    voxels: (batch, 4, height, depth, width), see `CHANNELS`; height counts up from the floor.
    instructions: (batch, 4) ids of `VOCABULARY`.
    drawers: (batch,) the number of the drawer that is asked for.
    handles: (batch, 3, 3) the middle voxel of each drawer's handle: drawer, then its place along
    height, depth and width.
    """

    voxels: Float32[Tensor, "batch channels height depth width"]
    instructions: Int64[Tensor, "batch words"]
    drawers: Int64[Tensor, " batch"]
    handles: Int64[Tensor, "batch drawers axes"]

    @property
    def targets(self) -> Int64[Tensor, " batch"]:
        """The asked handle as an index into the flattened grid: (batch,)."""
        return self.target_of(self.drawers)

    def target_of(self, drawers: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
        """The handle of any drawer, one a cabinet, as an index into the flattened grid."""
        depth, width = self.voxels.shape[3:]
        rows = torch.arange(len(drawers), device=drawers.device)
        up, back, right = self.handles[rows, drawers].unbind(-1)
        return (up * depth + back) * width + right

    def asking(self, drawers: Int64[Tensor, " batch"]) -> CabinetBatch:
        """The same cabinets with other instructions."""
        said = instruction_ids(device=drawers.device)
        return self._replace(drawers=drawers, instructions=said[drawers])


def instruction_ids(*, device: torch.device | str | None = None) -> Int64[Tensor, "drawers words"]:
    """(3, 4): the ids of each of `INSTRUCTIONS`."""
    ids, _ = VOCABULARY.encode(INSTRUCTIONS, device=device)
    return ids


def draw(
    batch_size: int,
    *,
    side: int = 16,
    seed: Seed = 0,
    device: torch.device | str | None = None,
) -> CabinetBatch:
    """`batch_size` random cabinets in cubes of `side` voxels, each with a random instruction.

    Random are the size of the cabinet, where it stands, which way it faces, its color and the tint
    of its handles, how high each drawer is (2 to 4 voxels), where along its front each handle sits,
    a rail at the back, a knob on either side, and a thing on top.

    Raises ValueError: batch_size is below 1, or side below `SMALLEST_SIDE`.
    """
    at_least(1, batch_size=batch_size)
    at_least(SMALLEST_SIDE, side=side)
    random = _Random(batch_size, generator_of(seed))

    heights = random.whole(2, 3, count=3)  # of the drawers, from the top down
    heights.scatter_add_(1, random.whole(0, 2, count=1), random.whole(0, 1, count=1))
    floors = heights.flip(1).cumsum(1).flip(1) - heights  # where each drawer begins
    tall, wide, deep = heights.sum(1), random.whole(5, WIDEST), random.whole(4, DEEPEST)
    handles = torch.stack(
        [
            floors + random.whole(0, heights - 1, count=3),
            torch.zeros_like(floors),  # before the front
            random.whole(2, (wide - 1)[:, None], count=3),
        ],
        dim=-1,
    )

    # The cabinet has axes of its own: back from its front, where 0 is the voxel before it, and
    # right along its front, where 0 is the voxel beside it. It is painted on them, then colored.
    turns, footprint = random.whole(0, 3), torch.stack([deep + 2, wide + 2], dim=1)
    turned = torch.where(turns[:, None] % 2 == 1, footprint.flip(1), footprint)
    corner = random.whole(0, side - turned, count=2)
    back, right = _own_axes(side, corner, footprint, turns)
    up = torch.arange(side, device=back.device).view(1, -1, 1, 1)
    material = torch.zeros(batch_size, side, side, side, dtype=torch.int64, device=back.device)

    def paint(what: int, *spans: tuple[int | Tensor, int | Tensor]) -> None:
        inside = [
            (axis >= _column(first)) & (axis <= _column(last))
            for axis, (first, last) in zip((up, back, right), spans, strict=True)
        ]
        material.masked_fill_(inside[0] & inside[1] & inside[2], what)

    paint(BODY, (0, tall - 1), (1, deep), (1, wide))
    for drawer, what in enumerate((FRONT, MIDDLE_FRONT, FRONT)):
        end = floors[:, drawer] + heights[:, drawer] - 1
        paint(what, (floors[:, drawer], end), (1, 1), (1, wide))
    for height, _, middle in (handle.unbind(1) for handle in handles.unbind(1)):
        paint(METAL, (height, height), (0, 0), (middle - 1, middle + 1))
    height, first = random.whole(0, tall - 1), random.whole(1, wide - 2)
    paint(METAL, (height, height), (deep + 1, deep + 1), (first, first + 2))
    for beside in (0, wide + 1):
        height, place = random.whole(0, tall - 1), random.whole(1, deep)
        paint(METAL, (height, height), (place, place), (beside, beside))
    size, place, first = random.whole(0, 1), random.whole(1, deep - 1), random.whole(1, wide - 1)
    paint(THING, (tall, tall + size), (place, place + size), (first, first + size))

    voxels = _palette(random).gather(1, material.flatten(1)[..., None].expand(-1, -1, CHANNELS))
    voxels = voxels.mT.unflatten(2, (side, side, side)).contiguous()
    handles[..., 1:] = _turned(handles[..., 1:], footprint, turns) + corner[:, None]
    drawers = random.whole(0, 2)
    said = instruction_ids(device=drawers.device)[drawers]
    return CabinetBatch(*(part.to(device) for part in (voxels, said, drawers, handles)))


class _Random:
    """Random numbers for each of a batch of cabinets."""

    def __init__(self, batch_size: int, generator: torch.Generator) -> None:
        self.batch_size, self.generator = batch_size, generator

    def share(self, count: int) -> Tensor:
        """(batch, count) in [0, 1)."""
        shape = self.batch_size, count
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def whole(self, first: int, last: int | Tensor, *, count: int | None = None) -> Tensor:
        """(batch,) or (batch, count) whole numbers, `first` and `last` included."""
        share = self.share(1 if count is None else count)
        share = share[:, 0] if count is None else share
        return first + (share * (last - first + 1)).long()


def _palette(random: _Random) -> Tensor:
    """(batch, materials, channels): dark body, lighter fronts, bright metal, a thing of any color.

    The middle front is a little darker than its neighbours, so that one sees where drawers end.
    """
    body, metal, thing = 0.4 * random.share(3), 0.9 + 0.1 * random.share(3), random.share(3)
    front = body + 0.4
    colors = [torch.zeros_like(body), body, front, 0.8 * front, metal, thing]
    colors = torch.stack(colors, dim=1)
    occupied = torch.ones_like(colors[..., :1])
    occupied[:, EMPTY] = 0
    return torch.cat([colors, occupied], dim=-1)


def _column(bound: int | Tensor) -> int | Tensor:
    """A bound for each cabinet, to compare with (batch, height, depth, width)."""
    return bound.view(-1, 1, 1, 1) if isinstance(bound, Tensor) else bound


def _own_axes(side: int, corner: Tensor, footprint: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
    """Where each voxel of the floor lies on its cabinet's own axes: two of (batch, 1, side, side).

    The inverse of `_turned` with the corner added.
    """
    place = torch.arange(side, device=corner.device)
    depth = (place - corner[:, :1])[:, :, None].expand(-1, -1, side)
    width = (place - corner[:, 1:])[:, None, :].expand(-1, side, -1)
    last_back, last_right = (footprint - 1).view(-1, 2, 1, 1).unbind(1)
    back = torch.stack([depth, width, last_back - depth, last_back - width], dim=1)
    right = torch.stack([width, last_right - depth, last_right - width, depth], dim=1)
    chosen = turns.view(-1, 1, 1, 1).expand(-1, 1, side, side)
    return back.gather(1, chosen), right.gather(1, chosen)


def _turned(places: Tensor, footprint: Tensor, turns: Tensor) -> Tensor:
    """Own places (batch, n, 2), back and right, after that many quarter turns: depth and width."""
    back, right = places.unbind(-1)
    last_back, last_right = (footprint - 1)[:, None].unbind(-1)
    depth = torch.stack([back, last_right - right, last_back - back, right], dim=-1)
    width = torch.stack([right, back, last_right - right, last_back - back], dim=-1)
    chosen = turns.view(-1, 1, 1).expand(-1, places.shape[1], 1)
    return torch.cat([depth.gather(2, chosen), width.gather(2, chosen)], dim=-1)
