"""The cabinet of voxels in a browser: what is seen, against rays, and what the model says."""

import random

import numpy as np
import pytest
import torch

from frugal.data import cabinets
from frugal.figures.acting.voxel_cabinet import VoxelCabinet
from frugal.figures.acting.voxel_view import faces, project
from frugal.tasks.drawer import VoxelActor, latent_gaze

BATCH = cabinets.draw(3, side=12, seed=0)


def actor():
    torch.manual_seed(0)
    return VoxelActor(side=12, d_model=16, n_latents=3, n_layers=1, n_heads=2)


class Pointer(VoxelActor):
    """Names the asked handle in the first cabinet, its neighbour's in the second, and in the third
    a corner of the grid."""

    def forward(self, voxels, instructions):
        super().forward(voxels, instructions)
        said = (instructions[:, None] == cabinets.instruction_ids()).all(-1).int().argmax(1)
        said[1] = (said[1] + 1) % 3
        places = BATCH.target_of(said)
        places[2] = 0
        return 9.0 * torch.nn.functional.one_hot(places, 12**3)


def pointer():
    torch.manual_seed(0)
    return Pointer(side=12, d_model=16, n_latents=3, n_layers=1, n_heads=2)


def first_hit(occupied, point, turn, tilt):
    """The voxel that a ray through a point of the screen meets first, by small steps along it."""
    side = len(occupied)
    basis = project(np.eye(3), side, turn=turn, tilt=tilt) - project(
        np.zeros(3), side, turn=turn, tilt=tilt
    )  # rows: where a step along each axis of the grid goes on the screen
    for away in np.arange(-side, side, 0.01):
        place = basis @ np.array([*point, away]) + side / 2
        voxel = np.floor(place).astype(int)
        if ((voxel >= 0) & (voxel < side)).all() and occupied[tuple(voxel)]:
            return int(np.ravel_multi_index(voxel, occupied.shape))
    return None


def test_what_is_seen_is_what_rays_meet(formulas):
    page = formulas("voxel_view.js", "voxels")
    rng = random.Random(0)
    grids = [BATCH.voxels[0, 3].numpy() == 1]
    scatter = torch.rand(6, 6, 6, generator=torch.Generator().manual_seed(0)) < 0.25
    grids.append(scatter.numpy())
    checked = 0
    for grid in grids:
        side = len(grid)
        for _ in range(6):
            turn, tilt = 5 * rng.randrange(72), 5 * rng.randrange(18)
            points = [[rng.uniform(-0.6, 0.6) * side for _ in range(2)] for _ in range(25)]
            found = page.evaluate(
                """([occupied, side, view, points]) => {
                  const painted = voxels.faces(occupied, side, view);
                  return points.map((point) => voxels.faceAt(painted, point)?.index ?? null);
                }""",
                [grid.flatten().tolist(), side, {"turn": turn, "tilt": tilt}, points],
            )
            expected = [first_hit(grid, point, turn, tilt) for point in points]
            wrong = [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]]
            # steps of 0.01 may slip past an edge
            assert len(wrong) <= 1, (turn, tilt, wrong)
            checked += sum(index is not None for index in expected)
    assert checked > 60


def test_the_still_picture_paints_as_the_browser_does(formulas):
    page = formulas("voxel_view.js", "voxels")
    grid = BATCH.voxels[1, 3].numpy() == 1
    for turn, tilt in ((0, 0), (30, 25), (135, 60), (200, 85), (305, 5)):
        found = page.evaluate(
            "([occupied, side, view]) => voxels.faces(occupied, side, view)",
            [grid.flatten().tolist(), 12, {"turn": turn, "tilt": tilt}],
        )
        expected = faces(grid, turn=turn, tilt=tilt)
        assert [(one["index"], one["name"]) for one in found] == [one[:2] for one in expected]
        for one, other in zip(found, expected, strict=True):
            assert np.allclose(one["points"], other.points)


