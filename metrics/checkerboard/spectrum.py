"""Power spectra: the peaks that a grid of period p puts at f = (i/p, j/p), and the profile.

A pattern that repeats every p pixels along both axes has power at the frequencies (i/p, j/p)
cycles per pixel and nowhere else. Natural images have a smooth spectrum there, so that a grid shows
as a peak above the frequencies around it.

Spectra are averaged over half-overlapping square tiles (Welch 1967), 64 pixels or 16 periods wide
where the image allows it. A tile is a multiple of p, so that every such f falls on a bin of its
DFT and no peak is lost between two, whatever the image's size. And an excess in dB means the same
for small images and large ones, since a peak's height above its surroundings grows with the tile.

All is float32: peaks agree with float64 to 0.01 dB where a bin holds more than 1e-10 of the
image's mean square, which is an amplitude of 1e-5 of its root mean square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

LOBE = 1  # bins to either side that a Hann window spreads a peak over
TILE = 64  # pixels of a tile,
PERIODS = 16  # or as many periods where that is more,
FEWEST = 4  # and as few as leave a ring between the peaks where images are small
REACH = 4  # the ring goes out to 1 / 4 of the way to the next harmonic, or as many bins
SIDE = 4  # and off the axes is thinned out to about as many bins to either side
FLOOR = 1e-12  # of the image's mean square, above float32's rounding


def check_images(images: Tensor, periods: Sequence[int]) -> None:
    """Refuse what is not (B, C, H, W) floats, a period below 2 and images too small for one."""
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"images are {images.dtype} {tuple(images.shape)}: give floats (B, C, H, W)"
        )
    check_periods(periods)
    height, width = images.shape[-2:]
    for period in periods:
        if min(height, width) < FEWEST * period:
            raise ValueError(
                f"images of {height}×{width} are too small for period {period}: "
                f"give {FEWEST * period}×{FEWEST * period} pixels or more, or leave the period out"
            )


def check_periods(periods: Sequence[int]) -> None:
    """Refuse periods that are no whole numbers of 2 pixels or more, or none at all."""
    for period in periods:
        if isinstance(period, bool) or not isinstance(period, int) or period < 2:
            raise ValueError(f"period {period!r} is no grid: give whole numbers of 2 or more")
    if not periods:
        raise ValueError("periods=() leaves nothing to measure: give one or more, such as (2, 4)")


def tile_size(height: int, width: int, period: int) -> int:
    """Side of the tiles for a period: the multiple of it that fits into 64 pixels or 16 periods.

    Example:
        >>> tile_size(256, 256, 3), tile_size(256, 256, 8), tile_size(64, 48, 8)
        (63, 128, 48)
    """
    return period * min(max(TILE // period, PERIODS), height // period, width // period)


def power_spectrum(images: Tensor, size: int | None = None) -> Tensor:
    """Power spectrum of each image, averaged over channels; white noise of variance σ² gives σ².

    P(f) = mean_tiles,c |Σ_t w(t)·(x_c(t) − x̄_c)·e^(−2πi f·t)|² / Σ_t w(t)² with w a Hann window
    along both axes and x̄ the tile's mean under it, plus a floor of 1e-12 of the mean square.

    Args:
        images: (B, C, H, W) floats.
        size: side of square tiles, half of which overlap; None takes the image whole.

    Returns:
        (B, size, size) or (B, H, W) float32, the constant part at index (0, 0).

    Example:
        >>> x = torch.arange(16) % 2 - 0.5  # columns
        >>> power = power_spectrum(x.expand(1, 1, 16, 16))
        >>> power[0, 0, [0, 6, 7, 8, 9]].round(decimals=2)
        tensor([ 0.0000,  0.0000,  7.1100, 28.4400,  7.1100])
    """
    images = images.float()
    height, width = (size, size) if size else images.shape[-2:]
    window = hann(height, images.device)[:, None] * hann(width, images.device)
    places = tiles(images.shape[-2], images.shape[-1], height, width)
    power = images.new_zeros(len(images), height, width // 2 + 1)
    for top, left in places:
        tile = images[..., top : top + height, left : left + width]
        mean = (tile * window).sum((-2, -1), keepdim=True) / window.sum()
        half = torch.fft.rfft2((tile - mean) * window)
        power += (half.real.square() + half.imag.square()).mean(1)
    floor = FLOOR * images.square().mean((1, 2, 3)) + torch.finfo(torch.float32).tiny
    scale = len(places) * window.square().sum()
    return _whole(power / scale, width) + floor[:, None, None]


def tiles(height: int, width: int, tall: int, wide: int) -> list[tuple[int, int]]:
    """Top left corners of tiles that cover an image evenly, and overlap by half or a little more.

    Example:
        >>> tiles(100, 64, 64, 64)
        [(0, 0), (18, 0), (36, 0)]
    """
    return list(product(_starts(height, tall), _starts(width, wide)))


def _starts(n: int, side: int) -> list[int]:
    steps = math.ceil(2 * (n - side) / side)
    return [round(k * (n - side) / max(steps, 1)) for k in range(steps + 1)]


def hann(n: int, device: torch.device | None = None) -> Tensor:
    """Periodic Hann window, (n,)."""
    return torch.hann_window(n, periodic=True, device=device)


def _whole(half: Tensor, width: int) -> Tensor:
    """The whole plane (..., H, W) from the half that a real transform gives: P(−f) = P(f)."""
    mirrored = half[..., 1 : (width + 1) // 2].flip((-2, -1)).roll(1, dims=-2)
    return torch.cat((half, mirrored), dim=-1)


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
    found = []
    for j in range(period // 2 + 1):
        for i in range(period):
            twice = 2 * j in (0, period) and 2 * i > period  # −f is in the same column
            seen = any(i * q % period == 0 and j * q % period == 0 for q in (1, *known))
            if not twice and not seen:
                found.append((i, j))
    return tuple(found)


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
    if height % period or width % period or min(height, width) < FEWEST * period:
        raise ValueError(
            f"a spectrum of {height}×{width} has no bins for period {period}: take tiles whose "
            f"sides are multiples of {period}, {FEWEST * period} pixels or more"
        )
    flat = power.flatten(-2)
    peaks, levels = [], []
    for peak, ring in _bins(height, width, period, tuple(known)):
        peaks.append(flat[..., peak])
        levels.append(_log_median(flat[..., ring.to(flat.device)]))
    return torch.stack(peaks, -1), torch.stack(levels, -1)


def peak_excess(power: Tensor, period: int, known: Sequence[int] = ()) -> Tensor:
    """How far the power at each harmonic stands above its ring: 10·log10(P(f) / level), in dB.

    Zero for a smooth spectrum, averaged over many images. Of a single image the level, a median,
    is on average ln 2 of the mean power, which adds 1.6 dB.

    Args:
        power: (..., H, W), as for `grid_powers`; average over images first.
        period: p.
        known: periods whose own frequencies are left out.

    Returns:
        (..., F) dB, in the order of `harmonics(period, known)`.

    Example:
        >>> noise = torch.randn(200, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> checker = (-1.0) ** torch.arange(32).add(torch.arange(32)[:, None])
        >>> peak_excess(power_spectrum(noise + 0.1 * checker).mean(0), 2).round(decimals=1)
        tensor([ 0.0000, -0.4000,  7.3000])
    """
    peaks, levels = grid_powers(power, period, known)
    return decibels(peaks / levels)


def decibels(ratio: Tensor) -> Tensor:
    """10·log10 of a ratio of powers."""
    return 10 * ratio.log10()


def radial_profile(power: Tensor) -> Tensor:
    """Mean power over circles about the constant part: entry r is r cycles per shorter side.

    A bin (u, v) belongs to the circle nearest to √((u/H)² + (v/W)²) · min(H, W), with u and v
    counted from the constant part at index (0, 0): no shift, hence none by half a pixel. The
    corners beyond half a cycle per pixel are left out, as is usual.

    Args:
        power: (..., H, W).

    Returns:
        (..., min(H, W) // 2 + 1).

    Example:
        >>> radial_profile(torch.ones(8, 8))
        tensor([1., 1., 1., 1., 1.])
    """
    circle, counts = _circles(*power.shape[-2:])
    flat = power.flatten(-2)
    sums = flat.new_zeros(*flat.shape[:-1], len(counts))
    sums.index_add_(-1, circle.to(flat.device), flat)
    return (sums / counts.to(flat.device))[..., :-1]


def profile_distance(generated: Tensor, real: Tensor) -> Tensor:
    """Root mean square difference of two radial profiles in dB, without their constant part.

    Durall et al., "Watch your up-convolution" (CVPR 2020) compare such profiles. It tells blur
    and noise, and hardly any grid: a peak is one bin of the hundreds on its circle.

    Args:
        generated: (..., R), a mean over images.
        real: (..., R).

    Returns:
        (...) dB.

    Example:
        >>> profile_distance(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([9.0, 1.0, 2.0]))
        tensor(3.0103)
    """
    return decibels(generated[..., 1:] / real[..., 1:]).square().mean(-1).sqrt()


def near_grid(n: int, period: int, reach: float = LOBE) -> Tensor:
    """Which of the n bins of an axis lie within `reach` bins of a multiple of n / period, (n,)."""
    bins = torch.arange(n, dtype=torch.float64)
    spacing = n / period
    # half a bin more where the harmonic falls between two
    reach = reach + (0.5 if n % period else 0.0)
    return (bins - (bins / spacing).round() * spacing).abs() <= reach


def _log_median(values: Tensor) -> Tensor:
    ordered = values.sort(-1).values
    count = values.shape[-1]
    return (ordered[..., (count - 1) // 2] * ordered[..., count // 2]).sqrt()


@lru_cache(maxsize=64)
def _bins(height: int, width: int, period: int, known: tuple[int, ...]) -> list[tuple[int, Tensor]]:
    """For each harmonic its bin and those of its ring, as indices into the flattened plane."""
    rows, columns = near_grid(height, period), near_grid(width, period)
    found = []
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
        found.append((u * width + v, torch.tensor(ring)))
    return found


def _offsets(n: int, period: int, thin: bool) -> list[int]:
    """Steps in bins from a harmonic to the ring's edge on either side."""
    reach = max(REACH, n // (REACH * period))
    step = math.ceil(reach / SIDE) if thin else 1
    return [d for d in range(-reach, reach + 1) if d % step == 0]


def _on_axis(centre: int, offset: int, n: int) -> bool:
    """Whether a bin or its mirror image about the centre lies in the lobe of the axis."""
    places = ((centre + offset) % n, (centre - offset) % n)
    return any(min(place, n - place) <= LOBE for place in places)


@lru_cache(maxsize=8)
def _circles(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The circle of every bin, flattened, and how many bins each holds; the last is the corners."""
    rows, columns = (torch.fft.fftfreq(n, dtype=torch.float64) for n in (height, width))
    shorter = min(height, width)
    # the 1e-9 keeps the rounding of a half independent of the platform
    radius = (shorter * torch.hypot(rows[:, None], columns) + 1e-9).round().long()
    circle = radius.clamp(max=shorter // 2 + 1).flatten()
    return circle, torch.bincount(circle, minlength=shorter // 2 + 2).clamp(min=1)
