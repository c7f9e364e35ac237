"""Spectral peaks: the power that a checkerboard of period p puts at f = (i/p, j/p).

A pattern that repeats every p pixels along both axes has power at the frequencies (i/p, j/p)
cycles per pixel and nowhere else. Natural images have a smooth spectrum there, so that a
checkerboard shows as a peak above the frequencies around it.

All is float32: peaks agree with float64 to 0.01 dB where a bin holds more than 1e-10 of the
image's mean square, which is an amplitude of 1e-5 of its root mean square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.metrics.checkerboard.power import (
    LOBE,
    MIN_PERIODS,
    decibels,
    floor,
    mean_square,
    near_grid,
    starts,
    tile_size,
)

REACH = 4  # the ring goes out to 1 / 4 of the way to the next harmonic, or as many bins
SIDE = 4  # and off the axes is thinned out to about as many bins to either side


def harmonics(period: int, known: Sequence[int] = ()) -> tuple[tuple[int, int], ...]:
    """The (i, j) of all frequencies (i/p, j/p) ≠ 0, one of each pair ±f.

    Args:
        period: p.
        known: periods whose own frequencies are left out.

    Example:
        >>> harmonics(2)
        ((1, 0), (0, 1), (1, 1))
        >>> harmonics(4, known=(2,))
        ((1, 0), (0, 1), (1, 1), (2, 1), (3, 1), (1, 2))
    """
    indices = []
    for j in range(period // 2 + 1):
        for i in range(period):
            twice = 2 * j in (0, period) and 2 * i > period  # −f is in the same column
            seen = any(i * q % period == 0 and j * q % period == 0 for q in (1, *known))
            if not twice and not seen:
                indices.append((i, j))
    return tuple(indices)


def grid_powers(power: Tensor, period: int, known: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """Power at every harmonic of a period, and the level around it.

    The level is the median, in logarithms, of a square ring: from 2 bins out, beyond what the
    window spreads, to a quarter of the way to the next harmonic. Left out are the other harmonics
    of the period and, since upright and level edges gather power there, both axes; a harmonic *on*
    an axis is compared with its neighbours along that axis alone. What is left out is left out on
    both sides of f, so that a sloping spectrum has its median at f.

    Args:
        power: (..., H, W), of tiles whose sides are multiples of p, or a mean of such spectra.
        period: p.
        known: periods whose own frequencies are left out of the result.

    Returns:
        Peaks and levels, (..., F) each, in the order of `harmonics(period, known)`.

    Raises:
        ValueError: H or W is no multiple of p, or holds fewer than 4 periods.
    """
    height, width = power.shape[-2:]
    if height % period or width % period or min(height, width) < MIN_PERIODS * period:
        raise ValueError(
            f"a spectrum of {height}×{width} has no bins for period {period}: take tiles whose "
            f"sides are multiples of {period}, {MIN_PERIODS * period} pixels or more"
        )
    bins = _bins(height, width, period, tuple(known))
    peaks, rings, counts = (each.to(power.device) for each in bins)
    # behind the plane lies a value that no median of a ring is
    flat = F.pad(power.flatten(-2), (0, 1), value=torch.inf)
    return flat[..., peaks], _log_median(flat[..., rings], counts)


def cell_powers(
    images: Tensor, period: int, known: Sequence[int] = (), least: Tensor | None = None
) -> Tensor:
    """Power of each image at every harmonic, under a Hann window with steps p pixels wide.

    Nearest enlargement puts copies of the image around every harmonic, with a zero at the
    harmonic itself that a smooth window blurs. A window constant over cells of p×p pixels keeps it:
    a cell of one value has no power at f. Of smooth images it shows more than there is, so that the
    smaller of both figures is right for either; a checkerboard is the same in both.

    Args:
        images: (B, C, H, W) floats.
        period: p; cells begin at the image's corner.
        known: periods whose own frequencies are left out of the result.
        least: the images' `floor`, where it is known.

    Returns:
        (B, F) float32, as the peaks of `grid_powers` under `power_spectrum`.
    """
    images = images.float()
    height, width = images.shape[-2:]
    size = tile_size(height, width, period)
    steps, spread = (each.to(images.device) for each in _steps(size // period, period))
    tops, lefts = (starts(n, size, align=period) for n in (height, width))
    # sums over the cells of each phase, first of rows, then of columns; the mean of a tile, the
    # same for all phases, shows at f = 0 alone
    whole = images[..., : height // period * period, :].flatten(0, 1)
    rows = whole.unflatten(-2, (-1, period)).flatten(-2)  # (B·C, cells, p·W)
    bands = [steps @ rows[:, top // period : (top + size) // period] for top in tops]
    band = torch.stack(bands, 1).unflatten(-1, (period, width))  # (B·C, tops, p, W)
    folded = torch.stack([band[..., left : left + size] @ spread for left in lefts], 2)
    # the DFT at f = (i/p, j/p) needs but the sums over each phase
    waves = folded.flatten(-2) @ _waves(period, tuple(known)).to(images.device)
    total = waves.square_().sum((1, 2)).unflatten(0, images.shape[:2]).mean(1)
    total = total.unflatten(-1, (2, -1)).sum(-2)  # (B, F)
    window = steps.square().sum() * period  # Σ w² along one axis
    scale = len(tops) * len(lefts) * window.square()
    least = floor(mean_square(images)) if least is None else least
    return total / scale + least[:, None]


@lru_cache(maxsize=64)
def _steps(count: int, period: int) -> tuple[Tensor, Tensor]:
    """A window of so many steps, (count,), and that of each phase's pixels, (count·p, p)."""
    centres = (torch.arange(count) + 0.5) / count
    steps = (math.pi * centres).sin().square()
    return steps, torch.kron(steps[:, None], torch.eye(period))


