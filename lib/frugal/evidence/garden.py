"""A garden of forking paths: how often a change looks good, by how a study is made.

A study compares runs of ours with runs of a baseline. The runs differ by noise that was recorded
and by an effect that is given; nothing else. Chapter: measuring-fairly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from frugal.checks import at_least, installed, one_of
from frugal.results import Result

RULES = ("higher", "t test")
TOLD = ("best", "mean")
CHOSEN = ("test", "validation", "validation, run again")
LEVEL = 0.05


@dataclass(frozen=True)
class Study:
    """How a study is made.

    seeds: runs of each configuration on each task. tries, baseline_tries: configurations of each
    side, all equally good; the best one by `chosen` is taken: by the scores on the test set, by
    those on validation data, or by those and then trained again with other seeds. tasks: each with
    runs of its own. told: the best task, or the mean of all. rule: what counts as a win: a higher
    mean, or a t test of the seeds at 5 % on one side. effect: what ours really adds, in points.
    """

    seeds: int = 1
    tries: int = 1
    baseline_tries: int = 1
    tasks: int = 1
    rule: str = "higher"
    told: str = "best"
    chosen: str = "test"
    effect: float | int = 0

    def __post_init__(self) -> None:
        at_least(
            1,
            seeds=self.seeds,
            tries=self.tries,
            baseline_tries=self.baseline_tries,
            tasks=self.tasks,
        )
        one_of(RULES, rule=self.rule)
        one_of(TOLD, told=self.told)
        one_of(CHOSEN, chosen=self.chosen)

    @property
    def nominal(self) -> float:
        """How often a change of no effect should win by this rule."""
        return LEVEL if self.rule == "t test" else 0.5


class Outcomes(NamedTuple):
    """Of many studies: the difference that each tells, in points, and whether it is a win."""

    differences: Float[NDArray, " studies"]
    wins: Bool[NDArray, " studies"]


def play(
    study: Study, noise: Float[NDArray, "n 2"], *, studies: int = 1000, seed: int = 0
) -> Outcomes:
    """Make the study many times, with runs drawn from recorded noise.

    noise: by run what validation and test score more than their means, in points. A t test of one
    seed has no answer: nothing wins. Raises ValueError for noise of another shape.
    """
    noise = np.asarray(noise, dtype=float)
    if noise.ndim != 2 or noise.shape[1] != 2 or len(noise) < 2:
        raise ValueError(f"noise has shape {noise.shape}; it must be of 2 or more (n, 2) numbers.")
    at_least(1, studies=studies)
    random = np.random.default_rng(seed)

    def side(tries: int) -> NDArray:  # (studies, tasks, seeds) of the configuration taken
        drawn = noise[random.integers(len(noise), size=(studies, tries, study.tasks, study.seeds))]
        scores = drawn[..., 0 if study.chosen.startswith("validation") else 1].mean(-1)
        if study.told == "mean":  # one configuration for all tasks
            scores = np.broadcast_to(scores.mean(-1, keepdims=True), scores.shape)
        taken = scores.argmax(1)  # (studies, tasks)
        if study.chosen == CHOSEN[2]:
            return noise[random.integers(len(noise), size=(studies, study.tasks, study.seeds)), 1]
        return np.take_along_axis(drawn[..., 1], taken[:, None, :, None], axis=1)[:, 0]

    ours, theirs = side(study.tries) + study.effect, side(study.baseline_tries)
    if study.told == "mean":
        ours, theirs = ours.mean(1, keepdims=True), theirs.mean(1, keepdims=True)
    return judged(ours, theirs, study.rule)


def judged(
    ours: Float[NDArray, "studies tasks seeds"],
    theirs: Float[NDArray, "studies tasks seeds"],
    rule: str,
) -> Outcomes:
    """The task with the clearest difference by the rule, and whether it wins."""
    apart = ours.mean(-1) - theirs.mean(-1)  # (studies, tasks)
    if rule == "higher":
        told = apart.max(1)
        return Outcomes(told, told > 0)
    seeds = ours.shape[-1]
    if seeds < 2:
        return Outcomes(apart.max(1), np.zeros(len(apart), dtype=bool))
    t = installed("scipy.stats", extra="evidence").t
    error = np.sqrt((ours.var(-1, ddof=1) + theirs.var(-1, ddof=1)) / seeds)
    tiny = np.finfo(float).tiny
    clear = apart / np.maximum(error, tiny)
    best = clear.argmax(1)[:, None]
    told, clearest = (np.take_along_axis(one, best, 1)[:, 0] for one in (apart, clear))
    return Outcomes(told, clearest > t.ppf(1 - LEVEL, 2 * (seeds - 1)))


def recorded_noise(
    record: Result, test: str, validation: str, settings: Iterable[str] | None = None
) -> Float[NDArray, "n 2"]:
    """What runs of a record scored more than the mean of their setting, in points.

    test, validation: names of two metrics that are shares. settings: all by default. Each setting's
    deviations are stretched by sqrt(n / (n - 1)), so that their spread is that of single runs.
    Raises ValueError for a setting without both metrics, or with one run.
    """
    values = [record.values(name) for name in (validation, test)]
    known = [name for name in record.settings if all(name in one for one in values)]
    found = []
    for setting in record.settings if settings is None else settings:
        one_of(known, setting=setting)
        runs = 100 * np.array([one[setting] for one in values]).T  # (seeds, 2)
        at_least(2, seeds=len(runs))
        found.append((runs - runs.mean(0)) * np.sqrt(len(runs) / (len(runs) - 1)))
    if not found:
        raise ValueError("settings is empty; it must hold one or more.")
    return np.concatenate(found)
