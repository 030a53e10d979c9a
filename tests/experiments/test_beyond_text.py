"""The experiments on cabinets, digits and chirps, at the size of a test; and their own parts."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.beyond_text import bytes_or_pieces, drawer, file_bytes, patches, typos
from frugal.data import cabinets, digits, text, tones
from frugal.tasks.drawer import VoxelActor
from tests.experiments.small import small, values_of


@pytest.mark.parametrize("name", drawer.settings())
def test_the_drawer_experiment_gives_every_number(name):
    values = values_of(small("drawer"), name)
    shares = [values[key] for key in ("exact", "handle", "wrong_exact", "wrong_followed")]
    assert all(0 <= share <= 1 for share in shares)
    assert values["steps"] == [2, 4]
    assert len(values["exact_by_step"]) == 2


@pytest.mark.parametrize("name", ["patch-2", "patch-16", "hop-80", "hop-2560"])
def test_the_patch_experiment_counts_its_tokens(name):
    values = values_of(small("patches"), name)
    expected = {"patch-2": 64, "patch-16": 1, "hop-80": 99, "hop-2560": 2}
    assert values["tokens"] == expected[name]
    assert 0 <= values["accuracy"] <= 1
    assert values["flops"] > 4 * 48**2 * values["tokens"]


@pytest.mark.parametrize("name", ["full", "convolution", "no-residual"])
def test_every_middle_is_as_large_and_hears_the_words(name):
    torch.manual_seed(0)
    model = drawer.model_of(drawer.settings()[name])
    weights, latents = (
        sum(p.numel() for p in m.parameters())
        for m in (model, drawer.model_of(drawer.settings()["latents-16"]))
    )
    assert abs(weights / latents - 1) < 0.05
    batch = cabinets.draw(2, seed=0)
    other = batch.asking((batch.drawers + 1) % 3)
    with torch.no_grad():
        first = model(batch.voxels, batch.instructions)
        assert first.shape == (2, 16**3)
        assert not first.allclose(model(batch.voxels, other.instructions))


def test_a_deaf_model_hears_nothing():
    torch.manual_seed(0)
    deaf = drawer.Deaf(VoxelActor(side=12, d_model=16, n_latents=2, n_layers=1, n_heads=2))
    batch = cabinets.draw(3, side=12, seed=0)
    other = batch.asking((batch.drawers + 1) % 3)
    first = deaf(batch.voxels, batch.instructions)
    assert first.equal(deaf(batch.voxels, other.instructions))


@pytest.mark.parametrize("name", ["raw-scrambled", "png-varied"])
def test_the_file_experiment_gives_every_number(name):
    values = values_of(small("file_bytes"), name)
    assert 0 <= values["accuracy"] <= 1
    assert values["test_files"] == values["train_files"] == 16
    assert values["steps"] == [2, 4]


def test_five_folds_test_every_picture_once():
    folds = [file_bytes.folded(fold) for fold in range(file_bytes.FOLDS)]
    assert sum(len(fold["test"].labels) for fold in folds) == 1797
    tested = torch.cat([fold["test"].images for fold in folds]).flatten(1)
    everything = torch.cat([digits.load(name).images for name in ("train", "valid", "test")])
    assert sorted(tested.sum(1).tolist()) == sorted(everything.flatten(1).sum(1).tolist())
    for fold in folds:
        assert sum(len(split.labels) for split in fold.values()) == 1797
        assert fold["test"].labels.bincount().min() >= 34


def test_a_placed_digit_is_whole_and_anywhere():
    images = digits.load("test").images[:200]
    pictures = patches.placed(images, torch.Generator().manual_seed(0))
    assert pictures.shape == (200, 1, 16, 16)
    assert pictures.sum((1, 2, 3)).allclose(images.sum((1, 2)))
    corners = set()
    for picture, image in zip(pictures[:, 0], images, strict=True):
        found = [
            (row, column)
            for row in range(9)
            for column in range(9)
            if picture[row : row + 8, column : column + 8].equal(image)
        ]
        assert found
        corners.add(found[0])
    assert len(corners) > 50


def test_frames_of_noise_are_of_the_size_of_one():
    noise = tones.draw(20, noise=0.1, samples=16_000, chirp_samples=1, seed=0).waveforms
    for hop in patches.HOPS:
        tokens = patches.frames(noise, hop)
        assert tokens.mean().abs() < 2
        assert 0.3 < tokens.std() < 1.5


@pytest.mark.parametrize("name", ["words", "bytes-noisy"])
def test_the_typing_experiment_gives_every_number(name):
    values = values_of(small("typos"), name)
    assert len(values["accuracy_by_rate"]) == len(typos.RATES)
    assert all(0 <= accuracy <= 1 for accuracy in values["accuracy_by_rate"])
    assert values["steps"] == [2, 4]
    assert values["best_step"] in values["steps"]


def test_five_folds_test_every_passage_once():
    folds = [typos.folded(fold) for fold in range(typos.FOLDS)]
    passages = {
        passage
        for split in ("train", "valid", "test")
        for passage in text.passages(split, words=typos.WORDS, n_topics=typos.TOPICS)
    }
    tested = [passage for fold in folds for passage in fold["test"]]
    assert len(tested) == len(passages) == len(set(tested))
    for fold in folds:
        assert set().union(*fold.values()) == passages
        assert sum(map(len, fold.values())) == len(passages)
        topics = {split: {passage.topic for passage in held} for split, held in fold.items()}
        assert len(topics["train"]) == typos.TOPICS
        assert topics["test"] <= topics["train"]
        assert len(fold["test"]) > 180


@pytest.mark.parametrize("name", ["bytes-same-text", "pieces-2048-more"])
def test_bytes_and_pieces_are_smaller_here(name):
    values = values_of(small("bytes_or_pieces"), name)
    assert values["updates"] == 3
    assert len(values["bits_by_rate"]) == len(bytes_or_pieces.RATES)


def test_bytes_read_as_much_text_as_pieces_for_more_flops():
    flops, read = {}, {}
    for size in (259, 2048):
        tokenizer, ids, read[size] = bytes_or_pieces.read_by(size)
        model = bytes_or_pieces.decoder(tokenizer.vocab_size)
        windows = bytes_or_pieces.supply(ids)(0, torch.Generator())
        flops[size] = bytes_or_pieces.flops_of_update(model, windows)
    more = bytes_or_pieces.flops_of_same_text()
    text_of_pieces = bytes_or_pieces.BUDGET / flops[2048] * read[2048]
    assert abs(more / flops[259] / text_of_pieces - 1) < 0.01
    assert 1.5 < more / bytes_or_pieces.BUDGET < 3
