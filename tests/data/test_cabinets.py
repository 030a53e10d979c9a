"""Cabinets of voxels, chirps, and the small model that is told which drawer to open."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.data import cabinets, tones
from frugal.data.cabinets import CabinetBatch
from frugal.tasks.drawer import VoxelActor, drawer_loss, drawer_score, latent_gaze
from frugal.training import train


@pytest.mark.parametrize("draw", [cabinets.draw, tones.draw])
def test_the_seed_decides_and_nothing_else(draw):
    torch.manual_seed(0)
    first = draw(4, seed=1)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again = draw(4, seed=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    other = draw(4, seed=2)
    assert not first[0].equal(other[0])
    assert {part.device.type for part in draw(4, seed=1, device="meta")} == {"meta"}


def metal(voxels):
    """Where the light color of handles and knobs is: (height, depth, width)."""
    return (voxels[:3] >= 0.9).all(0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([12, 16, 19]))
def test_a_handle_is_three_voxels_before_a_front(seed, side):
    batch = cabinets.draw(3, side=side, seed=seed)
    assert batch.voxels.shape == (3, 4, side, side, side)
    for voxels, handles in zip(batch.voxels, batch.handles, strict=True):
        occupied, bright = voxels[3] == 1, metal(voxels)
        assert (voxels[:3, ~occupied] == 0).all()
        assert (handles[:-1, 0] > handles[1:, 0]).all()  # top, middle, bottom
        outwards = set()
        for up, depth, width in handles.tolist():
            assert occupied[up, depth, width]
            found = []
            for ahead in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                behind = depth - ahead[0], width - ahead[1]
                beside = [(depth + s * ahead[1], width + s * ahead[0]) for s in (-1, 1)]
                inside = all(0 <= place < side for place in behind)
                if inside and occupied[up, *behind] and not bright[up, *behind]:
                    before = depth + ahead[0], width + ahead[1]
                    free = not (0 <= before[0] < side and 0 <= before[1] < side)
                    free = free or not occupied[up, *before]
                    if free and all(bright[up, *place] for place in beside):
                        found.append(ahead)
            assert len(found) == 1
            outwards.add(found[0])
        assert len(outwards) == 1  # all drawers open to the same side


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_cabinet_stands_on_the_floor_and_misleads_with_as_much_metal(seed):
    """Three handles and a rail of three voxels and two knobs make 14; a thing may be light too."""
    for voxels in cabinets.draw(4, seed=seed).voxels:
        occupied = voxels[3] == 1
        columns = occupied.any(0)
        assert occupied[0].sum() >= 5 * 4
        assert columns.sum() <= 10 * 8
        assert 14 <= metal(voxels).sum() <= 14 + 8


def test_every_size_place_side_and_drawer_comes_up():
    batch = cabinets.draw(600, seed=0)
    occupied = batch.voxels[:, 3] == 1
    tall = occupied.any(-1).any(-1).sum(1)
    assert tall.min() >= 7
    assert tall.max() <= cabinets.TALLEST + 2
    assert len(tall.unique()) == 6
    assert batch.drawers.bincount().min() > 150
    apart = (batch.handles[:, 0] - batch.handles[:, 2])[:, 1:]
    along_depth = apart[:, 0].abs() > 0
    along_width = apart[:, 1].abs() > 0
    assert not (along_depth & along_width).any()  # one front has one plane
    assert min(along_depth.sum(), along_width.sum()) > 200
    for axis in (1, 2):
        assert set(batch.handles[..., axis].flatten().tolist()) == set(range(16))


def test_which_drawer_is_the_middle_one_cannot_be_told_by_height():
    heights = cabinets.draw(500, seed=0).handles[..., 0]
    top, middle, bottom = (set(heights[:, drawer].tolist()) for drawer in range(3))
    assert len(top & middle) >= 3
    assert len(middle & bottom) >= 2


def test_targets_and_instructions_belong_to_the_drawer():
    batch = cabinets.draw(50, seed=3)
    said = cabinets.VOCABULARY.decode(batch.instructions)
    assert said == [cabinets.INSTRUCTIONS[d] for d in batch.drawers.tolist()]
    for number, target in enumerate(batch.targets.tolist()):
        place = tuple(batch.handles[number, batch.drawers[number]].tolist())
        assert math.prod(batch.voxels.shape[2:]) > target
        assert torch.unravel_index(torch.tensor(target), batch.voxels.shape[2:]) == place
    other = batch.asking((batch.drawers + 1) % 3)
    assert other.voxels is batch.voxels
    assert (other.targets == batch.target_of((batch.drawers + 1) % 3)).all()
    assert (other.targets != batch.targets).all()
    assert cabinets.VOCABULARY.decode(other.instructions) == [
        cabinets.INSTRUCTIONS[d] for d in other.drawers.tolist()
    ]


def test_the_place_of_a_cabinet_is_even(generator):
    """Turns and corners reach every wall: footprints touch all four of them about as often."""
    floor = cabinets.draw(800, seed=generator).voxels[:, 3].amax(1)
    walls = [floor[:, 0], floor[:, -1], floor[:, :, 0], floor[:, :, -1]]
    touched = [wall.any(1).double().mean().item() for wall in walls]
    assert max(touched) - min(touched) < 0.06
    assert min(touched) > 0.05


@pytest.mark.parametrize(
    ("kind", "path"), [("rising", "lh"), ("falling", "hl"), ("peak", "lhl"), ("dip", "hlh")]
)
def test_the_pitch_by_its_zero_crossings(kind, path):
    low, high = torch.tensor([400.0]), torch.tensor([1200.0])
    number = torch.tensor([tones.KINDS.index(kind)])
    sound = tones.chirp(number, low, high, samples=16_000)[0]
    crossings = (sound[1:] * sound[:-1] < 0).double()
    edges = {"l": 400.0, "h": 1200.0}
    at = [0.05, 0.95] if len(path) == 2 else [0.025, 0.5, 0.975]
    for letter, place in zip(path, at, strict=True):
        middle = int(place * len(crossings))
        around = crossings[max(0, middle - 400) : middle + 400]
        pitch = around.mean().item() * tones.SAMPLE_RATE / 2
        assert pitch == pytest.approx(edges[letter], rel=0.15)


def test_a_drawn_sound_is_noise_and_one_chirp():
    batch = tones.draw(300, samples=3000, chirp_samples=500, noise=0.0, seed=5)
    heard = batch.waveforms.abs() > 0
    assert heard.any(1).all()
    first, last = heard.int().argmax(1), 2999 - heard.flip(1).int().argmax(1)
    assert ((last - first) <= 500).all()
    assert (last - first).min() > 480
    assert first.min() < 100
    assert last.max() > 2900
    assert batch.labels.bincount().min() > 50
    assert batch.waveforms.abs().max() <= 1
    assert batch.waveforms.abs().amax(1).min() > 0.25
    noisy = tones.draw(50, noise=0.2, seed=5).waveforms
    assert noisy[:, :].std() == pytest.approx(0.2, rel=0.4)
    assert noisy.abs().median() == pytest.approx(0.2 * 0.6745, rel=0.25)  # of a normal


def small(**options):
    torch.manual_seed(0)
    return VoxelActor(side=12, d_model=16, n_latents=4, n_layers=1, n_heads=2, **options)


def test_scores_lie_where_their_voxels_are():
    """A patch's scores depend on its own query last: only the asked patch's row is changed."""
    model, batch = small(), cabinets.draw(2, side=12, seed=0)
    scores = model(batch.voxels, batch.instructions)
    assert scores.shape == (2, 12**3)
    with torch.no_grad():
        model.score.weight.zero_()
        model.score.bias.copy_(torch.arange(64.0))
        grid = model(batch.voxels, batch.instructions).view(2, 12, 12, 12)
    index = torch.arange(12) % 4
    inside = (index[:, None, None] * 4 + index[None, :, None]) * 4 + index
    assert grid.equal(inside.float().expand(2, -1, -1, -1))


def test_the_words_and_their_order_change_the_scores():
    model, batch = small(), cabinets.draw(1, side=12, seed=0)
    said = batch.instructions
    first = model(batch.voxels, said)
    other = batch.asking((batch.drawers + 1) % 3).instructions
    assert not first.allclose(model(batch.voxels, other))
    assert not first.allclose(model(batch.voxels, said.flip(1)))


def test_the_gaze_of_the_latents_is_all_of_their_attention():
    model, batch = small(), cabinets.draw(2, side=12, seed=0)
    patches, words = latent_gaze(model, batch.voxels, batch.instructions)
    assert patches.shape == (2, 4, 3, 3, 3)
    assert words.shape == (2, 4, 4)
    total = patches.sum((2, 3, 4)) + words.sum(-1)
    torch.testing.assert_close(total, torch.ones(2, 4))
    # patches that are all alike get all alike
    with torch.no_grad():
        model.embed.weight.zero_(), model.embed.bias.zero_(), model.place.table.zero_()
        model.perceiver.encoder.context_norm.bias.zero_()
        model.perceiver.encoder.attention.to_k.bias.zero_()
    even, _ = latent_gaze(model, batch.voxels, batch.instructions)
    torch.testing.assert_close(even, even[:, :, :1, :1, :1].expand_as(even))


class Oracle(torch.nn.Module):
    """Knows the handles; `listens` says whether to the words or to the drawer first asked for."""

    def __init__(self, batch: CabinetBatch, *, listens: bool, shift: int = 0) -> None:
        super().__init__()
        self.batch, self.listens, self.shift = batch, listens, shift

    def forward(self, voxels, instructions):
        ids = cabinets.instruction_ids()
        said = (instructions[:, None] == ids).all(-1).int().argmax(1)
        drawers = (said + self.shift) % 3 if self.listens else self.batch.drawers
        places = self.batch.target_of(drawers)
        return torch.nn.functional.one_hot(places, voxels[0, 0].numel()).float()


def test_scores_tell_who_listens():
    batch = cabinets.draw(40, seed=0)
    assert drawer_score(Oracle(batch, listens=True), batch) == (1, 1, 0, 1)
    assert drawer_score(Oracle(batch, listens=False), batch) == (1, 1, 1, 0)
    assert drawer_score(Oracle(batch, listens=True, shift=1), batch) == (0, 1, 0, 0)
    assert drawer_score(Oracle(batch, listens=True, shift=2), batch) == (0, 1, 1, 0)


def test_the_loss_is_the_log_of_the_right_voxels_share():
    model, batch = small(), cabinets.draw(3, side=12, seed=0)
    shares = model(batch.voxels, batch.instructions).softmax(-1)
    expected = -shares[torch.arange(3), batch.targets].log().mean()
    torch.testing.assert_close(drawer_loss(model, batch), expected)


def test_a_small_model_learns_one_cabinet():
    model, batch = small(), cabinets.draw(1, side=12, seed=0)
    batch = CabinetBatch(*(part.expand(3, *part.shape[1:]) for part in batch))
    batch = batch.asking(torch.arange(3))
    train(model, [batch], drawer_loss, steps=120, lr=1e-2, progress=False)
    assert drawer_score(model, batch) == (1, 1, 0, 1)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cabinets.draw(0), "batch_size is 0"),
        (lambda: cabinets.draw(1, side=11), "side is 11"),
        (lambda: tones.draw(0), "batch_size is 0"),
        (lambda: tones.draw(1, chirp_samples=0), "chirp_samples is 0"),
        (lambda: tones.draw(1, samples=9, chirp_samples=10), "samples is 9"),
        (lambda: tones.draw(1, noise=-0.1), "noise is -0.1"),
        (lambda: tones.draw(1, noise=math.nan), "noise is nan"),
        (
            lambda: tones.chirp(torch.tensor([4]), torch.ones(1), torch.ones(1), samples=2),
            r"kinds has \[4\]",
        ),
        (lambda: VoxelActor(side=10, patch=4), "side is 10"),
        (lambda: VoxelActor(side=12, patch=0), "patch is 0"),
        (
            lambda: small()(torch.zeros(1, 4, 16, 16, 16), torch.zeros(1, 4, dtype=torch.int64)),
            r"voxels has shape \(1, 4, 16, 16, 16\)",
        ),
        (
            lambda: small()(torch.zeros(1, 4, 12, 12, 12), torch.zeros(1, 9, dtype=torch.int64)),
            "position 8",
        ),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
