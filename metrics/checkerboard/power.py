"""Power spectra of images, averaged over tiles.

Spectra are averaged over half-overlapping square tiles (Welch 1967), 64 pixels or 16 periods wide
where the image allows it. A tile is a multiple of the period p, so that every frequency
(i/p, j/p) falls on a bin of its DFT and no peak is lost between two, whatever the image's size.
And a peak's height in dB means the same for small images and large ones, since it grows with
the tile.
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
MIN_PERIODS = 4  # and as few as leave bins between the peaks where images are small
FLOOR = 1e-12  # of the image's mean square, above float32's rounding,
BLACK = 1e-30  # and for images that are zero
CHUNK = 2**18  # values that are worked on at a time, so that they stay in the cache


def chunk(images: Tensor) -> int:
    """Values that are worked on at a time: `CHUNK`, on a GPU, whose memory is its cache, more."""
    return CHUNK if images.is_cpu else 64 * CHUNK


def check_images(images: Tensor, periods: Sequence[int]) -> None:
    """Refuse what is not (B, C, H, W) floats, and images too small for a period."""
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"images are {images.dtype} {tuple(images.shape)}: give floats (B, C, H, W)"
        )
    check_periods(periods)
    height, width = images.shape[-2:]
    for period in periods:
        least = MIN_PERIODS * period
        if min(height, width) < least:
            raise ValueError(
                f"images of {height}×{width} are too small for period {period}: "
                f"give {least}×{least} pixels or more, or leave the period out"
            )


def check_periods(periods: Sequence[int]) -> None:
    """Refuse periods that are no whole numbers of 2 pixels or more, or none at all."""
    for period in periods:
        if isinstance(period, bool) or not isinstance(period, int) or period < 2:
            raise ValueError(f"period {period!r} is too small: give whole numbers of 2 or more")
    if not periods:
        raise ValueError("periods=() leaves nothing to measure: give one or more, such as (2, 4)")


def power_spectrum(
    images: Tensor,
    size: int | None = None,
    least: Tensor | None = None,
    columns: Tensor | None = None,
) -> Tensor:
    """Power spectrum of each image, averaged over channels; white noise of variance σ² gives σ².

    P(f) = mean_tiles,c |Σ_t w(t)·(x_c(t) − x̄_c)·e^(−2πi f·t)|² / Σ_t w(t)² with w a Hann window
    along both axes and x̄ the tile's mean under it, plus a floor of 1e-12 of the mean square.

    Tiles above each other share the transform of their rows.

    Args:
        images: (B, C, H, W) floats.
        size: side of square tiles, half of which overlap; None takes the image whole.
        least: the images' `floor`, where it is known.
        columns: those that are wanted, up to half of the width; their mirror images come with
            them, and all others are nan. None is all. The mean, which shows at the constant part
            and beside it alone, is taken off where all are wanted.

    Returns:
        (B, size, size) or (B, H, W) float32, the constant part at index (0, 0).

    Example:
        >>> x = torch.arange(16) % 2 - 0.5  # columns
        >>> power = power_spectrum(x.expand(1, 1, 16, 16))
        >>> power[0, 0, [0, 6, 7, 8, 9]].round(decimals=2)
        tensor([ 0.0000,  0.0000,  7.1100, 28.4400,  7.1100])
    """
    images = images.float()
    least = floor(mean_square(images)) if least is None else least
    count, channels, height, width = images.shape
    tall, wide = (size, size) if size else (height, width)
    down, along = (hann(n, images.device) for n in (tall, wide))
    lobe = _lobe(tall, wide).to(images.device)
    tops, lefts = starts(height, tall), starts(width, wide)
    kept = torch.arange(wide // 2 + 1) if columns is None else columns
    # each tile's columns, in the plane of transformed rows
    rows = torch.tensor(tops)[:, None, None] + torch.arange(tall)
    places = (rows.to(kept) * (wide // 2 + 1) + kept[:, None]).flatten().to(images.device)
    # for real and imaginary parts: (tops, columns, tall, 2)
    shape = (len(tops), len(kept), tall, 2)
    windows = down[:, None].expand(shape[1:]).contiguous()
    power = images.new_zeros(count, *shape[1:])
    # a strip is worked on beside its lines, its tiles and their transforms
    parts = math.ceil(3 * count * channels * height * wide / chunk(images))
    for some in images.tensor_split(min(parts, channels), dim=1):
        maps = some.flatten(0, 1)
        strip = maps.new_empty(len(maps), height, wide)
        index = places.expand(len(maps), -1)
        tiles = maps.new_empty(len(maps), len(places), dtype=torch.complex64)
        windowed = torch.view_as_real(tiles).view(len(maps), *shape)
        for left in lefts:
            torch.mul(maps[..., left : left + wide], along, out=strip)
            torch.gather(torch.fft.rfft(strip).flatten(1), 1, index, out=tiles)
            windowed.mul_(windows)
            half = torch.fft.fft(torch.view_as_complex(windowed))  # (maps, tops, columns, tall)
            if columns is None:
                _without_mean(half.mT, lobe)
            power += torch.view_as_real(half).square_().unflatten(0, (count, -1)).sum((1, 2))
    scale = len(tops) * len(lefts) * channels * down.square().sum() * along.square().sum()
    asked = power.sum(-1).mT / scale  # (B, tall, columns)
    if columns is not None:
        plane = asked.new_full((count, tall, wide // 2 + 1), torch.nan)
        asked = plane.index_copy_(-1, columns, asked)
    return _whole(asked, wide) + least[:, None, None]


def _without_mean(half: Tensor, lobe: Tensor) -> None:
    """Take each tile's mean under the window off its transform (..., tall, columns), in place.

    The mean x̄ = Y(0) / W(0), and a Hann window's own transform W has but the bins 0 and ±1.
    """
    constant = half[..., :1, :1].clone()
    half[..., :2, :2] -= constant * lobe[:2]
    if half.shape[-2] > 2:
        half[..., -1:, :2] -= constant * lobe[2:]


@lru_cache(maxsize=64)
def _lobe(tall: int, wide: int) -> Tensor:
    """W(f) / W(0) of the window at the rows 0, 1 and −1 and the columns 0 and 1, (3, 2)."""
    window = hann(tall)[:, None] * hann(wide)
    return (torch.fft.rfft2(window) / window.sum())[[0, 1, -1], :2]


def floor(energy: Tensor) -> Tensor:
    """Power that is added at every frequency: what lies below is rounding.

    Args:
        energy: (B,), the images' mean square.
    """
    return FLOOR * energy + BLACK


def mean_square(images: Tensor) -> Tensor:
    """Mean square of each image, (B, C, H, W) -> (B,)."""
    return torch.linalg.vector_norm(images, dim=(1, 2, 3)).square() / images[0].numel()


def tile_size(height: int, width: int, period: int) -> int:
    """Side of the tiles for a period: the multiple of it that fits into 64 pixels or 16 periods.

    Example:
        >>> tile_size(256, 256, 3), tile_size(256, 256, 8), tile_size(64, 48, 8)
        (63, 128, 48)
    """
    return period * min(max(TILE // period, PERIODS), height // period, width // period)


def tiles(height: int, width: int, tall: int, wide: int, align: int = 1) -> list[tuple[int, int]]:
    """Top left corners of tiles that cover an image evenly, and overlap by half or a little more.

    Args:
        height: of the image.
        width: of the image.
        tall: height of a tile.
        wide: width of a tile.
        align: corners are multiples of it, for which less than that many pixels may be left over.

    Example:
        >>> tiles(100, 64, 64, 64)
        [(0, 0), (18, 0), (36, 0)]
    """
    return list(product(starts(height, tall, align), starts(width, wide, align)))


def starts(n: int, side: int, align: int = 1) -> list[int]:
    """First pixels of the tiles along an axis of n pixels, as `tiles`."""
    steps = math.ceil(2 * (n - side) / side)
    return [round(k * (n - side) / max(steps, 1)) // align * align for k in range(steps + 1)]


@lru_cache(maxsize=64)
def hann(n: int, device: torch.device | None = None) -> Tensor:
    """Periodic Hann window, (n,), the same tensor at every call."""
    return torch.hann_window(n, periodic=True, device=device)


def _whole(half: Tensor, width: int) -> Tensor:
    """The whole plane (..., H, W) from the half that a real transform gives: P(−f) = P(f)."""
    mirrored = half[..., 1 : (width + 1) // 2].flip((-2, -1)).roll(1, dims=-2)
    return torch.cat((half, mirrored), dim=-1)


def decibels(ratio: Tensor) -> Tensor:
    """10·log10 of a ratio of powers."""
    return 10 * ratio.log10()


def near_grid(n: int, period: int, reach: float = LOBE) -> Tensor:
    """Which of the n bins of an axis lie within `reach` bins of a multiple of n / period, (n,)."""
    bins = torch.arange(n, dtype=torch.float64)
    spacing = n / period
    # half a bin more where the harmonic falls between two
    reach = reach + (0.5 if n % period else 0.0)
    return (bins - (bins / spacing).round() * spacing).abs() <= reach