def test_the_state_is_what_the_model_says():
    model = actor()
    figure = VoxelCabinet(model, BATCH)
    for drawer, ids in enumerate(cabinets.instruction_ids()):
        said = ids.expand(3, -1)
        with torch.no_grad():
            shares = model(BATCH.voxels, said).softmax(-1)
        patches, words = latent_gaze(model, BATCH.voxels, said)
        for number in range(3):
            answer = figure.state["answers"][number][drawer]
            index = np.ravel_multi_index(answer["place"], (12, 12, 12))
            assert shares[number].argmax() == index
            assert answer["share"] == pytest.approx(shares[number].max().item(), abs=1e-3)
            gaze = torch.cat([patches[number].flatten(1), words[number]], dim=1)
            assert torch.tensor(answer["gaze"]) / 1000 == pytest.approx(gaze.numpy(), abs=6e-4)
    for shown, voxels in zip(figure.state["cabinets"], BATCH.voxels, strict=True):
        again = torch.zeros(3, 12**3)
        for index, number in shown["voxels"]:
            again[:, index] = torch.tensor([int(x) for x in shown["colors"][number][4:-1].split()])
        assert torch.allclose(again / 255, voxels[:3].flatten(1), atol=1 / 255)


def test_the_front_is_where_the_handles_are_seen():
    figure = VoxelCabinet(actor(), BATCH)
    for shown, voxels in zip(figure.state["cabinets"], BATCH.voxels, strict=True):
        occupied = voxels[3].numpy() == 1
        for handle in shown["handles"]:
            centre = project(np.array(handle) + 0.5, 12, turn=shown["front"], tilt=25)[:2]
            index = np.ravel_multi_index(handle, (12, 12, 12))
            seen = first_hit(occupied, centre, shown["front"], 25)
            # a handle right above may hang over it
            assert seen in (index, index + 144)


def canvas(figure):
    return figure.locator("canvas").evaluate("(it) => it.toDataURL()")


def test_each_control_moves_the_picture(show):
    figure = show(VoxelCabinet(pointer(), BATCH))
    seen = [canvas(figure)]
    for act in (
        lambda: figure.get_by_label("Turn", exact=True).press("ArrowRight"),
        lambda: figure.get_by_label("Tilt", exact=True).press("ArrowRight"),
        lambda: figure.get_by_label("top drawer").check(),
        lambda: figure.get_by_label("Cabinet", exact=True).select_option(label="2"),
        lambda: figure.get_by_label("by a latent").check(),
        lambda: figure.get_by_label("Latent", exact=True).press("ArrowRight"),
        lambda: figure.locator("canvas").press("ArrowLeft"),
        lambda: figure.locator("canvas").press("ArrowUp"),
    ):
        act()
        seen.append(canvas(figure))
    assert len(set(seen)) == len(seen)


def test_the_mouse_turns_it(show):
    figure = show(VoxelCabinet(pointer(), BATCH, turn=90, tilt=25))
    box = figure.locator("canvas").bounding_box()
    mouse = figure.page.mouse
    mouse.move(box["x"] + 200, box["y"] + 100)
    mouse.down()
    mouse.move(box["x"] + 100, box["y"] + 140, steps=4)
    mouse.up()
    turn, tilt = figure.evaluate("(it) => [it.model.get('turn'), it.model.get('tilt')]")
    assert 120 <= turn <= 150
    assert 35 <= tilt <= 50
    mouse.move(box["x"] + 10, box["y"] + 10)
    assert figure.evaluate("(it) => it.model.get('turn')") == turn
    figure.get_by_role("button", name="Show the drawers").click()
    assert figure.evaluate("(it) => it.model.get('turn')") == figure.evaluate(
        "(it) => it.model.get('cabinets')[0].front"
    )


def test_turn_and_tilt_stay_in_their_ranges(show):
    figure = show(VoxelCabinet(pointer(), BATCH, turn=350, tilt=85))
    board = figure.locator("canvas")
    board.press("ArrowLeft")
    board.press("ArrowUp")
    state = "(it) => [it.model.get('turn'), it.model.get('tilt')]"
    assert figure.evaluate(state) == [5, 85]
    board.press("ArrowRight")
    assert figure.evaluate(state) == [350, 85]


def test_the_words_tell_right_from_wrong(show):
    figure = show(VoxelCabinet(pointer(), BATCH))
    said = figure.locator(".frugal-readout")
    for number, drawer in enumerate(cabinets.DRAWERS):
        figure.get_by_label(f"{drawer} drawer").check()
        up, back, right = BATCH.handles[0, number].tolist()
        assert f"“open the {drawer} drawer”" in said.inner_text()
        assert f"at up {up}, back {back}, right {right}," in said.inner_text()
        assert f"handle of the {drawer} drawer: right." in said.inner_text()
    figure.get_by_label("Cabinet", exact=True).select_option(label="2")
    assert "handle of the top drawer: wrong" in said.inner_text()  # bottom was asked for
    figure.get_by_label("Cabinet", exact=True).select_option(label="3")
    assert "not the middle of a handle: wrong" in said.inner_text()


