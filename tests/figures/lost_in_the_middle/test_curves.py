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


def trained(accuracy, steps, *names):
    asked = np.full(np.shape(accuracy)[-1], 1 / np.shape(accuracy)[-1])
    return TrainedCurves.from_seeds(
        *(names or ("decoder", "RoPE", "ends")), steps, accuracy, asked=asked
    )


def test_the_figure_starts_where_the_dips_are_deepest_and_says_so():
    accuracy = np.full((5, 3, 30), 0.25)
    accuracy[:, 1, 10:20] = 0.05
    figure = LostInTheMiddle([trained(accuracy, [100, 200, 300])])
    assert figure.state["steps"][figure.state["moment"]] == 200
    assert "75.8 % when the answer comes first, 53.8 % at worst, 63.2 % when last" in figure.alt
    assert "(decoder)" in figure.alt
    assert "after 200 updates" in figure.alt
    assert "RoPE, asked ends: 20." in figure.alt
    assert len(json.dumps(figure.state)) < 60_000


def test_the_still_picture_has_a_panel_for_each_run():
    chance = np.random.default_rng(0)
    runs = [
        trained(chance.uniform(0, 1, (5, 2, 30)), [10, 20], "decoder", code, asks)
        for asks in ("ends", "anywhere")
        for code in ("RoPE", "ALiBi", "none")
    ]
    axes = LostInTheMiddle(runs, updates=10).picture().axes
    assert len(axes) == 6
    for one, panel in zip(runs, axes, strict=True):
        assert panel.get_title(loc="left").startswith(f"{one.positions}: dip ")
        last, shown = (line.get_ydata() for line in panel.lines)
        np.testing.assert_allclose(shown, 100 * one.at(10))
        np.testing.assert_allclose(last, 100 * one.at(20))


def test_trained_curves_refuse():
    names = {"architecture": "d", "positions": "RoPE", "asks": "ends"}
    shape = {"mean": np.zeros((2, 30)), "low": np.zeros((2, 30)), "high": np.zeros((2, 30))} | names
    with pytest.raises(ValueError, match=r"steps is \[2, 1\]; it must be 2 rising numbers"):
        TrainedCurves(steps=[2, 1], asked=np.zeros(30), **shape)
    with pytest.raises(ValueError, match=r"asked has shape \(29,\); it must be \(30,\)"):
        TrainedCurves(steps=[1, 2], asked=np.zeros(29), **shape)
    with pytest.raises(ValueError, match=r"all must be \(moments, places\)"):
        TrainedCurves(steps=[1, 2], asked=np.zeros(30), **shape | {"low": np.zeros(30)})
    with pytest.raises(ValueError, match="ours is empty"):
        LostInTheMiddle([])
    with pytest.raises(ValueError, match="different numbers of places"):
        LostInTheMiddle([trained(np.zeros((2, 1, n)), [1]) for n in (20, 30)])


@pytest.mark.usefixtures("unchecked")
def test_a_step_goes_to_a_moment_that_was_recorded():
    run = trained(np.zeros((2, 2, 30)), [10, 20])
    with pytest.raises(ValueError, match="updates is 15; it must be one of"):
        LostInTheMiddle([run], tries=[("see", "decoder", 15)])
