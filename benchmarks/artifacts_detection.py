"""How small a grid each measure finds at 1 % false alarms, and what it calls a grid that is none.

A trial takes n images with a grid and 100 others, clean ones, at random from one pool. A measure
finds the grid where it is higher than in 99 % of trials whose n images are clean too.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.artifacts_images import CHANGES, GRIDS
from upzoo.metrics.checkerboard.profile import profile_distance
from upzoo.metrics.checkerboard.scores import CHECKERBOARD_DB
from upzoo.metrics.checkerboard.terms import Terms, averaged, measured, measures

AMPLITUDES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2)
COUNTS = (1, 4, 16, 40, 100)
DRAWN = 40  # the number of images whose curves are kept
PERIODS = (2, 3, 4, 8)
MEASURES = (
    "peak_excess_db",
    "mean_excess_db",
    "phase_mean",
    "phase_variance_ratio",
    "profile_distance_db",
)
TRIALS, FALSE, POWER = 1000, 0.01, 0.9


def sets(pool: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Weights (TRIALS, pool) of `count` images and of half the pool, apart from each other."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(TRIALS, pool, generator=generator).argsort(-1)
    pair = []
    for part in (order[:, :count], order[:, pool // 2 :]):
        weights = torch.zeros(TRIALS, pool)
        pair.append(weights.scatter_(-1, part, 1 / part.shape[-1]))
    return pair[0], pair[1]


def figures(generated: Terms, real: Terms, periods: Sequence[int]) -> dict[int, dict[str, Tensor]]:
    """Every measure of every trial, (TRIALS,), by period."""
    found = measures(generated, real, periods)
    distance = profile_distance(generated["profile"], real["profile"])
    return {
        period: {name: values[name] for name in MEASURES[:-1]} | {MEASURES[-1]: distance}
        for period, values in found.items()
    }


def curve(clean: Terms, injected: Sequence[Terms], period: int, count: int) -> dict[str, Any]:
    """Threshold and share of grids found at every amplitude, by measure.

    Args:
        clean: terms of the pool.
        injected: of the pool with a grid, one for each of AMPLITUDES.
        period: of the grid, the only one measured.
        count: images in a trial.
    """
    ours, others = sets(len(clean["peak"]), count, seed=0)
    real = averaged(clean, others)
    null = figures(averaged(clean, ours), real, (period,))[period]
    trials = [figures(averaged(terms, ours), real, (period,))[period] for terms in injected]
    found: dict[str, Any] = {}
    for name in MEASURES:
        threshold = null[name].quantile(1 - FALSE)
        shares = [(trial[name] > threshold).float().mean().item() for trial in trials]
        found[name] = {"threshold": threshold.item(), "smallest": smallest(shares)}
        if count == DRAWN:
            found[name]["found"] = shares
    if count == DRAWN:
        # of the peak excess
        found["median_db"] = [trial[MEASURES[0]].median().item() for trial in trials]
    return found


def smallest(shares: Sequence[float]) -> float | None:
    """The amplitude that is found in 90 % of trials, between those tried; None if none is.

    The first of AMPLITUDES if that is found already.
    """
    if shares[0] >= POWER:
        return AMPLITUDES[0]
    for low, high, a, b in zip(shares, shares[1:], AMPLITUDES, AMPLITUDES[1:], strict=False):
        if low < POWER <= high:
            # linear in the logarithm of the amplitude
            return math.exp(math.log(a) + (POWER - low) / (high - low) * math.log(b / a))
    return None


def detection(
    images: Tensor, periods: Sequence[int], counts: Sequence[int]
) -> list[dict[str, Any]]:
    """A row for each grid, period and number of images."""
    rows = []
    for period in periods:
        clean = measured(images, (period,))
        for kind, grid in GRIDS.items():
            print(f"{kind}, period {period}", flush=True)
            unit = grid(images, period)
            injected = [measured(images + a * unit, (period,)) for a in AMPLITUDES]
            rows += [
                {"grid": kind, "period": period, "images": n, **curve(clean, injected, period, n)}
                for n in counts
            ]
    return rows


def false_alarms(
    images: Tensor, changes: dict[str, Callable[[Tensor], Tensor]] = CHANGES, count: int = 40
) -> list[dict[str, Any]]:
    """What each measure says of changed images, at the threshold of clean ones, for all periods."""
    clean = measured(images, PERIODS)
    ours, others = sets(len(images), count, seed=1)
    real = averaged(clean, others)
    # of other trials, so that clean images are judged like all others
    mine, theirs = (averaged(clean, weights) for weights in sets(len(images), count, seed=2))
    null = figures(mine, theirs, PERIODS)
    rows = []
    for name, change in changes.items():
        terms = averaged(measured(change(images), PERIODS), ours)
        detail = terms["spread"][:, 1] / real["spread"][:, 1]
        row: dict[str, Any] = {
            "change": name,
            "sharpness_db": (10 * detail.log10()).median().item(),
            "periods": {},
        }
        for period, found in figures(terms, real, PERIODS).items():
            row["periods"][period] = {
                key: alarm(found[key], null[period][key].quantile(1 - FALSE)) for key in MEASURES
            }
        rows.append(row)
    return rows


def alarm(found: Tensor, threshold: Tensor) -> dict[str, float]:
    """Median of a measure, share of trials above chance, and above the 6 dB of `describe` too."""
    return {
        "median": min(found.median().item(), 1e6),  # JSON has no infinity
        "called": (found > threshold).float().mean().item(),
        "grid": (found > threshold.clamp(min=CHECKERBOARD_DB)).float().mean().item(),
    }
