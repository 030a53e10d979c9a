"""Intervals, tests and corrections: exact values by hand, and SciPy's where it has them."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats as stats

from frugal.evidence import (
    benjamini_hochberg,
    bootstrap_interval,
    detectable,
    difference_interval,
    expected_best,
    holm,
    mcnemar,
    power,
    sign_flip_test,
)

OURS, THEIRS = [3.0, 5.0, 4.0, 6.0], [2.0, 4.5, 3.0, 4.0]


def test_welch_and_paired_intervals_are_scipys():
    found = difference_interval(OURS, THEIRS)
    low, high = stats.ttest_ind(OURS, THEIRS, equal_var=False).confidence_interval()
    assert found == pytest.approx((1.125, low, high))
    paired = difference_interval(OURS, THEIRS, paired=True)
    low, high = stats.ttest_rel(OURS, THEIRS).confidence_interval()
    assert paired == pytest.approx((1.125, low, high))
    assert paired.high - paired.low < found.high - found.low


def test_lists_without_spread_have_an_interval_of_no_width():
    assert difference_interval([1, 1], [0, 0, 0]) == (1, 1, 1)


def test_the_bootstrap_of_two_values_is_known():
    """Of (0, 1), drawn twice: 0 in a quarter, 1/2 in a half, 1 in a quarter."""
    assert bootstrap_interval([0, 1], confidence=0.95) == (0.5, 0, 1)
    assert bootstrap_interval([0, 1], confidence=0.4) == (0.5, 0.5, 0.5)
    both = bootstrap_interval([[0, 5], [1, 5]])
    assert both.mean.tolist() == [0.5, 5]
    assert both.high.tolist() == [1, 5]


def test_the_bootstrap_agrees_with_scipys_and_takes_other_statistics():
    values = np.random.default_rng(0).normal(size=200)
    ours = bootstrap_interval(values, np.median)
    theirs = stats.bootstrap((values,), np.median, method="percentile", rng=1).confidence_interval
    assert ours[1:] == pytest.approx(tuple(theirs), abs=0.03)


def test_the_bootstrap_of_five_is_too_short():
    values = np.random.default_rng(0).normal(size=(2000, 5))
    held = [bootstrap_interval(row, resamples=400, seed=i) for i, row in enumerate(values)]
    assert np.mean([one.low <= 0 <= one.high for one in held]) == pytest.approx(0.83, abs=0.03)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_signs_are_flipped_as_by_scipy(alternative):
    values = np.array([1.2, 0.4, -0.3, 2.0, 0.7])
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    assert sign_flip_test(values, alternative=alternative) == pytest.approx(theirs.pvalue)


def test_five_pairs_cannot_say_less_than_a_sixteenth():
    assert sign_flip_test([1, 2, 3, 4, 5]) == 2 / 32
    assert sign_flip_test([1, 2, 3, 4, 5], alternative="greater") == 1 / 32
    assert sign_flip_test([0, 0, 0]) == 1


def test_with_many_pairs_random_signs_come_near_the_exact_value():
    values = np.random.default_rng(3).normal(0.4, 1, 17)
    signs = np.array(list(product((1, -1), repeat=17)))
    exact = (abs(signs @ values) >= abs(values.sum()) - 1e-9).mean()
    assert sign_flip_test(values) == pytest.approx(exact, abs=0.01)


def test_mcnemar_counts_what_only_one_has_right():
    ours = [1] * 8 + [0] * 2 + [1] * 90
    theirs = [0] * 8 + [1] * 2 + [1] * 90
    by_hand = 2 * sum(math.comb(10, k) for k in range(3)) / 2**10
    assert mcnemar(ours, theirs) == pytest.approx(by_hand) == pytest.approx(0.109375)
    assert mcnemar(theirs, ours) == pytest.approx(by_hand)
    assert mcnemar([True, False], [True, False]) == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.5]).tolist() == [1, 1]
    assert holm([0.02]).tolist() == [0.02]


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(0).random(20) ** 2
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    assert benjamini_hochberg([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.04, 0.04])


def test_both_corrections_are_valid_when_nothing_differs():
    p = np.random.default_rng(0).random((4000, 20))
    for adjust in (holm, benjamini_hochberg):
        assert np.mean([(adjust(row) < 0.05).any() for row in p]) == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_best_of_n_by_all_draws(n):
    scores = [0.3, 0.9, 0.5, 0.5, 0.1]
    without = np.mean([max(draw) for draw in combinations(scores, n)])
    assert expected_best(scores, n) == pytest.approx(without)
    again = np.mean([max(draw) for draw in product(scores, repeat=n)])
    assert expected_best(scores, n, replace=True) == pytest.approx(again)


def test_the_best_without_replacement_is_unbiased_and_the_other_is_low():
    """The best of 5 uniform numbers is 5/6 on average."""
    scores = np.random.default_rng(0).random((4000, 8))
    unbiased = np.mean([expected_best(row, 5) for row in scores])
    replaced = np.mean([expected_best(row, 5, replace=True) for row in scores])
    assert unbiased == pytest.approx(5 / 6, abs=0.005)
    assert replaced < unbiased - 0.03


def test_power_is_how_often_the_t_test_finds_it():
    random = np.random.default_rng(0)
    ours, theirs = random.normal(1, 1, (4000, 6)), random.normal(0, 1, (4000, 6))
    found = (stats.ttest_ind(ours, theirs, axis=1).pvalue < 0.05).mean()
    assert power(1, 1, 6) == pytest.approx(found, abs=0.025)
    found = (stats.ttest_1samp(ours, 0, axis=1).pvalue < 0.05).mean()
    assert power(1, 1, 6, paired=True) == pytest.approx(found, abs=0.025)
    assert power(0, 1, 6) == pytest.approx(0.05)


def test_what_is_detectable_has_that_power():
    for seeds in (2, 3, 5, 20):
        least = detectable(0.5, seeds)
        assert power(least, 0.5, seeds) == pytest.approx(0.8)
    assert detectable(0.5, 3) > detectable(0.5, 5) > detectable(0.5, 5, paired=True)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: difference_interval([1], [1, 2]), "ours has 1 seeds; an interval needs"),
        (lambda: difference_interval([1, 2], [1, 2, 3], paired=True), "pairs need as many of each"),
        (lambda: difference_interval([1, 2], [3, 4], confidence=1), "confidence is 1; it must be"),
        (lambda: difference_interval([[1, 2]], [1, 2]), r"ours has shape \(1, 2\); it must be a"),
        (lambda: bootstrap_interval([1]), "values has 1 of them; a bootstrap needs at least 2"),
        (lambda: bootstrap_interval([1, 2], resamples=0), "resamples is 0; it must be"),
        (lambda: sign_flip_test([]), r"differences has shape \(0,\); it must be a list"),
        (lambda: sign_flip_test([1], alternative="more"), "alternative is 'more'; it must be"),
        (lambda: mcnemar([1, 0], [1]), "ours has 2 values and theirs 1; pairs need"),
        (lambda: mcnemar([1, 2], [1, 0]), "ours_right has other values than 0 and 1"),
        (lambda: holm([0.1, 1.2]), "p_values has other values than a list of p"),
        (lambda: expected_best([1, 2], 3), "n is 3; it must be from 1 to 2"),
        (lambda: expected_best([1, 2], 0), "n is 0; it must be a whole number, 1 or more"),
        (lambda: power(1, 0, 5), "spread is 0; it must be above 0"),
        (lambda: power(1, 1, 1), "seeds is 1; it must be a whole number, 2 or more"),
        (lambda: detectable(1, 5, chance=0.01), "chance is 0.01; it must be above the level"),
    ],
)
def test_input_that_does_not_fit_gets_one_sentence(call, said):
    with pytest.raises(ValueError, match=said):
        call()
