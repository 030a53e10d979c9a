"""How far two tables of modifications agree: gains over vanilla, and the correlation of ranks.

Source: narang2021modifications (its correlations of loss with scores are of ranks). Chapter:
the-modification-zoo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frugal.checks import at_least
from frugal.results import Result, mean_interval
from frugal.transfer.building import names
from frugal.transfer.counting import published


class Measure(NamedTuple):
    """What both tables tell of a row. title: in words. paper: its column in `published()`. lower:
    less is better."""

    title: str
    paper: str
    lower: bool = False


MEASURES = {
    "early_loss": Measure("early loss", "early_loss_mean", lower=True),
    "final_loss": Measure("final loss", "final_loss", lower=True),
    "speed": Measure("steps per second", "steps_per_s"),
    "library": Measure("SuperGLUE | which library", "superglue_avg"),
    "summary": Measure("XSum | summary line", "xsum_rouge2"),
    "default": Measure("WebQuestions | default value", "webq_acc"),
    "dates": Measure("WMT En-De | dates", "wmt14_ende_bleu"),
}
"""By the name of a value in the record of the experiment `modifications`. The last four are tasks
of the same kind, the paper's and ours."""

REPAIRED = ".repaired"
"""What follows a row's name in the record, for its intended form."""


class Gain(NamedTuple):
    """In percent of vanilla's value, above 0 is better: the mean over pairs of the same seed, its
    95 % interval (None with one pair), and how many pairs."""

    ours: float
    low: float | None
    high: float | None
    seeds: int


class Agreement(NamedTuple):
    """A rank correlation over `n` rows, and the middle 95 % of its bootstrap."""

    correlation: float
    low: float
    high: float
    n: int


def gain(values: ArrayLike, vanilla: ArrayLike, *, lower: bool = False) -> Gain:
    """How much better a row is than vanilla, in percent of vanilla's mean.

    values, vanilla: one number per seed, of the same seeds: the differences are taken seed by seed,
    and the interval is of their mean (`frugal.results.mean_interval`). So vanilla's own spread is
    in it, and what a seed does to all rows alike is not. lower: less is better, as with a loss.
    Raises ValueError for lists of different lengths.
    """
    ours, base = (np.asarray(one, dtype=float) for one in (values, vanilla))
    if len(ours) != len(base):
        raise ValueError(
            f"values has {len(ours)} seeds and vanilla {len(base)}; both must be equal."
        )
    better = 100 * (ours - base) / abs(base.mean()) * (-1 if lower else 1)
    if len(better) < 2:
        return Gain(float(better.mean()), None, None, len(better))
    mean, low, high = (float(one) for one in mean_interval(better))
    return Gain(mean, low, high, len(better))


def paper_gain(name: str, measure: str) -> float:
    """The same of the paper's printed numbers, which are one run or the mean of five."""
    one = MEASURES[measure]
    own, base = (float(published()[row][one.paper]) for row in (name, names()[0]))
    return gain([own], [base], lower=one.lower).ours


def family(name: str) -> str:
    """The category of a row in the paper's table, in its words."""
    return published()[name]["category"].removeprefix("architecture: ")


def by_seed(record: Result, metric: str) -> dict[str, dict[int, float]]:
    """By setting and seed what the runs gave, without those that have no finite number."""
    found: dict[str, dict[int, float]] = {name: {} for name in record.settings}
    for run in sorted(record.runs, key=lambda run: run["seed"]):
        value = run["values"].get(metric)
        if value is not None and np.isfinite(value):
            found[run["setting"]][run["seed"]] = float(value)
    return {name: seeds for name, seeds in found.items() if seeds}


def seeds_of(record: Result, metric: str) -> dict[str, list[float]]:
    """The same without the seeds' numbers, in their order."""
    return {name: list(seeds.values()) for name, seeds in by_seed(record, metric).items()}


def pairs(record: Result, metric: str, base: str | None = None) -> dict[str, tuple[list, list]]:
    """By setting what it gave and what `base` gave, of the seeds that both have.

    base: a setting; vanilla when None. Raises ValueError for a record that lacks it.
    """
    base = names()[0] if base is None else base
    found = by_seed(record, metric)
    if base not in found:
        raise ValueError(f"record has {list(found)}; it must have {base!r}.")
    both = {name: [seed for seed in seeds if seed in found[base]] for name, seeds in found.items()}
    return {
        name: ([found[name][seed] for seed in seeds], [found[base][seed] for seed in seeds])
        for name, seeds in both.items()
        if seeds
    }


def gains(
    record: Result, metric: str, *, base: str | None = None, lower: bool | None = None
) -> dict[str, Gain]:
    """By setting its gain over vanilla, or over another setting `base`, in the same record.

    Seed by seed (`gain`), of the seeds that both have. lower: less is better; as in `MEASURES` when
    None. Where all of the base's values are 0, as in a task that it cannot do, there is no gain in
    percent, and the setting is left out. Raises ValueError for a record that lacks the base.
    """
    lower = MEASURES[metric].lower if lower is None else lower
    found = pairs(record, metric, base)
    return {name: gain(own, of, lower=lower) for name, (own, of) in found.items() if any(of)}


