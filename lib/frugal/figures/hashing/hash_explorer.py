"""`HashExplorer`: vectors on a circle to drag; their buckets, sorted rounds, and what is found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from frugal.attention.lsh.hash import hash_buckets, random_rotations
from frugal.checks import one_of, whole_within
from frugal.show.interactive import Interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BUCKETS, MOST_ROUNDS, DRAWS = 8, 8, 6


class HashExplorer(Interactive):
    """Angular hashing in the plane, where everything can be seen.

    angles: of the vectors, whole degrees; by default 15 of them in four groups. n_buckets: 2, 4,
    6 or 8. rounds: 1 … 8. bucket_size: vectors in a chunk, a divisor of their number. neighbours:
    how many nearest others count as true neighbours. query: the vector looked at first; by default
    one that the first round cuts off from its group, and the second brings back. seed: of the
    random directions; a button goes through six draws.
    """

    module = "hash_explorer.js"
    style = "hash_explorer.css"

    def __init__(
        self,
        angles: Sequence[int] | None = None,
        *,
        n_buckets: int = 4,
        rounds: int = 2,
        bucket_size: int = 3,
        neighbours: int = 3,
        query: int = 0,
        seed: int = 44,
    ) -> None:
        angles = _groups() if angles is None else [int(angle) % 360 for angle in angles]
        one_of((2, 4, 6, 8), n_buckets=n_buckets)
        whole_within(1, MOST_ROUNDS, rounds=rounds)
        if bucket_size < 1 or len(angles) % bucket_size:
            raise ValueError(
                f"bucket_size is {bucket_size}; it must divide the {len(angles)} vectors."
            )
        whole_within(1, len(angles) - 1, neighbours=neighbours)
        whole_within(0, len(angles) - 1, query=query)
        generator = torch.Generator().manual_seed(seed)
        drawn = random_rotations(
            MOST_BUCKETS, n_hashes=DRAWS * MOST_ROUNDS, n_heads=1, head_dim=2, generator=generator
        )[0]
        # by draw, round and direction the two numbers of a column of R
        draws = drawn[:, 0].mT.unflatten(0, (DRAWS, MOST_ROUNDS))
        super().__init__(
            alt=(
                f"{len(angles)} vectors on a circle whose ring is divided into {n_buckets} "
                f"buckets, and below them {rounds} rows: the vectors sorted by bucket in each "
                "round, cut into chunks. Dragging a vector, more rounds and other directions "
                "change which of its nearest others a vector sees."
            ),
            angles=angles,
            n_buckets=n_buckets,
            rounds=rounds,
            round=1,
            bucket_size=bucket_size,
            neighbours=neighbours,
            query=query,
            draw=0,
            draws=[
                [[[round(x, 4) for x in pair] for pair in columns] for columns in turns]
                for turns in draws.tolist()
            ],
        )

    def buckets(self) -> torch.Tensor:
        """(rounds, vectors): the library's buckets of what is shown."""
        shown = self.state
        radians = torch.tensor(shown["angles"], dtype=torch.float64) * math.pi / 180
        vectors = torch.stack([radians.cos(), radians.sin()], -1)
        columns = torch.tensor(shown["draws"][shown["draw"]], dtype=torch.float64)
        columns = columns[: shown["rounds"], : shown["n_buckets"] // 2]
        return hash_buckets(vectors[None, None], [columns.mT[:, None]])[0, 0]

    def picture(self) -> Figure:
        """The circle with the buckets of the first round, and the sorted rows."""
        from matplotlib import pyplot as plt

        shown, buckets = self.state, self.buckets()
        figure, (circle, rows) = plt.subplots(1, 2, figsize=(8, 3.2), width_ratios=(1, 2))
        colors: list[Any] = [plt.get_cmap("tab10")(index) for index in range(8)]
        for token, angle in enumerate(shown["angles"]):
            x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            circle.scatter(x, y, s=130, color=colors[buckets[0, token]])
            circle.text(x, y, str(token), ha="center", va="center", fontsize=6, color="white")
        circle.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
        circle.set_axis_off()
        circle.set_title("buckets of round 1", fontsize=8)
        for turn, of in enumerate(buckets):
            for place, token in enumerate(of.argsort(stable=True).tolist()):
                x = place + place // shown["bucket_size"] * 0.4
                rows.text(x, -turn, str(token), ha="center", fontsize=7, color=colors[of[token]])
        rows.set(xlim=(-1, 1.4 * len(shown["angles"])), ylim=(-len(buckets), 1))
        rows.set_axis_off()
        rows.set_title("sorted by bucket, cut into chunks: a row a round", fontsize=8)
        return figure


def _groups() -> list[int]:
    """15 angles in four groups, in mixed order; no two are so near that their discs overlap."""
    centers = (35, 127, 219, 311)
    offsets = (-20, -7, 7, 20)
    return [center + offset for offset in offsets for center in centers][:15]
