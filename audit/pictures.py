"""The measures of pictures, taken on what the net makes of an example: what a constant cannot show.

A grid that changes its sign from place to place, or that rides on detail, leaves a constant flat.
It stands in the spectrum above its surroundings, and gives the phases unequal detail.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from upzoo.audit.phases import busiest
from upzoo.metrics.checkerboard.power import MIN_PERIODS, tile_size, tiles
from upzoo.metrics.checkerboard.terms import Terms, averaged, measured, measures

PERIODS = (2, 4, 8, 16, 32)
VISIBLE_DB = 6.0
MOST = 8  # images, and as many channels
#: Slices of a volume that are looked at.
SLICES = 8


@dataclass(frozen=True)
class Shown:
    """What pictures show at one period.

    Attributes:
        excess_db: of the highest harmonic above its surroundings, beyond that of the input.
        chance_db: what a picture of this size without a grid reaches once in a hundred.
        detail_ratio: fine detail of the richest phase over that of the poorest.
    """

    excess_db: float
    chance_db: float
    detail_ratio: float

    @property
    def seen(self) -> bool:
        """Whether it is a grid, beyond chance and beyond what blur and enlargement do."""
        return self.excess_db > VISIBLE_DB + self.chance_db


def show(y: Tensor, x: Tensor | None, periods: Iterable[int] = ()) -> dict[int, Shown]:
    """Measure a map that a net made of pictures.

    Args:
        y: (B, C, *spatial); of a volume some slices are looked at, a line is no picture.
        x: the pictures themselves (B, C, *spatial), whose own grid is no finding; or None.
        periods: that the layers could give a grid, with their divisors; the usual ones where none
            is known. Enlargement puts copies of a spectrum beside the frequencies of all others.

    Returns:
        By period; empty for maps that are too small.
    """
    made = _planes(y)
    if made is None:
        return {}
    small = min(made.shape[2:])
    divisors = {q for p in periods for q in range(2, p + 1) if p % q == 0}
    wanted = sorted(p for p in divisors or PERIODS if p <= 32 and small >= 2 * MIN_PERIODS * p)
    if not wanted or not made.isfinite().all():
        return {}
    found = measures(_mean(measured(made, wanted)), None, wanted)
    given = _planes(x) if x is not None else None
    own = given is not None and given.shape[2:] == made.shape[2:]
    before = (
        measures(_mean(measured(given, wanted)), None, wanted)
        if own and given is not None
        else None
    )
    shown = {}
    for period, values in found.items():
        excess = values["excess_db"]
        if before is not None:
            excess = excess - before[period]["excess_db"].clamp(min=0)
        shown[period] = Shown(
            excess_db=excess.max().item(),
            chance_db=chance(made, period, excess.numel()),
            detail_ratio=values["phase_variance_ratio"].item(),
        )
    return shown


def _planes(y: Tensor) -> Tensor | None:
    """(B, C, H, W) of at most a few images and channels, in float32."""
    if y.ndim == 5:
        step = max(1, y.shape[2] // SLICES)
        y = y[:, :, ::step].transpose(1, 2).flatten(0, 1)
    if y.ndim != 4:
        return None
    y = y[:MOST].detach().float()
    return y[:, busiest(y, MOST)]


def _mean(terms: Terms) -> Terms:
    count = len(terms["peak"])
    return averaged(terms, terms["peak"].new_full((1, count), 1 / count))


def chance(images: Tensor, period: int, harmonics: int) -> float:
    """How high the highest of a period's harmonics stands by chance, once in a hundred: dB.

    A bin's power is χ²-distributed with two degrees for each independent tile.
    """
    height, width = images.shape[-2:]
    side = tile_size(height, width, period)
    # overlapping tiles under a Hann window: about two of three count
    independent = max(1.0, len(tiles(height, width, side, side)) * 2 / 3) * len(images)
    degrees = 2 * independent
    # Wilson and Hilferty's approximation of the χ² quantile
    z = _normal_quantile(1 - 0.01 / harmonics)
    high = (1 - 2 / (9 * degrees) + z * math.sqrt(2 / (9 * degrees))) ** 3
    middle = (1 - 2 / (9 * degrees)) ** 3
    return 10 * math.log10(high / middle)


def _normal_quantile(p: float) -> float:
    return torch.special.ndtri(torch.tensor(p, dtype=torch.float64)).item()


def worst(shown: dict[int, Shown]) -> tuple[int, Shown] | None:
    """The period that stands out most, beyond chance."""
    if not shown:
        return None
    return max(shown.items(), key=lambda pair: pair[1].excess_db - pair[1].chance_db)


def seen_periods(shown: dict[int, Shown]) -> Sequence[int]:
    """The periods with a grid."""
    return [period for period, values in shown.items() if values.seen]
