"""Phases: the p×p kinds of pixels of a checkerboard of period p, and how far they differ.

A pixel at (y, x) has the phase φ = (y mod p, x mod p). An image without a checkerboard looks alike
at every phase. An additive checkerboard (a bias that repeats) moves the mean of a phase; a
multiplicative one (a gain or a noise that repeats) changes how much fine detail a phase carries.
Where the checkerboard starts does not matter: another offset only permutes the phases.

Means are taken under a Hann window, since a slope across the image would else count as a
difference of phases: by 1/n of the slope's range in an image n pixels wide. Sizes need be no
multiple of the period. All is float32, good to 1e-6 of the image's root mean square.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.metrics.checkerboard.power import hann


def fold(values: Tensor, period: int) -> Tensor:
    """Mean of each phase under a Hann window: E[v|φ] = Σ_(t≡φ) w(t)·v(t) / Σ_(t≡φ) w(t).

    Args:
        values: (..., H, W).
        period: p.

    Returns:
        (..., p, p).

    Example:
        >>> fold(torch.arange(12.0).remainder(3).expand(12, 12), 3).round(decimals=3)
        tensor([[0., 1., 2.],
                [0., 1., 2.],
                [0., 1., 2.]])
    """
    return folds(values, (period,))[0]


def folds(values: Tensor, periods: Sequence[int]) -> list[Tensor]:
    """`fold` by several periods: (..., H, W) -> (..., p, p) each.

    The phases of a period are those of a multiple of it, summed: those values are not read again.
    """
    sums: dict[int, Tensor] = {}
    for period in sorted(set(periods), reverse=True):
        multiple = next((known for known in sums if known % period == 0), None)
        if multiple is None:
            sums[period] = _phase_sums(values, period)
        else:
            cells = (multiple // period, period)
            sums[period] = sums[multiple].unflatten(-1, cells).unflatten(-3, cells).sum((-4, -2))
    return [sums[period] / _weight(*values.shape[-2:], period).to(values) for period in periods]


def grid_maps(images: Tensor, period: int) -> Tensor:
    """Mean of each phase less the mean of all phases, for each image and channel.

    The mean over images of these maps is the additive checkerboard itself.

    Args:
        images: (B, C, H, W) floats.
        period: p.

    Returns:
        (B, C, p, p) float32, in the images' unit.
    """
    return deviations(fold(images.float(), period))


def deviations(folded: Tensor) -> Tensor:
    """Means of phases less the mean of all phases, (..., p, p)."""
    return folded - folded.mean((-2, -1), keepdim=True)


def detail_energy(images: Tensor) -> Tensor:
    """Energy of fine detail at every pixel, (Hx)² averaged over channels.

    (B, C, H, W) -> (B, H, W). H is the Laplacian of 4 neighbours, one symmetric filter for all
    pixels, so that it prefers no phase.
    """
    images = images.float()
    energy = torch.zeros_like(images[:, 0])
    for channel in images.unbind(1):  # one at a time stays in the cache
        detail = laplacian(channel)
        energy.addcmul_(detail, detail)
    return energy / images.shape[1]


def detail_maps(images: Tensor, period: int) -> Tensor:
    """Energy of fine detail at each phase, E[(Hx)²|φ], for each image, averaged over channels.

    Args:
        images: (B, C, H, W) floats.
        period: p.

    Returns:
        (B, p, p) float32.
    """
    return fold(detail_energy(images), period)


def phase_mean(means: Tensor, variance: Tensor) -> Tensor:
    """Size of the additive checkerboard over the contrast: √(mean_c Var_φ E[x_c|φ]) / σ_x.

    Args:
        means: (..., C, p, p), `grid_maps` averaged over images.
        variance: (...), σ_x², averaged over images.

    Returns:
        (...), 0 without a checkerboard.

    Example:
        >>> columns = torch.tensor([[0.1, -0.1], [0.1, -0.1]])
        >>> phase_mean(columns[None], torch.tensor(4.0))
        tensor(0.0500)
    """
    return (means.square().mean((-3, -2, -1)) / variance).sqrt()


def coherence(maps: Tensor, harmonic: tuple[int, int]) -> Tensor:
    """Share of a checkerboard's power at one harmonic that is the same in all images.

    κ = (n·‖mean_i a_i‖² / mean_i ‖a_i‖² − 1) / (n − 1) with a_i the amplitudes of image i at
    f = (i/p, j/p), one for each channel: 1 for an additive checkerboard, 0 on average where the
    sign changes from image to image.

    Args:
        maps: (n, C, p, p), of `grid_maps`.
        harmonic: (i, j).

    Returns:
        A scalar, nan for one image.

    Example:
        >>> columns = torch.tensor([[1.0, -1.0], [1.0, -1.0]]).view(1, 1, 2, 2)
        >>> coherence(torch.cat((columns, columns)), (0, 1))
        tensor(1.)
        >>> coherence(torch.cat((columns, -columns)), (0, 1))
        tensor(-1.)
    """
    count = len(maps)
    amplitudes = torch.fft.fft2(maps)[..., harmonic[0], harmonic[1]]
    steady = amplitudes.mean(0).abs().square().sum()
    whole = amplitudes.abs().square().sum(-1).mean()
    return (count * steady / whole - 1) / (count - 1) if count > 1 else steady.new_tensor(torch.nan)


def phase_variance_ratio(energy: Tensor, means: Tensor) -> Tensor:
    """Fine detail of the richest phase over that of the poorest, without the additive checkerboard.

    max_φ V_φ / min_φ V_φ with V_φ = E[(Hx)²|φ] − mean_c (H g_c)²(φ), g the additive checkerboard.

    Args:
        energy: (..., p, p), `detail_maps` averaged over images.
        means: (..., C, p, p), `grid_maps` averaged over the same images: g.

    Returns:
        (...), 1 without a checkerboard or without any detail, inf where a phase has none.

    Example:
        >>> flat = torch.zeros(1, 2, 2)
        >>> phase_variance_ratio(torch.tensor([[3.0, 2.0], [2.0, 2.0]]), flat)
        tensor(1.5000)
    """
    # the checkerboard repeats, so that its detail is that of one period, wrapped around
    steady = laplacian(means, mode="circular").square().mean(-3)
    detail = (energy - steady).clamp(min=0).flatten(-2)
    low, high = detail.aminmax(dim=-1)
    return torch.where(high > 0, high / low, 1.0)


def laplacian(images: Tensor, mode: str = "replicate") -> Tensor:
    """Hx = x − mean of the 4 neighbours, the same at every phase.

    Args:
        images: (..., C, H, W).
        mode: how the border is padded, as in `torch.nn.functional.pad`.

    Returns:
        (..., C, H, W).
    """
    flat = images.flatten(0, -4) if images.ndim > 4 else images
    x = F.pad(flat, (1, 1, 1, 1), mode=mode)
    # x is wider than the image by one pixel on each side
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1]
    around += x[..., 1:-1, :-2]
    around += x[..., 1:-1, 2:]
    return torch.sub(images, around.view_as(images), alpha=0.25)


def _phase_sums(values: Tensor, period: int) -> Tensor:
    """Σ_(t≡φ) w(t)·v(t) of each phase: (..., H, W) -> (..., p, p)."""
    height, width = values.shape[-2:]
    window = hann(height, values.device)
    rows = [window[phase::period] @ values[..., phase::period, :] for phase in range(period)]
    return torch.stack(rows, -2) @ _folding(width, period).to(values.device)


@lru_cache(maxsize=64)
def _folding(n: int, period: int) -> Tensor:
    """The window at every pixel of an axis, by phase, (n, p)."""
    return hann(n)[:, None] * (torch.arange(n)[:, None] % period == torch.arange(period))


@lru_cache(maxsize=64)
def _weight(height: int, width: int, period: int) -> Tensor:
    """Σ_(t≡φ) w(t) of each phase, (p, p)."""
    rows, columns = (_folding(n, period).sum(0) for n in (height, width))
    return rows[:, None] * columns
