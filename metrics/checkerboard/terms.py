"""What each image contributes to the measures, and the measures of a set from its mean.

Every measure of a set of images is a function of a few means over its images. So one pass keeps
a few hundred numbers of each image, and any weighted set, such as a bootstrap's or half of the real
images, is measured from them without touching a pixel again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from upzoo.metrics.checkerboard.phases import (
    detail_energy,
    deviations,
    folds,
    phase_mean,
    phase_variance_ratio,
)
from upzoo.metrics.checkerboard.power import (
    check_images,
    chunk,
    decibels,
    floor,
    power_spectrum,
    tile_size,
)
from upzoo.metrics.checkerboard.profile import radial_profile
from upzoo.metrics.checkerboard.sharpness import detail_share
from upzoo.metrics.checkerboard.spectrum import (
    cell_powers,
    columns_read,
    harmonics,
    peak_excess,
)

Terms = dict[str, Tensor]
NAMES = ("peak", "grid", "detail", "profile", "spread")


def measured(images: Tensor, periods: Sequence[int], compared: bool = True) -> Terms:
    """The terms of every image.

    peak (B, F): amplitude at the harmonics over that around them, periods in rising order, each
    frequency with the smallest period that has it. Amplitudes are averaged over images, for with
    powers a few images would outvote the others, and with decibels chance would weigh more.
    grid (B, C, Σp²) and detail (B, Σp²): the phase maps, flattened. profile (B, R). spread (B, 2):
    variance and share of fine detail.

    Args:
        images: (B, C, H, W) floats.
        periods: whole numbers of 2 or more, rising.
        compared: with real images. If not, profile and share, which say nothing by themselves, are
            nan, and half of each spectrum need not be made.

    Raises:
        ValueError: for what `check_images` refuses, and values that are not finite.
    """
    check_images(images, periods)
    rows = max(1, chunk(images) // math.prod(images.shape[1:]))
    parts = [_measured(chunk.float(), tuple(periods), compared) for chunk in images.split(rows)]
    terms = {name: torch.cat([part[name] for part in parts]) for name in NAMES}
    # a variance is finite where all values are, but for huge ones
    if not (terms["spread"][:, 0].isfinite().all() or images.isfinite().all()):
        raise ValueError("images hold nan or infinite values: leave those images out")
    return terms


def _measured(images: Tensor, periods: tuple[int, ...], compared: bool) -> Terms:
    height, width = images.shape[-2:]
    own = [(period, periods[:place]) for place, period in enumerate(periods)]
    sides = [tile_size(height, width, period) for period in periods]
    # in two passes, which is quicker than torch's var
    means = images.mean((-2, -1), keepdim=True)
    variance = (images - means).square_().mean((-3, -2, -1))
    # E[x²] = Var x + mean_c (E x_c)²
    least, powers = floor(variance + means.square().mean((-3, -2, -1))), {}
    for side in sorted(set(sides)):
        # the smallest tiles are those of the smallest period, and the most
        whole = compared and side == min(sides)
        reads = tuple(each for each, its in zip(own, sides, strict=True) if its == side)
        columns = None if whole else columns_read(side, reads).to(images.device)
        powers[side] = power_spectrum(images, side, least, columns)
    peak = []
    for (period, known), side in zip(own, sides, strict=True):
        cells = cell_powers(images, period, known, least)
        # √(P(f) / level)
        peak.append(10 ** (peak_excess(powers[side], period, known, cells) / 20))
    power = powers[min(sides)]
    profile = power.new_full((len(images), min(sides) // 2 + 1), torch.nan)
    share = torch.full_like(variance, torch.nan)
    if compared:
        profile, share = radial_profile(power), detail_share(power, periods)
    return {
        "peak": torch.cat(peak, -1),
        "grid": torch.cat([deviations(f).flatten(-2) for f in folds(images, periods)], -1),
        "detail": torch.cat([f.flatten(-2) for f in folds(detail_energy(images), periods)], -1),
        "profile": profile,
        "spread": torch.stack((variance, share), -1),
    }


def averaged(terms: Terms, weights: Tensor) -> Terms:
    """Weighted means over images.

    Args:
        terms: of N images.
        weights: (S, N), each row with the sum 1: one set of images a row.

    Returns:
        The terms of S sets.
    """
    return {
        name: (weights @ values.flatten(1)).unflatten(1, values.shape[1:])
        for name, values in terms.items()
    }


def measures(
    generated: Terms, real: Terms | None, periods: Sequence[int]
) -> dict[int, dict[str, Tensor]]:
    """All measures of S sets by period, from the sets' mean terms.

    Args:
        generated: of S sets.
        real: of as many, or None: then nothing is subtracted from the excess.
        periods: as they were measured.

    Returns:
        Period -> `excess_db` (S, F) of each harmonic; and (S,) each `peak_excess_db`, the highest,
        `mean_excess_db` of all, `phase_mean` and `phase_variance_ratio`.
    """
    # 20·log10 of the mean amplitudes
    excess = 2 * decibels(generated["peak"] / (real["peak"] if real else 1))
    by_period, harmonic, phase = {}, 0, 0
    for place, period in enumerate(periods):
        count, area = len(harmonics(period, periods[:place])), period**2
        own = excess[:, harmonic : harmonic + count]
        grid, detail = (
            generated[name][..., phase : phase + area].unflatten(-1, (period, period))
            for name in ("grid", "detail")
        )
        by_period[period] = {
            "excess_db": own,
            "peak_excess_db": own.amax(-1),
            "mean_excess_db": own.mean(-1),
            "phase_mean": phase_mean(grid, generated["spread"][:, 0]),
            "phase_variance_ratio": phase_variance_ratio(detail, grid),
        }
        harmonic, phase = harmonic + count, phase + area
    return by_period


def bootstrap_weights(count: int, sets: int, generator: torch.Generator) -> Tensor:
    """Sets of `count` images drawn from as many with replacement, as weights (sets, count)."""
    drawn = torch.randint(0, count, (sets, count), generator=generator)
    return _weights(drawn, count)


def null_weights(
    count: int, generated: int, real: int, sets: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pairs of sets that both are real: one from a random half of the images, one from the other.

    Each is drawn with replacement, as large as the sets to be compared, so that what the pairs
    differ by is what chance alone makes of such sets; a little more, since a half varies more.

    Args:
        count: of the real images, 2 or more.
        generated: size of the first set.
        real: size of the second.
        sets: how many pairs.
        generator: of the random numbers.

    Returns:
        Weights (sets, count), twice.
    """
    order = torch.rand(sets, count, generator=generator).argsort(-1)
    pair = []
    for half, size in zip(order.tensor_split(2, dim=-1), (generated, real), strict=True):
        drawn = torch.randint(0, half.shape[-1], (sets, size), generator=generator)
        pair.append(_weights(half.gather(-1, drawn), count))
    return pair[0], pair[1]


def _weights(drawn: Tensor, count: int) -> Tensor:
    ones = torch.ones_like(drawn, dtype=torch.float32)
    return torch.zeros(len(drawn), count).scatter_add_(-1, drawn, ones) / drawn.shape[-1]
