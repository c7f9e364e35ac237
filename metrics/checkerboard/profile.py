"""The radial profile of a power spectrum: how much power there is at every scale of detail."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from upzoo.metrics.checkerboard.power import decibels


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
    and noise, and hardly any checkerboard: a peak is one bin of the hundreds on its circle.

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


@lru_cache(maxsize=8)
def _circles(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The circle of every bin, flattened, and how many bins each holds; the last is the corners."""
    rows, columns = (torch.fft.fftfreq(n, dtype=torch.float64) for n in (height, width))
    shorter = min(height, width)
    # the 1e-9 keeps the rounding of a half independent of the platform
    radius = (shorter * torch.hypot(rows[:, None], columns) + 1e-9).round().long()
    circle = radius.clamp(max=shorter // 2 + 1).flatten()
    return circle, torch.bincount(circle, minlength=shorter // 2 + 2).clamp(min=1)