def test_steps_go_from_right_to_wrong_to_a_latent(show):
    """The first cabinet is opened in every way; the second is the first that is not."""
    figure = show(VoxelCabinet(pointer(), BATCH, cabinet=2))
    said = figure.locator(".frugal-readout")
    steps = figure.locator(".frugal-steps button")
    heights = set()
    for number, words in enumerate(("top drawer: right", "bottom drawer: right", "wrong")):
        steps.nth(number).click()
        assert words in said.inner_text()
        heights.add(figure.locator(".voxels-canvas").bounding_box()["height"])
    assert figure.evaluate("(it) => it.model.get('cabinet')") == 1
    assert len(heights) == 1
    steps.nth(3).click()
    assert "Latent 1 gives" in said.inner_text()


@pytest.mark.parametrize("number", range(3))
def test_the_gripper_comes_from_where_nothing_stands(show, number):
    """Two voxels before the handle, on the way of the gripper, is empty space."""
    figure = VoxelCabinet(pointer(), BATCH)
    handle = figure.state["cabinets"][number]["handles"][0]
    outward = [(-1, 0), (0, 1), (1, 0), (0, -1)][
        (figure.state["cabinets"][number]["front"] - 30) % 360 // 90
    ]
    up, back, right = handle
    occupied = BATCH.voxels[number, 3] == 1
    for away in (1, 2):
        place = (up, back + away * outward[0], right + away * outward[1])
        if all(0 <= at < 12 for at in place):
            assert not occupied[place]
    behind = (up, back - outward[0], right - outward[1])
    assert occupied[behind]


def test_it_says_when_the_voxel_is_hidden(show):
    figure = show(VoxelCabinet(pointer(), BATCH))
    said = figure.locator(".frugal-readout")
    hidden = "something stands before it"
    figure.get_by_label("top drawer").check()
    assert hidden not in said.inner_text()
    front = figure.evaluate("(it) => it.model.get('cabinets')[0].front")
    figure.evaluate("(it, turn) => it.model.set('turn', turn)", (front + 150) % 360)
    figure.evaluate("(it) => it.model.set('tilt', 5)")
    assert hidden in said.inner_text()


def test_attention_to_the_words_is_drawn_and_told(show):
    figure = show(VoxelCabinet(pointer(), BATCH, color="latent", latent=1))
    gaze = figure.evaluate("(it) => it.model.get('answers')[0][1].gaze[1]")
    words = figure.locator(".voxels-word")
    assert [one.split("\n")[0] for one in words.all_inner_texts()] == [
        "open",
        "the",
        "middle",
        "drawer",
    ]
    shown = figure.locator(".voxels-bar").evaluate_all(
        "(all) => all.map((it) => +it.style.getPropertyValue('--share'))"
    )
    assert shown == pytest.approx([share / 1000 for share in gaze[-4:]])
    share = 100 * sum(gaze[-4:]) / sum(gaze)
    expected = f"{share:.1f} %" if share < 10 else f"{share:.0f} %"
    assert f"Latent 2 gives {expected} of its attention to the words" in (
        figure.locator(".frugal-readout").inner_text()
    )
    figure.get_by_label("as it is").check()
    assert not words.first.is_visible()
    assert not figure.get_by_label("Latent", exact=True).is_visible()


def test_a_change_of_theme_is_drawn(show):
    figure = show(VoxelCabinet(pointer(), BATCH))
    before = canvas(figure)
    figure.evaluate("() => { document.documentElement.dataset.theme = 'dark'; }")
    figure.page.wait_for_timeout(100)
    assert canvas(figure) != before


def test_the_still_picture_marks_three_answers():
    figure = VoxelCabinet(pointer(), BATCH)
    assert "3 of 9 are the handle that was asked for" in figure.alt
    drawn = figure.picture()
    axes = drawn.axes[0]
    marked = [one.get_offsets()[0] for one in axes.collections[1:]]
    for handle, place in zip(BATCH.handles[0], marked, strict=True):
        expected = project(
            handle.numpy() + 0.5, 12, turn=figure.state["turn"], tilt=figure.state["tilt"]
        )
        assert np.allclose(place, expected[:2])


@pytest.mark.parametrize(("option", "degrees"), [("turn", 7), ("tilt", 12)])
def test_a_view_is_a_multiple_of_5_degrees(option, degrees):
    with pytest.raises(ValueError, match=f"{option} is {degrees}; it must be a multiple of 5"):
        VoxelCabinet(actor(), BATCH, **{option: degrees})
