"""What seeds and images allow to say of several variants: which differ, which are near the best.

Scores are given as variant → seed → value. The runs of a seed share data order and the other
layers' first weights, so that seeds are blocks: value = variant + seed + error, with one variance
(a randomised complete block design). Seeds that a variant lacks are left out for all.
docs/protocol.md says which of these decides what. scipy and statsmodels are imported in functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

Scores = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Blocks:
    """Scores of variants by common seeds, with the error of the additive model.

    Attributes:
        labels: the variants.
        seeds: that all of them have.
        values: (variants, seeds).
        error: standard deviation of the residuals.
        df: their degrees of freedom, (variants − 1)·(seeds − 1).
    """

    labels: list[str]
    seeds: list[int]
    values: np.ndarray
    error: float
    df: int

    @property
    def means(self) -> dict[str, float]:
        """Label → mean over the seeds."""
        return dict(zip(self.labels, self.values.mean(axis=1).tolist(), strict=True))

    @property
    def standard_error(self) -> float:
        """Of the difference of two means: error·√(2/n)."""
        return self.error * math.sqrt(2 / len(self.seeds))


@dataclass(frozen=True)
class Pair:
    """Two variants: the second's mean less the first's.

    Attributes:
        first: label.
        second: label.
        difference: of the means over common seeds.
        low: end of the interval; simultaneous over all pairs, or of the equivalence test.
        high: its other end.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class TukeyPair(Pair):
    """A pair whose interval is simultaneous.

    Attributes:
        q: the studentised range of the two means.
        count: variants.
        df: degrees of freedom of the error.
    """

    q: float
    count: int
    df: int

    @property
    def p(self) -> float:
        """Adjusted for all pairs."""
        from scipy.stats import studentized_range

        if math.isnan(self.q):
            return 1.0
        return float(studentized_range.sf(self.q, self.count, self.df))


@lru_cache
def quantile(level: float, count: int, df: float) -> float:
    """Of the studentised range of `count` means; df may be infinite."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(level, count, df))


def blocks(scores: Scores) -> Blocks:
    """Arrange scores by common seeds and fit the additive model by least squares.

    Raises:
        ValueError: fewer than two variants, or than two seeds that all of them have.
    """
    labels = list(scores)
    seeds = sorted(set.intersection(*(set(scores[label]) for label in labels))) if labels else []
    if len(labels) < 2 or len(seeds) < 2:
        raise ValueError(
            f"{len(labels)} variants with {len(seeds)} common seeds tell nothing of the error: "
            "two of either are the least"
        )
    values = np.array([[scores[label][seed] for seed in seeds] for label in labels], dtype=float)
    fitted = values.mean(1, keepdims=True) + values.mean(0, keepdims=True) - values.mean()
    df = (len(labels) - 1) * (len(seeds) - 1)
    error = math.sqrt(((values - fitted) ** 2).sum() / df)
    if error <= 1e-12 * np.abs(values).max():  # equal but for rounding
        error = 0.0
    return Blocks(labels, seeds, values, error, df)


def all_pairs(scores: Scores, level: float = 0.95) -> list[TukeyPair]:
    """Simultaneous intervals of all differences (Tukey's HSD in a randomised block design).

    x̄ᵢ − x̄ⱼ ± q·error/√n with q the quantile of the studentised range of all variants.

    Args:
        scores: variant → seed → value.
        level: the chance that all intervals hold the true differences.

    Raises:
        ValueError: see `blocks`.
    """
    found = blocks(scores)
    count, width = len(found.labels), found.error / math.sqrt(len(found.seeds))
    half = quantile(level, count, found.df) * width
    pairs, means = [], found.means
    for first, second in combinations(found.labels, 2):
        difference = means[second] - means[first]
        q = abs(difference) / width if width else math.inf * abs(difference or math.nan)
        low, high = difference - half, difference + half
        pairs.append(TukeyPair(first, second, difference, low, high, q, count, found.df))
    return pairs


def all_pairs_own_variances(scores: Scores, level: float = 0.95) -> list[Pair]:
    """Simultaneous intervals of all differences, each variant with its own variance.

    x̄ᵢ − x̄ⱼ ± q·√((sᵢ² + sⱼ²)/2n) with Welch's degrees of freedom (Games & Howell 1976, "Pairwise
    multiple comparison procedures with unequal n's and/or variances"). Seeds are no blocks here.

    Args:
        scores: variant → seed → value.
        level: the chance that all intervals hold the true differences.

    Returns:
        Every pair; the interval of two variants without any variance is nan, and tells nothing.

    Raises:
        ValueError: see `blocks`.
    """
    from scipy.stats import tukey_hsd

    found = blocks(scores)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = tukey_hsd(*found.values, equal_var=False).confidence_interval(level)
    means, places = found.means, list(enumerate(found.labels))
    return [
        Pair(one, other, means[other] - means[one], float(ends.low[j, i]), float(ends.high[j, i]))
        for (i, one), (j, other) in combinations(places, 2)
    ]


def near_best(
    scores: Scores,
    better: int = 1,
    level: float = 0.95,
    pairs: Callable[[Scores, float], Sequence[Pair]] = all_pairs,
) -> list[str]:
    """The variants that are not distinguishable from the one with the best mean, the best first.

    Those whose simultaneous interval against it holds 0.

    Args:
        scores: variant → seed → value.
        better: 1 where higher is better, -1 where lower is.
        level: of the intervals.
        pairs: what makes the intervals.
    """
    means = blocks(scores).means
    ordered = sorted(means, key=lambda label: -better * means[label])
    apart = {frozenset((p.first, p.second)) for p in pairs(scores, level) if p.differs}
    return [label for label in ordered if frozenset((label, ordered[0])) not in apart]


def detectable(scores: Scores, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference of two variants that `all_pairs` finds with this probability.

    P(|T| > q/√2) = power for T of the noncentral t distribution with shift δ/standard error, q the
    quantile of the studentised range, the error taken as the true one.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    found = blocks(scores)
    if found.error == 0:
        return 0.0
    threshold = quantile(level, len(found.labels), found.df) / math.sqrt(2)

    def lack(shift: float) -> float:
        return float(nct.sf(threshold, found.df, shift)) - power

    return float(brentq(lack, 0.0, 20 * threshold)) * found.standard_error


@dataclass(frozen=True)
class Floor:
    """How far two variants that compute one function came apart: what training alone does.

    Attributes:
        means: difference of their means over common seeds.
        largest: largest difference at one seed.
    """

    means: float
    largest: float


def noise_floor(scores: Scores, twin: str, other: str) -> Floor:
    """The noise floor from an A/A pair, both signs dropped.

    Raises:
        ValueError: the two have no common seed.
    """
    common = sorted(set(scores.get(twin, {})) & set(scores.get(other, {})))
    if not common:
        raise ValueError(f"{twin} and {other} have no common seed: train both with one")
    gaps = [scores[twin][seed] - scores[other][seed] for seed in common]
    return Floor(abs(math.fsum(gaps)) / len(gaps), max(map(abs, gaps)))