@lru_cache(maxsize=64)
def _waves(period: int, known: tuple[int, ...]) -> Tensor:
    """The cosine, then the sine of each harmonic at the p·p phases, (p·p, 2·F)."""
    i, j = torch.tensor(harmonics(period, known), dtype=torch.float64).T
    row, column = torch.meshgrid(*[torch.arange(period)] * 2, indexing="ij")
    turns = (row.reshape(-1, 1) * i + column.reshape(-1, 1) * j) / period
    return torch.cat(((2 * math.pi * turns).cos(), (2 * math.pi * turns).sin()), dim=1).float()


def peak_excess(
    power: Tensor, period: int, known: Sequence[int] = (), cells: Tensor | None = None
) -> Tensor:
    """How far the power at each harmonic stands above its ring: 10·log10(P(f) / level), in dB.

    Zero for a smooth spectrum, a mean over many images or tiles. One tile of one image gives a
    random figure, for white noise -0.9 dB on average and -3.9 dB at f = ½, where its power has but
    one degree of freedom: compare it with that of real images, averaged over as many.

    Args:
        power: (..., H, W), as for `grid_powers`.
        period: p.
        known: periods whose own frequencies are left out.
        cells: (..., F), of `cell_powers`; the smaller of both powers counts as P(f).

    Returns:
        (..., F) dB, in the order of `harmonics(period, known)`.

    Example:
        >>> from upzoo.metrics.checkerboard.power import power_spectrum
        >>> noise = torch.randn(200, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> checker = (-1.0) ** torch.arange(32).add(torch.arange(32)[:, None])
        >>> peak_excess(power_spectrum(noise + 0.1 * checker).mean(0), 2).round(decimals=1)
        tensor([ 0.0000, -0.4000,  7.3000])
    """
    peaks, levels = grid_powers(power, period, known)
    if cells is not None:
        peaks = torch.minimum(peaks, cells)
    return decibels(peaks / levels)


def _log_median(values: Tensor, counts: Tensor) -> Tensor:
    """Median in logarithms of the `counts` smallest of the values, (..., F, n) -> (..., F)."""
    ordered = values.sort(-1).values
    places = torch.stack(((counts - 1) // 2, counts // 2), -1)  # the two in the middle
    middle = ordered.gather(-1, places.expand(*ordered.shape[:-1], 2))
    # each root by itself, for a product may be too small for float32
    return middle.sqrt().prod(-1)


@lru_cache(maxsize=64)
def columns_read(side: int, periods: tuple[tuple[int, tuple[int, ...]], ...]) -> Tensor:
    """Columns of a spectrum that `grid_powers` looks at, for `power_spectrum`.

    Args:
        side: of the tiles.
        periods: each period, and those whose frequencies are left out for it.

    Example:
        >>> columns_read(16, ((2, ()),))
        tensor([0, 4, 5, 6, 7, 8])
    """
    rings = [_bins(side, side, period, known) for period, known in periods]
    bins = torch.cat([each.flatten() for peaks, ring, _ in rings for each in (peaks, ring)])
    columns = bins[bins < side * side] % side
    return columns.minimum(side - columns).unique()


@lru_cache(maxsize=64)
def _bins(
    height: int, width: int, period: int, known: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Bins of the harmonics (F,), those of their rings (F, n) and how many these are (F,).

    They are indices into the flattened plane. Rings are filled up to n with the index behind it.
    """
    rows, columns = near_grid(height, period), near_grid(width, period)
    peaks, rings = [], []
    for i, j in harmonics(period, known):
        u, v = i * height // period, j * width // period
        across = _offsets(height, period, thin=bool(j)) if i else [0]
        along = _offsets(width, period, thin=bool(i)) if j else [0]
        ring = [
            (u + a) % height * width + (v + b) % width
            for a in across
            for b in along
            if not (rows[(u + a) % height] and columns[(v + b) % width])
            and not (i and j and (_on_axis(u, a, height) or _on_axis(v, b, width)))
        ]
        peaks.append(u * width + v)
        rings.append(torch.tensor(ring))
    counts = torch.tensor([len(ring) for ring in rings])
    filled = torch.nn.utils.rnn.pad_sequence(rings, batch_first=True, padding_value=height * width)
    return torch.tensor(peaks), filled, counts


def _offsets(n: int, period: int, thin: bool) -> list[int]:
    """Steps in bins from a harmonic to the ring's edge on either side."""
    reach = max(REACH, n // (REACH * period))
    step = math.ceil(reach / SIDE) if thin else 1
    return [d for d in range(-reach, reach + 1) if d % step == 0]


def _on_axis(centre: int, offset: int, n: int) -> bool:
    """Whether a bin or its mirror image about the centre lies in the lobe of the axis."""
    places = ((centre + offset) % n, (centre - offset) % n)
    return any(min(place, n - place) <= LOBE for place in places)
