"""Against scipy's own tests, simulation, tables and sums by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import gamma

from comparison import statistics

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 31])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_intervals(n, level):
    values = RNG.normal(3, 2, n)
    found = statistics.estimate(values, level)
    low, high = stats.t.interval(level, n - 1, values.mean(), stats.sem(values))
    assert found.n == n
    assert found.mean - found.half == pytest.approx(low, rel=1e-10)
    assert found.mean + found.half == pytest.approx(high, rel=1e-10)
    assert found.spread == pytest.approx(values.std(ddof=1))


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert statistics.estimate([4.5]) == statistics.Estimate(1, 4.5, None, None)
    with pytest.raises(ValueError, match=r"values=\[\]"):
        statistics.estimate([])
    with pytest.raises(ValueError, match="level=95"):
        statistics.estimate([1.0, 2.0], level=95)


def test_equal_values_have_no_spread_whatever_rounding_says():
    assert statistics.estimate([0.1 + 0.2, 0.3, 0.3]).half == 0


@pytest.mark.parametrize("n", [2, 3, 6, 20])
def test_paired_t(n):
    a, b = RNG.normal(0, 1, n), RNG.normal(0.4, 1, n)
    assert statistics.paired_p(a - b) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=1e-12)


def test_paired_t_without_spread():
    assert statistics.paired_p([0.0, 0.0, 0.0]) == 1
    assert statistics.paired_p([0.5, 0.5, 0.5]) is None, "no spread says nothing of chance"
    assert statistics.paired_p([0.5]) is None


@pytest.mark.parametrize("n", [6, 9])
def test_sign_flips(n):
    d = RNG.normal(0.5, 1, n)
    truth = stats.permutation_test(
        (d,), np.sum, permutation_type="samples", alternative="two-sided", n_resamples=np.inf
    )
    assert statistics.sign_flip(d) == pytest.approx(truth.pvalue)


def test_sign_flips_of_one_sign_give_the_least_p_there_is():
    assert statistics.sign_flip([1.0, 2.0, 3.0, 1.5, 0.5, 4.0]) == 2 / 64
    assert statistics.sign_flip([1.0] * 5) is None
    assert statistics.sign_flip([1.0] * 17) is None


def test_hedges():
    # J(ν) = Γ(ν/2) / (√(ν/2)·Γ((ν−1)/2)): 1/√π for ν = 2
    assert statistics.hedges_g([1.0, 2.0, 3.0]) == pytest.approx(2 / math.sqrt(math.pi))
    d = RNG.normal(1, 1, 10)
    truth = d.mean() / d.std(ddof=1) * gamma(4.5) / (math.sqrt(4.5) * gamma(4))
    assert statistics.hedges_g(d) == pytest.approx(truth)
    assert statistics.hedges_g([1.0, 2.0]) is None
    assert statistics.hedges_g([1.0, 1.0, 1.0]) is None


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, each no less than the one before
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []


@pytest.mark.parametrize(
    ("effect", "n", "alpha"), [(3.0, 3, 0.05), (1.0, 5, 0.01), (-0.5, 30, 0.05)]
)
def test_power_is_how_often_the_test_finds_the_effect(effect, n, alpha):
    pairs = np.random.default_rng(1).normal(effect, 1, (40_000, n))
    found = stats.ttest_1samp(pairs, 0, axis=1).pvalue < alpha
    assert statistics.t_power(effect, n, alpha) == pytest.approx(found.mean(), abs=0.01)


def test_power_of_a_huge_effect_is_certainty():
    assert statistics.t_power(200.0, 5, 0.05 / 14) == pytest.approx(1)


@pytest.mark.parametrize(("mean", "alpha"), [(3.0, 0.05), (1.0, 0.05), (1.0, 0.005), (0.3, 0.05)])
def test_seeds_needed_are_the_fewest_that_reach_the_power(mean, alpha):
    differences = [mean - 1, mean, mean + 1]  # spread 1, so that the effect is `mean`
    n = statistics.seeds_needed(differences, alpha)
    assert statistics.t_power(mean, n, alpha) >= 0.8
    assert n == 2 or statistics.t_power(mean, n - 1, alpha) < 0.8


def test_seeds_needed_as_tabulated():
    # Cohen's d = 0.5, two-sided 0.05, power 0.8: 34 pairs, as G*Power says
    assert statistics.seeds_needed([-0.5, 0.5, 1.5]) == 34
    assert statistics.seeds_needed([-0.99, 0.01, 1.01]) is None, "more than a thousand"
    assert statistics.seeds_needed([1.0]) is None
    assert statistics.seeds_needed([-1.0, 1.0]) is None, "no difference at all"
