"""`VoxelCabinet`: cabinets that turn, what a model would grasp, and where its latents look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from frugal.checks import one_of, whole_within
from frugal.data.cabinets import DRAWERS, INSTRUCTIONS, CabinetBatch, instruction_ids
from frugal.figures.acting.voxel_view import LIGHT, faces, project
from frugal.show.interactive import Interactive
from frugal.show.theme import light_color
from frugal.tasks.drawer import VoxelActor, latent_gaze

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class VoxelCabinet(Interactive):
    """Choose a cabinet and an instruction; see the voxel that the model names, from any side.

    model: a `VoxelActor`, trained; it is asked here, once, for every cabinet and instruction.
    batch: the cabinets to choose from, on the model's device; what they ask for is ignored.
    cabinet, drawer: shown at first, from 0. color: "cabinet" or "latent", for its own colors or
    the attention of a latent. latent: which one, from 0. turn, tilt: of the view, in degrees, in
    steps of 5; turn 0 ... 355, tilt 0 ... 85. With turn None one sees the drawers.
    """

    module = "voxel_cabinet.js"
    style = "voxel_cabinet.css"

    def __init__(
        self,
        model: VoxelActor,
        batch: CabinetBatch,
        *,
        cabinet: int = 0,
        drawer: int = 1,
        color: str = "cabinet",
        latent: int = 0,
        turn: int | None = None,
        tilt: int = 25,
    ) -> None:
        whole_within(0, len(batch.voxels) - 1, cabinet=cabinet)
        whole_within(0, len(DRAWERS) - 1, drawer=drawer)
        whole_within(0, len(model.perceiver.latents) - 1, latent=latent)
        one_of(("cabinet", "latent"), color=color)
        cabinets = [
            _cabinet(voxels, handles)
            for voxels, handles in zip(batch.voxels, batch.handles, strict=True)
        ]
        turn = cabinets[cabinet]["front"] if turn is None else turn
        whole_within(0, 355, turn=turn)
        whole_within(0, 85, tilt=tilt)
        for name, degrees in (("turn", turn), ("tilt", tilt)):
            if degrees % 5:
                raise ValueError(f"{name} is {degrees}; it must be a multiple of 5.")
        answers = _answers(model, batch.voxels)
        right = sum(
            one["place"] == handle
            for asked, shown in zip(answers, cabinets, strict=True)
            for one, handle in zip(asked, shown["handles"], strict=True)
        )
        super().__init__(
            alt=f"{len(cabinets)} cabinets of voxels with three drawers each, drawn from a side "
            "that can be turned, one at a time. For the chosen instruction a gripper stands at "
            f"the voxel that a trained model names; {right} of {3 * len(cabinets)} are the "
            "handle that was asked for. The voxels can be colored by the attention of each of its "
            f"{len(model.perceiver.latents)} latents.",
            side=model.size[0],
            patch=model.patch,
            cabinets=cabinets,
            answers=answers,
            drawers=list(DRAWERS),
            instructions=list(INSTRUCTIONS),
            cabinet=cabinet,
            drawer=drawer,
            color=color,
            latent=latent,
            turn=turn,
            tilt=tilt,
        )

    def picture(self) -> Figure:
        """The chosen cabinet from its chosen side, with the voxel named for each instruction."""
        import numpy as np
        from matplotlib import pyplot as plt
        from matplotlib.collections import PolyCollection

        side, shown = self.state["side"], self.state["cabinets"][self.state["cabinet"]]
        colors = {
            index: np.array([int(part) for part in shown["colors"][number][4:-1].split()]) / 255
            for index, number in shown["voxels"]
        }
        occupied = np.zeros(side**3, dtype=bool)
        occupied[list(colors)] = True
        view = {"turn": self.state["turn"], "tilt": self.state["tilt"]}
        painted = faces(occupied.reshape(side, side, side), **view)
        figure, axes = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
        axes.add_collection(
            PolyCollection(
                [face.points for face in painted],
                facecolors=[LIGHT[face.name] * colors[face.index] for face in painted],
                edgecolors=light_color("ink"),
                linewidths=0.3,
            )
        )
        floor = [(0, 0, 0), (0, side, 0), (0, side, side), (0, 0, side), (0, 0, 0)]
        axes.plot(
            *project(floor, side, **view)[:, :2].T,
            color=light_color("edge"),
            linewidth=0.8,
            zorder=0,
        )
        asked = self.state["answers"][self.state["cabinet"]]
        for answer, instruction, mark in zip(asked, INSTRUCTIONS, "^os", strict=True):
            across, down, _ = project(np.array(answer["place"]) + 0.5, side, **view)
            style = {
                "s": 160,
                "facecolors": "none",
                "edgecolors": light_color("bad"),
                "linewidths": 2,
            }
            axes.scatter(across, down, marker=mark, label=f"“{instruction}”", zorder=3, **style)
        axes.set_aspect("equal")
        axes.autoscale_view()
        axes.invert_yaxis()
        axes.axis("off")
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8)
        return figure


def _cabinet(voxels: torch.Tensor, handles: torch.Tensor) -> dict[str, Any]:
    """Occupied voxels of a grid, each with the number of its color, and the handles' places."""
    bytes_of = (255 * voxels[:3]).round().int().flatten(1).T  # (voxels, 3)
    occupied = (voxels[3].flatten() == 1).nonzero().flatten()
    colors, numbers = bytes_of[occupied].unique(dim=0, return_inverse=True)
    return {
        "voxels": torch.stack([occupied, numbers], dim=1).tolist(),
        "colors": [f"rgb({' '.join(map(str, color))})" for color in colors.tolist()],
        "handles": handles.tolist(),
        "front": _front(voxels[3] == 1, handles[0].tolist()),
    }


def _front(occupied: torch.Tensor, handle: list[int]) -> int:
    """The turn from which one sees a cabinet's drawers, and a little of its side, in degrees."""
    up, back, right = handle
    side = len(occupied)

    def filled(b: int, r: int) -> bool:
        return 0 <= b < side and 0 <= r < side and bool(occupied[up, b, r])

    # the cabinet is behind the handle and nothing before it; beside it is the rest of the handle
    for (b, r), turn in {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}.items():
        if filled(back + b, right + r) and not filled(back - b, right - r):
            return (turn + 30) % 360
    raise ValueError(f"handle is {handle}; it must have a cabinet on one side.")


@torch.no_grad()
def _answers(model: VoxelActor, voxels: torch.Tensor) -> list[list[dict[str, Any]]]:
    """By cabinet and drawer: the named voxel, its share, and the attention of the latents.

    Attention is in thousandths, by latent: one number for each patch, then one for each word.
    """
    by_drawer = []
    for ids in instruction_ids(device=voxels.device):
        said = ids.expand(len(voxels), -1)
        shares = model(voxels, said).softmax(-1)
        best = shares.max(-1)
        places = torch.stack(torch.unravel_index(best.indices, model.size), dim=-1)
        patches, words = latent_gaze(model, voxels, said)
        gaze = (1000 * torch.cat([patches.flatten(2), words], dim=-1)).round().int()
        by_drawer.append(
            [
                {"place": place, "share": round(share, 3), "gaze": one}
                for place, share, one in zip(
                    places.tolist(), best.values.tolist(), gaze.tolist(), strict=True
                )
            ]
        )
    return [list(asked) for asked in zip(*by_drawer, strict=True)]
