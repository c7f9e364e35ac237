"""Sharpness: the share of an image's power in fine detail, without that of checkerboards.

A blurred decoder shows no checkerboard, so that measuring those alone would let blur win. Sharpness
falls with every blur, and a checkerboard cannot raise it: its frequencies do not count. It is no
quality by itself, for noise raises it too: real images are the mark to meet, not to exceed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from upzoo.metrics.checkerboard.power import decibels, near_grid

FINE = 0.25  # cycles per pixel, half of what the pixels can carry


def detail_share(power: Tensor, periods: Sequence[int]) -> Tensor:
    """Power at |f| ≥ ¼ cycle per pixel over all power, both without the checkerboard's frequencies.

    It does not depend on contrast or brightness.

    Args:
        power: (..., H, W), of `power_spectrum`.
        periods: whose frequencies are left out, with what the window spreads around them.

    Returns:
        (...), a share of 1.

    Example:
        >>> detail_share(torch.ones(64, 64), [2]).round(decimals=3)
        tensor(0.8070)
    """
    height, width = power.shape[-2:]
    grid = torch.zeros(height, width, dtype=torch.bool)
    for period in periods:
        grid |= near_grid(height, period)[:, None] & near_grid(width, period)
    rows, columns = (torch.fft.fftfreq(n) for n in (height, width))
    fine = torch.hypot(rows[:, None], columns) >= FINE
    flat = power.flatten(-2)
    counted, detail = (flat @ mask.flatten().to(flat) for mask in (~grid, fine & ~grid))
    # P(f) over |f| ≥ ¼ / P(f) over all f
    return detail / counted


def sharpness(generated: Tensor, real: Tensor) -> Tensor:
    """Detail of generated against real images in dB: below 0 is blurrier, above is noisier.

    Args:
        generated: (..., N), `detail_share` of each image.
        real: (..., M).

    Returns:
        (...) dB, 10·log10 of the ratio of both means.

    Example:
        >>> sharpness(torch.tensor([0.01, 0.03]), torch.tensor([0.04]))
        tensor(-3.0103)
    """
    return decibels(generated.mean(-1) / real.mean(-1))
