"""Ranks of variants over many settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from comparison.inference import quantile

#: Fewest settings over which variants are ranked.
FEWEST_SETTINGS = 8


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over settings.

    Attributes:
        mean: label → mean rank, 1 the best.
        p: of Friedman's test that all rank alike.
        critical: two mean ranks that differ by more differ significantly (Nemenyi).
    """

    mean: dict[str, float]
    p: float
    critical: float


def mean_ranks(
    scores: Mapping[str, Sequence[float]], better: int = 1, alpha: float = 0.05
) -> Ranks:
    """Friedman's test and Nemenyi's critical difference (Demšar 2006, section 3.2.2).

    Args:
        scores: variant → its mean score in every setting, in one order.
        better: 1 where higher is better, -1 where lower is.
        alpha: level.

    Raises:
        ValueError: fewer than eight settings, or than three variants.
    """
    from scipy.stats import friedmanchisquare, rankdata

    labels, values = list(scores), np.array(list(scores.values()), dtype=float)
    count, settings = values.shape if values.ndim == 2 else (len(labels), 0)
    if settings < FEWEST_SETTINGS or count < 3:
        raise ValueError(
            f"{count} variants in {settings} settings are not ranked: three variants in "
            f"{FEWEST_SETTINGS} settings are the least"
        )
    ranks = rankdata(-better * values, axis=0).mean(axis=1)
    q = quantile(1 - alpha, count, math.inf) / math.sqrt(2)
    critical = q * math.sqrt(count * (count + 1) / (6 * settings))
    p = float(friedmanchisquare(*values).pvalue)
    return Ranks(dict(zip(labels, ranks.tolist(), strict=True)), p, critical)
