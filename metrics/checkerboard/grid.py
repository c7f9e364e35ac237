"""The grid in a map, split by period.

A grid of period p is the mean of each phase mod p. With V(p) the variance over those means, the
part whose smallest period is exactly p is

    own(p) = V(p) − Σ own(d) over the divisors 1 < d < p,

V(p) − V(p/2) for powers of two. These parts are orthogonal: own(p) is the energy at frequencies
with the common denominator p, and they sum to V(S) at the total scale S.

A map that drifts, because a border reaches far into it, has phases too: a ramp of slope a differs
by a from phase to phase. So the mean over a window of S pixels is taken off first: it removes any
linear drift and no grid at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from upzoo.upsampling.phases import over


@dataclass(frozen=True)
class Ripple:
    """The periodic part of a map, in its own units.

    Attributes:
        mean: (C,) of every channel.
        own: period -> (C,) root mean square of what has exactly that smallest period.
        rest: (C,) root mean square of what is not periodic: 0 in a true interior.
    """

    mean: Tensor
    own: dict[int, Tensor]
    rest: Tensor

    @property
    def amplitude(self) -> dict[int, float]:
        """Period -> root of the energy of all channels."""
        return {period: part.norm().item() for period, part in self.own.items()}

    @property
    def relative(self) -> dict[int, float]:
        """Period -> amplitude over ‖mean‖, the figure that `dc_ripple` predicts for one layer."""
        mean = self.mean.norm().item()
        return {period: over(part, mean) for period, part in self.amplitude.items()}

    @property
    def per_channel(self) -> dict[int, Tensor]:
        """Period -> (C,) amplitude over |mean| of every channel, 0 where both are."""
        return {
            period: torch.where(part > 0, part / self.mean.abs(), part)
            for period, part in self.own.items()
        }

    @property
    def total(self) -> float:
        """Root of the energy at all periods over ‖mean‖."""
        energy = sum(part**2 for part in self.amplitude.values())
        return over(energy**0.5, self.mean.norm().item())


def periods(scale: int) -> list[int]:
    """The periods that a grid of `scale` may have: its divisors above 1.

    Example:
        >>> periods(8), periods(6)
        ([2, 4, 8], [2, 3, 6])
    """
    return [period for period in range(2, scale + 1) if scale % period == 0]


def phase_means(y: Tensor, period: int) -> Tensor:
    """Mean of every phase mod `period`: (..., *spatial) of `dims` axes -> (..., *(period, ...)).

    Args:
        y: (B, C, *spatial); what is over a multiple of the period is left out.
        period: in pixels.

    Returns:
        (B, C, period, ...).

    Example:
        >>> phase_means(torch.tensor([[[1.0, 5.0, 3.0, 7.0, 9.0]]]), 2)
        tensor([[[2., 6.]]])
    """
    for dim in range(2, y.ndim):
        cells = y.shape[dim] // period
        y = y.narrow(dim, 0, cells * period).unflatten(dim, (cells, period)).mean(dim)
    return y


def ripple(y: Tensor, scale: int, margin: int = 0) -> Ripple:
    """Split a map into its mean, its grid by period, and the rest.

    Args:
        y: (B, C, *spatial); phases are averaged over the batch.
        scale: the largest period, and a multiple of the others.
        margin: pixels to leave out along every border.

    Raises:
        ValueError: for a map whose interior is smaller than two periods.

    Example:
        >>> found = ripple(torch.tensor([[[1.0, 3.0] * 8]]), scale=4)
        >>> found.mean, found.relative
        (tensor([2.], dtype=torch.float64), {2: 0.5, 4: 0.0})
    """
    inner, flat = _interior(y.detach().double(), scale, margin)
    own: dict[int, Tensor] = {}
    for period in periods(scale):
        means = phase_means(flat, period).mean(0).flatten(1)  # (C, phases)
        # own(p) = V(p) − Σ own(d)
        part = means.var(1, correction=0)
        own[period] = part - sum(own[d] for d in periods(period)[:-1])
    grid = sum(own.values(), torch.zeros_like(inner[0].flatten(1)[:, 0]))
    energy = flat.square().transpose(0, 1).flatten(1).mean(1)
    return Ripple(
        mean=inner.transpose(0, 1).flatten(1).mean(1),
        own={period: part.clamp(min=0).sqrt() for period, part in own.items()},
        rest=(energy - grid).clamp(min=0).sqrt(),
    )


def without_grid(y: Tensor, scale: int, margin: int = 0) -> Tensor:
    """Take the phase means mod `scale`, found inside the margin, off the whole map; keep its mean.

    Args:
        y: (B, C, *spatial).
        scale: the period.
        margin: as in `ripple`.

    Raises:
        ValueError: as `ripple`.

    Example:
        >>> without_grid(torch.tensor([[[1.0, 3.0] * 4]]), scale=2)
        tensor([[[2., 2., 2., 2., 2., 2., 2., 2.]]])
    """
    _, flat = _interior(y.double(), scale, margin)
    grid = phase_means(flat, scale).to(y)
    return y - tile(grid, y.shape[2:])


def tile(cell: Tensor, size: Sequence[int]) -> Tensor:
    """Repeat a cell (B, C, *phases) over a map, (B, C, *size)."""
    pairs = zip(size, cell.shape[2:], strict=True)
    whole = cell.repeat(1, 1, *(-(-n // phases) for n, phases in pairs))
    for dim, n in enumerate(size, start=2):
        whole = whole.narrow(dim, 0, n)
    return whole


def whole_cells(n: int, scale: int, margin: int) -> int:
    """How many whole periods of a line of n pixels `ripple` can look at; below 1 is too small."""
    half = scale // 2
    return (n - margin - half) // scale - -(-(margin + half) // scale)


def _interior(y: Tensor, scale: int, margin: int) -> tuple[Tensor, Tensor]:
    """The inside of a map in whole periods, from phase 0 on, and the same without its trend."""
    half = scale // 2
    start = -(-(margin + half) // scale) * scale  # phases are counted from the map's own corner
    inner = trend = y
    for dim in range(2, y.ndim):
        cells = whole_cells(y.shape[dim], scale, margin)
        if cells < 1:
            raise ValueError(
                f"a map of {tuple(y.shape[2:])} with a margin of {margin} is too small to see "
                f"period {scale}: it needs {start + scale + half + margin} pixels along each axis"
            )
        trend = _window_mean(trend, dim, scale).narrow(dim, start - half, cells * scale)
        inner = inner.narrow(dim, start, cells * scale)
    return inner, inner - trend


def _window_mean(y: Tensor, dim: int, scale: int) -> Tensor:
    """Mean over a centred window of `scale` pixels, which cuts scale // 2 pixels off either end.

    An even window has one pixel more, of which the two outermost count half.
    """
    total = torch.cat([torch.zeros_like(y.narrow(dim, 0, 1)), y.cumsum(dim)], dim)
    n = y.shape[dim]
    box = (total.narrow(dim, scale, n - scale + 1) - total.narrow(dim, 0, n - scale + 1)) / scale
    if scale % 2:
        return box
    return (box.narrow(dim, 1, n - scale) + box.narrow(dim, 0, n - scale)) / 2
