"""Gains, ranks and how far two tables agree."""

import numpy as np
import pytest
from scipy import stats

from frugal.results import Result
from frugal.transfer import names
from frugal.transfer.agreement import (
    MEASURES,
    agreement,
    agreement_of,
    by_seed,
    family,
    gain,
    gains,
    pairs,
    paper_gain,
    ranks,
    repeatability,
    seeds_of,
    spearman,
)
from frugal.transfer.counting import published


def column(name: str) -> list[float]:
    return [float(published()[row][name]) for row in names()]


def test_ranks_and_their_correlation_are_scipys():
    chance = np.random.default_rng(0)
    for _ in range(20):
        a, b = chance.integers(0, 8, (2, 30))
        np.testing.assert_array_equal(ranks(a), stats.rankdata(a))
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))


def test_the_order_inside_groups_leaves_out_the_order_of_the_groups():
    """By hand: ranks inside each group, less the group's mean rank."""
    one, other = [1, 2, 3, 11, 12], [21, 22, 23, 1, 2]
    groups = ["a", "a", "a", "b", "b"]
    assert spearman(one, other) < 0
    assert spearman(one, other, groups) == 1
    assert spearman(one, [21, 23, 22, 1, 2], groups) == pytest.approx((1 + 0 + 0 + 0.5) / 2.5)
    chance = np.random.default_rng(3)
    a, b = chance.integers(0, 5, (2, 20))
    assert spearman(a, b, ["same"] * 20) == pytest.approx(stats.spearmanr(a, b).statistic)
    with pytest.raises(ValueError, match="groups has 2 labels; it must have 5, one a value"):
        spearman(one, other, ["a", "b"])


def test_the_papers_own_correlations_come_out():
    """Of final loss with SuperGLUE and XSum it prints 0.87 and 0.80."""
    loss = [-value for value in column("final_loss")]
    assert spearman(loss, column("superglue_avg")) == pytest.approx(0.87, abs=0.005)
    assert spearman(loss, column("xsum_rouge2")) == pytest.approx(0.80, abs=0.03)


def test_a_gain_is_in_percent_of_vanilla_and_above_zero_when_better():
    assert gain([1.8], [2.0], lower=True) == (pytest.approx(10), None, None, 1)
    assert gain([1.8], [2.0]).ours == pytest.approx(-10)
    found = gain([1.9, 1.7], [1.9, 2.1], lower=True)
    assert (found.ours, found.seeds) == (pytest.approx(10), 2)
    assert found.low < 10 < found.high
    assert found.high - found.ours == pytest.approx(found.ours - found.low)


def test_what_a_seed_does_to_all_rows_is_not_in_the_interval():
    """The interval is of the differences: Student's t of the pairs, as SciPy has it."""
    hard = np.array([0.0, 0.5, -0.3])
    found = gain(1.8 + hard + [0.01, -0.01, 0], 2 + hard, lower=True)
    test = stats.ttest_rel(2 + hard, 1.8 + hard + [0.01, -0.01, 0]).confidence_interval(0.95)
    scale = 100 / (2 + hard).mean()
    assert (found.low, found.high) == pytest.approx((scale * test.low, scale * test.high))
    with pytest.raises(ValueError, match="values has 2 seeds and vanilla 3; both must be equal"):
        gain([1, 2], [1, 2, 3])


def test_the_papers_gains():
    assert paper_gain("Vanilla Transformer", "early_loss") == 0
    assert paper_gain("GeGLU", "early_loss") == pytest.approx(100 * (2.182 - 2.13) / 2.182)
    assert paper_gain("Fixup", "early_loss") < 0


def test_one_table_agrees_with_itself_and_the_interval_covers_what_it_should():
    paper = {str(n): float(n) for n in range(12)}
    same = agreement(paper, {name: [value] * 3 for name, value in paper.items()}, draws=50)
    assert same == (1, 1, 1, 12)
    turned = agreement(paper, {name: [-value] for name, value in paper.items()}, draws=50)
    assert turned[:3] == (-1, -1, -1)
    chance = np.random.default_rng(1)
    noisy = {name: list(chance.normal(value, 6, 3)) for name, value in paper.items()}
    found = agreement(paper, noisy, draws=400)
    assert -1 <= found.low < found.correlation < found.high <= 1
    assert found == agreement(paper, noisy, draws=400)


def test_agreement_inside_groups():
    paper = {f"{group}{n}": 100.0 * (group == "a") + n for group in "ab" for n in range(8)}
    ours = {name: [100.0 * (name[0] == "b") + value % 100] for name, value in paper.items()}
    inside = agreement(paper, ours, groups={name: name[0] for name in paper}, draws=50)
    assert inside[:3] == (1, 1, 1)
    assert agreement(paper, ours, draws=50).correlation < 0


