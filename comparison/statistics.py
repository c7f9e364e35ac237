"""Statistics of few seeds: intervals, paired tests, corrections, and how many seeds would do.

All is for independent values from a normal distribution, as means over a test set nearly are;
`sign_flip` assumes symmetry alone. scipy and statsmodels are imported inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

#: Fewest pairs at which flipping signs can give a p-value below 0.05, and most that are enumerated.
FLIPS = range(6, 17)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        n: seeds.
        mean: of the values.
        spread: their standard deviation, with n − 1; None for one.
        half: half the width of the mean's interval; None for one seed.
    """

    n: int
    mean: float
    spread: float | None
    half: float | None


def estimate(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Mean x̄ ± t·s/√n with t the quantile of Student's distribution of n − 1 degrees of freedom.

    Raises:
        ValueError: without values, or for a level that is no share.

    Example:
        >>> result = estimate([1.0, 2.0, 3.0])
        >>> result.mean, round(result.half, 3)
        (2.0, 2.484)
    """
    if not len(values):
        raise ValueError("values=[] have no mean: give one or more")
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must be a share between 0 and 1")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(1, mean, None, None)
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1))
    if spread <= 1e-12 * max(map(abs, values)):  # equal but for rounding
        spread = 0.0
    from scipy.special import stdtrit

    t = float(stdtrit(n - 1, (1 + level) / 2))
    return Estimate(n, mean, spread, t * spread / math.sqrt(n))


def paired_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of the paired t-test: P(|T| ≥ |x̄|·√n/s) with n − 1 degrees of freedom.

    Returns:
        None for one pair, and for equal differences other than 0, whose spread is unknown.
    """
    d = estimate(differences)
    if not d.spread:
        return 1.0 if d.spread == 0 and d.mean == 0 else None
    from scipy.special import stdtr

    return 2 * float(stdtr(d.n - 1, -abs(d.mean) * math.sqrt(d.n) / d.spread))


def sign_flip(differences: Sequence[float]) -> float | None:
    """Exact p of the paired permutation test, which assumes no normal distribution.

    The share of the 2ⁿ choices of signs whose |sum| is no smaller than the one observed (Fisher
    1935).

    Returns:
        None below 6 pairs, where it cannot be less than 0.05, and above 16.
    """
    d = np.asarray(differences, dtype=float)
    if len(d) not in FLIPS:
        return None
    signs = 1 - 2.0 * (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1)  # (2ⁿ, n)
    return float(np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-12 * np.abs(d).sum()))


def hedges_g(differences: Sequence[float]) -> float | None:
    """Effect size of paired differences: Cohen's d = x̄/s, freed of its bias for few pairs.

    g = d·Γ(ν/2) / (√(ν/2)·Γ((ν − 1)/2)) with ν = n − 1 (Hedges 1981).

    Returns:
        None below 3 pairs and for equal differences.

    Example:
        >>> round(hedges_g([1.0, 2.0, 3.0]), 3)  # d = 2
        1.128
    """
    d = estimate(differences)
    if d.n < 3 or not d.spread:
        return None
    df = d.n - 1
    correction = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    return correction * d.mean / d.spread


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that one of them below α by chance has probability α or less.

    The k-th smallest of m becomes max over j ≤ k of (m − j + 1)·p₍ⱼ₎, at most 1 (Holm 1979).

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    if not len(p_values):
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def seeds_needed(
    differences: Sequence[float], alpha: float = 0.05, power: float = 0.8, most: int = 1000
) -> int | None:
    """How many pairs the t-test would need, were mean and spread truly those observed.

    Args:
        differences: two or more.
        alpha: level of the two-sided test, corrected for how many there are.
        power: probability of finding the difference.
        most: the search ends here.

    Returns:
        None where more than `most` would not do, or nothing is known of the spread.
    """
    d = estimate(differences)
    if not d.spread or not d.mean:
        return None
    effect = abs(d.mean) / d.spread
    # of known spread, n = ((z(1 − α/2) + z(power)) / d)²; of an unknown one, more
    z = NormalDist().inv_cdf
    n = max(2, math.floor(((z(1 - alpha / 2) + z(power)) / effect) ** 2))
    while n <= most and t_power(effect, n, alpha) < power:
        n += 1
    return n if n <= most else None


def t_power(effect: float, n: int, alpha: float) -> float:
    """Probability that a two-sided paired t-test of n pairs finds an effect d = μ/σ.

    P(|T| > t) of Student's noncentral distribution with n − 1 degrees of freedom and shift d√n.
    """
    from scipy import stats

    shift, t = abs(effect) * math.sqrt(n), stats.t.ppf(1 - alpha / 2, n - 1)
    # the far tail, which scipy loses to rounding for large shifts, is less than that of shift 0
    far = stats.nct.cdf(-t, n - 1, shift)
    return float(stats.nct.sf(t, n - 1, shift) + (far if math.isfinite(far) else 0.0))