def ranks(values: ArrayLike) -> NDArray:
    """The place of each value, 1 for the smallest; equal values share the mean of their places."""
    values = np.asarray(values, dtype=float)
    _, first, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[first]


def spearman(one: ArrayLike, other: ArrayLike, groups: ArrayLike | None = None) -> float:
    """The correlation of two lists' ranks, from -1 to 1; NaN where all of one list are equal.

    groups: a label per value. Then a rank is one inside its group, and the group's mean rank is
    subtracted: what is left says whether the order *inside* groups agrees, whatever the order of
    the groups. Large groups count for more, groups of one for nothing.

    Raises ValueError for lists of different lengths, or of fewer than three.
    """
    one, other = (np.asarray(values, dtype=float) for values in (one, other))
    if len(one) != len(other) or len(one) < 3:
        raise ValueError(
            f"one has {len(one)} values and other {len(other)}; both must have 3 or more."
        )
    if groups is not None and len(groups) != len(one):
        raise ValueError(f"groups has {len(groups)} labels; it must have {len(one)}, one a value.")
    a, b = _centred_ranks(one, groups), _centred_ranks(other, groups)
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")


def _centred_ranks(values: NDArray, groups: ArrayLike | None) -> NDArray:
    """Ranks less the group's mean rank: half of how many are below, less half of those above."""
    signs = np.sign(values[:, None] - values)
    if groups is not None:
        groups = np.asarray(groups)
        signs = signs * (groups[:, None] == groups)
    return signs.sum(1) / 2


def agreement(
    paper: Mapping[str, float],
    ours: Mapping[str, Sequence[float]],
    *,
    groups: Mapping[str, str] | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Agreement:
    """The rank correlation of a number per row with the mean over our seeds of that row.

    paper: one number per row. ours: one number per seed, by row; rows that one side lacks are left
    out. groups: a label per row, for the order inside groups alone (`spearman`). Each of the draws
    of the bootstrap takes as many rows as there are, with repetition, and in each of them as many
    seeds as it has, with repetition: so the interval has both in it, which rows happened to be in
    the table and which seeds happened to be run.

    Raises ValueError for fewer than three rows that both sides have.
    """
    at_least(1, draws=draws)
    both = [name for name in paper if len(ours.get(name, ()))]
    seeds = [np.asarray(ours[name], dtype=float) for name in both]
    theirs = np.array([paper[name] for name in both], dtype=float)
    labels = np.array([groups[name] for name in both]) if groups else None
    found = spearman(theirs, [one.mean() for one in seeds], labels)
    chance = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        rows = chance.integers(len(both), size=len(both))
        means = _redrawn(seeds, rows, chance)
        drawn.append(spearman(theirs[rows], means, None if labels is None else labels[rows]))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Agreement(found, float(low), float(high), len(both))


def repeatability(record: Result, metric: str, *, least: int = 10) -> float:
    """How far the record agrees with itself: the mean rank correlation of two of its seeds.

    Over all pairs of seeds that have `least` modifications or more in common; NaN where there is no
    such pair. Where it is high, a low `agreement` is no matter of luck.
    """
    found = by_seed(record, metric)
    tables = [
        {name: found[name][seed] for name in names()[1:] if seed in found.get(name, {})}
        for seed in sorted({run["seed"] for run in record.runs})
    ]
    correlations = []
    for one, other in combinations(tables, 2):
        both = sorted(one.keys() & other.keys())
        if len(both) >= least:
            correlations.append(spearman(*([of[name] for name in both] for of in (one, other))))
    return float(np.mean(correlations)) if correlations else float("nan")


def _redrawn(seeds: list[NDArray], rows: NDArray, chance: np.random.Generator) -> NDArray:
    """The mean of as many seeds as each of the rows has, drawn with repetition."""
    counts = np.array([len(seeds[row]) for row in rows])
    starts = np.repeat(counts.cumsum() - counts, counts)
    places = starts + (chance.random(counts.sum()) * np.repeat(counts, counts)).astype(int)
    values = np.concatenate([seeds[row] for row in rows])[places]
    return np.add.reduceat(values, counts.cumsum() - counts) / counts


def agreement_of(
    record: Result,
    metric: str,
    *,
    repaired: bool = False,
    inside_families: bool = False,
    draws: int = 2000,
) -> Agreement:
    """`agreement` of the paper's table with a record, of every modification that both have.

    Ours are the differences to vanilla, seed by seed. repaired: with the intended form of those
    rows that have two. inside_families: of the order inside the categories of the paper's table.
    """
    sign, found = -1 if MEASURES[metric].lower else 1, pairs(record, metric)
    ours = {}
    for name in names()[1:]:
        both = found.get(name, ([], []))
        both = found.get(name + REPAIRED, both) if repaired else both
        ours[name] = [sign * (own - base) for own, base in zip(*both, strict=True)]
    paper = {name: paper_gain(name, metric) for name in names()[1:]}
    groups = {name: family(name) for name in paper} if inside_families else None
    return agreement(paper, ours, groups=groups, draws=draws)