def test_seeds_widen_the_interval():
    paper = {str(n): float(n) for n in range(30)}
    chance = np.random.default_rng(2)
    errors = {name: chance.normal(0, 12, 3) for name in paper}
    spread = {name: list(value + errors[name]) for name, value in paper.items()}
    settled = {name: [value + errors[name].mean()] * 3 for name, value in paper.items()}
    wide, narrow = (agreement(paper, one, draws=400) for one in (spread, settled))
    assert wide.correlation == pytest.approx(narrow.correlation)
    assert wide.high - wide.low > narrow.high - narrow.low


def test_rows_that_one_side_lacks_are_left_out():
    paper = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    found = agreement(paper, {"a": [1.0], "b": [2.0], "c": [3.0], "d": [], "e": [9.0]}, draws=20)
    assert found.n == 3


@pytest.mark.parametrize("values", [([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 3, 4])])
def test_lists_that_cannot_be_compared_are_refused(values):
    with pytest.raises(ValueError, match=r"both must have 3 or more\.$"):
        spearman(*values)


def record(**losses: list) -> Result:
    """Losses by row, one per seed."""
    runs = [
        {"setting": name, "seed": seed, "values": {"early_loss": value}}
        for name, values in losses.items()
        for seed, value in enumerate(values)
    ]
    return Result("modifications", "", {name: {} for name in losses}, runs, {})


def test_a_record_gives_gains_over_its_own_vanilla_seed_by_seed():
    found = record(
        **{
            "Vanilla Transformer": [4.0, 3.0, 2.0],
            "GeGLU": [None, 2.7, 1.8],
            "Fixup": [None, float("nan")],
        }
    )
    assert by_seed(found, "early_loss")["GeGLU"] == {1: 2.7, 2: 1.8}
    assert seeds_of(found, "early_loss")["GeGLU"] == [2.7, 1.8]
    assert "Fixup" not in by_seed(found, "early_loss")
    assert pairs(found, "early_loss")["GeGLU"] == ([2.7, 1.8], [3.0, 2.0])
    told = gains(found, "early_loss")
    assert (told["GeGLU"].ours, told["GeGLU"].seeds) == (pytest.approx(10), 2)
    assert told["Vanilla Transformer"].ours == pytest.approx(0)
    assert gains(found, "early_loss", base="GeGLU")["Vanilla Transformer"].ours < 0
    assert gains(record(**{"Vanilla Transformer": [0.0], "GeGLU": [0.5]}), "early_loss") == {}
    with pytest.raises(ValueError, match="it must have 'Vanilla Transformer'"):
        gains(record(GeGLU=[1.0]), "early_loss")


def test_a_record_is_held_against_the_paper_in_either_form():
    losses = {name: [-paper_gain(name, "early_loss")] for name in names()}
    assert agreement_of(record(**losses), "early_loss", draws=20)[::3] == (1, 51)
    turned = record(**losses, **{"Dynamic convolution.repaired": [-99.0]})
    assert agreement_of(turned, "early_loss", draws=20).correlation == 1
    assert agreement_of(turned, "early_loss", repaired=True, draws=20).correlation < 1
    assert agreement_of(turned, "early_loss", inside_families=True, draws=20).correlation == 1
    moved = {name: [of[0] + 9 * (family(name) == "activation")] for name, of in losses.items()}
    assert agreement_of(record(**moved), "early_loss", draws=20).correlation < 0.9
    inside = agreement_of(record(**moved), "early_loss", inside_families=True, draws=20)
    assert inside.correlation == pytest.approx(1)


def test_a_record_that_agrees_with_itself():
    """Two seeds in the same order, the third in the opposite one: (1 - 1 - 1) / 3."""
    rows = {name: [n, 2.0 * n, -n] for n, name in enumerate(map(str, names()[:13]))}
    found = record(**{name: [float(one) for one in of] for name, of in rows.items()})
    assert repeatability(found, "early_loss") == pytest.approx(-1 / 3)
    alone = record(**{name: of[:1] for name, of in rows.items()})
    assert np.isnan(repeatability(alone, "early_loss"))
    some = {name: of[: 2 if n < 6 else 1] for n, (name, of) in enumerate(rows.items())}
    assert np.isnan(repeatability(record(**some), "early_loss"))
    assert repeatability(record(**some), "early_loss", least=4) == 1


def test_measures_are_columns_of_the_papers_table():
    for one in MEASURES.values():
        assert one.paper in published()["GeGLU"]
