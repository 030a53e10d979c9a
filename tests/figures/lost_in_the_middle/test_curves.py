"""The figure of lost in the middle without a browser: its data, its words, what it refuses."""

import json

import numpy as np
import pytest

from frugal.data import lost_in_the_middle as published
from frugal.figures.lost_in_the_middle.lost_in_the_middle import (
    LostInTheMiddle,
    TrainedCurves,
    published_groups,
)


def test_every_published_point_is_one_of_the_loaders():
    table = published.curves()
    known = set(zip(table["model"], table["position"], table["accuracy"], strict=True))
    groups = published_groups()
    assert len(groups) == 18
    for group in groups:
        assert group["curves"]
        assert len({one["model"] for one in group["curves"]}) == len(group["curves"])
        for one in group["curves"]:
            for position, accuracy in zip(one["positions"], one["accuracy"], strict=True):
                assert (one["model"], position, accuracy) in known


def test_the_figure_says_in_words_what_it_shows():
    accuracy = np.full((5, 2, 30), 0.25)
    accuracy[:, 1] = np.linspace(0.1, 0.9, 30)
    ours = TrainedCurves.from_seeds("a decoder", [100, 200], accuracy, asked=np.full(30, 1 / 30))
    figure = LostInTheMiddle([ours], moment=1)
    assert "75.8 % when it comes first, 53.8 % at worst, 63.2 %" in figure.alt
    assert "after 200 updates: 10% first" in figure.alt
    assert figure.to_png()[:4] == b"\x89PNG"
    size = len(json.dumps(figure.state))
    assert size < 60_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"curve": 1}, r"curve is 1; it needs to be 0 … 0"),
        ({"moment": 2}, r"moment is 2; it needs to be 0 … 1"),
        ({"gold": 30}, r"gold is 30; it needs to be 0 … 29"),
        ({"group": "40 documents"}, "group is '40 documents'; it needs to be one of"),
        ({"model": "GPT-5"}, "model is 'GPT-5'; '20 documents, all 20 places' has GPT-3.5"),
    ],
)
def test_the_figure_refuses(options, message):
    ours = TrainedCurves.from_seeds("d", [1, 2], np.zeros((2, 2, 30)), asked=np.zeros(30))
    with pytest.raises(ValueError, match=message):
        LostInTheMiddle([ours], **options)


def test_trained_curves_refuse():
    shape = {"mean": np.zeros((2, 30)), "low": np.zeros((2, 30)), "high": np.zeros((2, 30))}
    with pytest.raises(ValueError, match=r"steps is \[2, 1\]; it needs 2 rising numbers"):
        TrainedCurves(label="d", steps=[2, 1], asked=np.zeros(30), **shape)
    with pytest.raises(ValueError, match=r"asked has shape \(29,\); it needs \(30,\)"):
        TrainedCurves(label="d", steps=[1, 2], asked=np.zeros(29), **shape)
    with pytest.raises(ValueError, match=r"all need \(moments, places\)"):
        TrainedCurves(label="d", steps=[1, 2], asked=np.zeros(30), **shape | {"low": np.zeros(30)})
    with pytest.raises(ValueError, match="ours is empty"):
        LostInTheMiddle([])
