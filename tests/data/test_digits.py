import sys

import pytest
import torch

from frugal.data import digits
from frugal.data.source import MissingSource


def test_the_splits_cover_all_pictures_once():
    parts = [digits.load(split) for split in ("train", "valid", "test")]
    assert [len(p.labels) for p in parts] == [1252, 270, 275]
    for part in parts:
        assert part.images.shape == (len(part.labels), 8, 8)
        assert part.images.min() == 0.0
        assert part.images.max() == 1.0
        counts = part.labels.bincount()
        assert counts.min() / counts.max() > 0.9  # every class in every split
    everything = torch.cat([p.images for p in parts]).flatten(1)
    original = torch.tensor(digits.SOURCE.load().load_digits().data, dtype=torch.float32) / 16
    assert sorted(everything.tolist()) == sorted(original.tolist())
    assert len(everything.unique(dim=0)) == 1797  # so no picture is in two splits


def test_labels_belong_to_the_pictures():
    data = digits.SOURCE.load().load_digits()
    known = {tuple((d / 16).tolist()): t for d, t in zip(data.data, data.target, strict=True)}
    part = digits.load("test")
    rows = part.images.flatten(1).tolist()
    assert [known[tuple(r)] for r in rows] == part.labels.tolist()


def test_batches_are_drawn_from_the_split():
    part = digits.load("valid")
    make = digits.batches(part, 32)
    batch = make(0, torch.Generator().manual_seed(0))
    assert batch.images.shape == (32, 8, 8)

    def rows(data):
        pixels = map(tuple, data.images.flatten(1).tolist())
        return dict(zip(pixels, data.labels.tolist(), strict=True))

    assert rows(batch).items() <= rows(part).items()
    assert torch.equal(batch.labels, make(5, torch.Generator().manual_seed(0)).labels)


def test_bad_arguments_and_a_missing_package(monkeypatch):
    with pytest.raises(ValueError, match="split is 'dev'"):
        digits.load("dev")
    with pytest.raises(ValueError, match="batch_size is 0"):
        digits.batches(digits.load("test"), 0)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingSource, match="pip install scikit-learn"):
        digits.load()
