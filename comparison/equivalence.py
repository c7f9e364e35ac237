"""Whether variants are equivalent within a margin, by two one-sided tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from comparison.inference import Pair, Scores, blocks
from comparison.statistics import holm


@dataclass(frozen=True)
class EquivalencePair(Pair):
    """A pair with the p of its test, corrected for all pairs."""

    p: float


def equivalences(scores: Scores, margin: float, alpha: float = 0.05) -> list[EquivalencePair]:
    """Two one-sided t-tests of every pair, by seed, against ±margin (Schuirmann 1987).

    Args:
        scores: variant → seed → value.
        margin: above 0, in the scores' unit.
        alpha: level; the intervals are those of 1 − 2·alpha.

    Returns:
        Every pair with p corrected after Holm; equivalent within the margin are those with p below
        alpha.

    Raises:
        ValueError: see `blocks`; a margin that is not above 0.
    """
    from scipy.stats import t

    found = blocks(scores)
    rows, n = dict(zip(found.labels, found.values, strict=True)), len(found.seeds)
    pairs = list(combinations(found.labels, 2))
    p_values = [equivalence_p(rows[second], rows[first], margin) for first, second in pairs]
    tested = []
    for (first, second), p in zip(pairs, holm(p_values), strict=True):
        gains = rows[second] - rows[first]
        half = float(t.ppf(1 - alpha, n - 1) * gains.std(ddof=1) / math.sqrt(n))
        mean = float(gains.mean())
        tested.append(EquivalencePair(first, second, mean, mean - half, mean + half, float(p)))
    return tested


def equivalence_p(first: Sequence[float], second: Sequence[float], margin: float) -> float:
    """P of the two one-sided paired t-tests: small where the mean difference is within ±margin.

    Args:
        first: values of one variant, by seed.
        second: of another, in the same order.
        margin: above 0, in their unit.

    Raises:
        ValueError: a margin that is not above 0.
    """
    from statsmodels.stats.weightstats import ttost_paired

    if not margin > 0:
        raise ValueError(f"margin={margin} must be above 0: the largest difference that is none")
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    gains = one - other
    if np.ptp(gains) > 1e-12 * max(np.abs(one).max(), np.abs(other).max()):
        return float(ttost_paired(one, other, -margin, margin)[0])
    return float(abs(gains[0]) >= margin)  # equal gains have no spread, and leave nothing to test
