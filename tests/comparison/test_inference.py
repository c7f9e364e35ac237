"""Inference for a few seeds: against published tables, other formulas and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from comparison import inference
from comparison.equivalence import equivalences
from comparison.inference import (
    all_pairs,
    all_pairs_own_variances,
    blocks,
    detectable,
    near_best,
)
from comparison.ranking import mean_ranks

HAND = {
    "a": {0: 1.0, 1: 2.0, 2: 3.0},
    "b": {0: 2.0, 1: 4.0, 2: 3.0},
    "c": {0: 6.0, 1: 6.0, 2: 9.0},
}


def test_blocks_by_hand():
    # means 2, 3, 7 and 3, 4, 5 around 4; residuals 0 0 0 / 0 1 −1 / 0 −1 1
    found = blocks(HAND)
    assert found.means == {"a": 2.0, "b": 3.0, "c": 7.0}
    assert (found.df, found.error) == (4, 1.0)
    assert found.standard_error == pytest.approx(math.sqrt(2 / 3))


def test_the_error_is_that_of_least_squares():
    values = np.random.default_rng(0).normal(size=(4, 5))
    scores = {str(v): dict(enumerate(row)) for v, row in enumerate(values)}
    variant, seed = np.divmod(np.arange(20), 5)
    design = np.hstack((np.eye(4)[variant], np.eye(5)[seed][:, 1:]))
    residual = np.linalg.lstsq(design, values.ravel(), rcond=None)[1][0]
    assert blocks(scores).error == pytest.approx(math.sqrt(residual / 12))


def test_all_pairs_with_the_tabled_quantile():
    # q(.05; 3, 4) = 5.040 (tables of the studentised range)
    half = 5.040 / math.sqrt(3)
    pairs = {(p.first, p.second): p for p in all_pairs(HAND)}
    assert [p.difference for p in pairs.values()] == [1, 5, 4]
    for pair in pairs.values():
        assert pair.low == pytest.approx(pair.difference - half, abs=2e-3)
        assert pair.high == pytest.approx(pair.difference + half, abs=2e-3)
        assert pair.differs == (pair.p < 0.05)
    assert [p.differs for p in pairs.values()] == [False, True, True]


def test_of_two_variants_it_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 6))
    (pair,) = all_pairs({"a": dict(enumerate(a)), "b": dict(enumerate(b))})
    reference = stats.ttest_rel(b, a)
    low, high = reference.confidence_interval(0.95)
    assert (pair.low, pair.high, pair.p) == pytest.approx((low, high, reference.pvalue), rel=1e-4)


def test_own_variances_by_hand():
    # a, c: variances 1 and 3; Welch: (1/3 + 3/3)² / (1/18 + 9/18) = 3.2
    half = stats.studentized_range.ppf(0.95, 3, 3.2) * math.sqrt((1 + 3) / 6)
    pairs = {(p.first, p.second): p for p in all_pairs_own_variances(HAND)}
    assert [p.difference for p in pairs.values()] == [1, 5, 4]
    assert pairs["a", "c"].low == pytest.approx(5 - half, rel=1e-6)
    assert pairs["a", "c"].high == pytest.approx(5 + half, rel=1e-6)


def test_a_noisy_variant_hides_nothing_of_two_quiet_ones():
    quiet = {
        "a": {s: 1.0 + 0.001 * s for s in range(5)},
        "b": {s: 1.1 - 0.001 * s for s in range(5)},
    }
    noisy = quiet | {"c": {s: 0.8 + 0.4 * (-1) ** s for s in range(5)}}
    assert near_best(noisy) == ["b", "a", "c"]
    # the wide interval of c holds 0 still
    assert near_best(noisy, pairs=all_pairs_own_variances) == ["b", "c"]


def test_two_variants_without_variance_are_not_told_apart():
    flat = {"a": {0: 1.0, 1: 1.0}, "b": {0: 2.0, 1: 2.0}, "c": {0: 0.0, 1: 0.5}}
    (pair,) = (p for p in all_pairs_own_variances(flat) if (p.first, p.second) == ("a", "b"))
    assert math.isnan(pair.low)
    assert not pair.differs


def experiments(count: int, gain: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Differences of all pairs and standard errors in simulated studies of 4 variants, 5 seeds."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(count, 4, 5)) + 3 * rng.normal(size=(count, 1, 5))
    values[:, 0] += gain
    fitted = values.mean(2, keepdims=True) + values.mean(1, keepdims=True)
    residual = values - fitted + values.mean((1, 2), keepdims=True)
    error = np.sqrt((residual**2).sum((1, 2)) / 12)
    means = values.mean(2)
    return means[:, :, None] - means[:, None, :], error


def test_one_of_twenty_null_studies_shows_a_difference():
    scores = {str(v): dict(enumerate(row)) for v, row in enumerate(np.eye(4, 5))}
    unit = blocks(scores).error
    half = all_pairs(scores)[0].high - all_pairs(scores)[0].difference
    differences, error = experiments(20_000)
    false = (np.abs(differences) > half / unit * error[:, None, None]).any((1, 2)).mean()
    assert false == pytest.approx(0.05, abs=0.006)


def test_the_detectable_difference_is_found_in_four_of_five_studies():
    scores = {str(v): dict(enumerate(row)) for v, row in enumerate(np.eye(4, 5))}
    found = blocks(scores)
    gain = detectable(scores) / found.error  # of unit error
    half = (all_pairs(scores)[0].high - all_pairs(scores)[0].difference) / found.error
    differences, error = experiments(20_000, gain)
    assert (differences[:, 0, 1] > half * error).mean() == pytest.approx(0.8, abs=0.012)


def test_the_best_and_what_is_not_distinguishable_from_it():
    assert near_best(HAND) == ["c"]
    assert near_best(HAND, better=-1) == ["a", "b"]
    noisy = {k: {s: v * (-1) ** s for s, v in row.items()} for k, row in HAND.items()}
    assert set(near_best(noisy)) == {"a", "b", "c"}


def test_equivalence_by_two_one_sided_tests():
    rng = np.random.default_rng(3)
    base = rng.normal(50, 3, size=6)
    rows = {"a": base, "b": base + rng.normal(0.1, 0.2, 6), "c": base + rng.normal(1, 0.3, 6)}
    pairs = equivalences({k: dict(enumerate(v)) for k, v in rows.items()}, margin=1.0)
    raw = []
    for pair in pairs:
        gains = rows[pair.second] - rows[pair.first]
        above = stats.ttest_1samp(gains, -1, alternative="greater")
        below = stats.ttest_1samp(gains, 1, alternative="less")
        raw.append(max(above.pvalue, below.pvalue))
        low, high = stats.ttest_1samp(gains, 0).confidence_interval(0.9)
        assert (pair.low, pair.high) == pytest.approx((low, high))
    order = np.argsort(raw)
    corrected = np.maximum.accumulate(np.array(raw)[order] * [3, 2, 1]).clip(max=1)
    assert np.array([p.p for p in pairs])[order] == pytest.approx(corrected)
    assert [p.p < 0.05 for p in pairs] == [True, False, False]


def test_equal_gains_are_decided_without_a_test():
    scores = {"a": {0: 1.0, 1: 2.0}, "b": {0: 1.0, 1: 2.0}, "c": {0: 3.0, 1: 4.0}}
    assert [p.p for p in equivalences(scores, 1.0)] == [0.0, 1.0, 1.0]
    assert detectable(scores) == 0
    assert [p.differs for p in all_pairs(scores)] == [False, True, True]


def test_only_common_seeds_count():
    scores = HAND | {"d": {1: 5.0, 2: 5.0, 7: 9.0}}
    assert blocks(scores).seeds == [1, 2]
    with pytest.raises(ValueError, match="2 variants with 1 common seeds tell nothing"):
        blocks({"a": {0: 1.0, 1: 2.0}, "b": {1: 1.0}})
    with pytest.raises(ValueError, match="0 variants"):
        blocks({})
    with pytest.raises(ValueError, match="margin=0 must be above 0"):
        equivalences(HAND, 0)


def test_the_noise_floor_of_an_a_a_pair():
    scores = {"a": {0: 1.0, 1: 2.0, 2: 4.0}, "twin": {0: 1.5, 1: 0.5}}
    floor = inference.noise_floor(scores, "twin", "a")
    assert (floor.means, floor.largest) == (0.5, 1.5)
    with pytest.raises(ValueError, match="twin and b have no common seed"):
        inference.noise_floor(scores, "twin", "b")


def test_nemenyi_of_demsars_example():
    # 4 classifiers on 14 data sets: q = 2.569, critical difference 1.25 (his section 3.2.4)
    rng = np.random.default_rng(4)
    values = rng.normal(size=(4, 14)) + np.array([[0.0], [0.5], [1.0], [3.0]])
    ranks = mean_ranks(dict(zip("abcd", values, strict=True)))
    assert ranks.critical == pytest.approx(1.25, abs=0.005)
    assert ranks.critical == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), rel=1e-3)
    mean = np.mean([stats.rankdata(-column) for column in values.T], axis=0)
    assert list(ranks.mean.values()) == pytest.approx(mean)
    chi = 12 * 14 / 20 * (np.sum(mean**2) - 4 * 25 / 4)
    assert ranks.p == pytest.approx(stats.chi2.sf(chi, 3))
    lower = mean_ranks(dict(zip("abcd", values, strict=True)), better=-1)
    assert list(lower.mean.values()) == pytest.approx(5 - mean)


def test_few_settings_are_not_ranked():
    with pytest.raises(ValueError, match="3 variants in 7 settings are not ranked"):
        mean_ranks({k: range(7) for k in "abc"})
    with pytest.raises(ValueError, match="2 variants in 9 settings are not ranked"):
        mean_ranks({k: range(9) for k in "ab"})
