"""The grid of a map by period, as patterns, with what chance alone puts there.

A pattern of period p is the mean of each of the pᵈ phases; what shorter periods explain is taken
off, so that every grid counts once, with its shortest period. Means are taken under Hann windows in
both halves of each axis: a grid is the same in all of them, while noise, an embedding of positions
or a drift is not. What the blocks do not share is the noise floor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from upzoo.metrics.checkerboard.grid import tile

PERIODS = tuple(range(2, 33))
CHANNELS = 16  # of an output, those with the most fine detail
GRIDS = 6  # of as many periods are told apart
CELLS = 4  # periods along an axis that a map must have: two in each half


@dataclass
class Pattern:
    """The grid of one period at an output.

    Attributes:
        mean: (C, p, ...) mean over the blocks of what has exactly this period; differentiable.
        noise: root of the energy by which the mean of the blocks differs by chance.
    """

    mean: Tensor
    noise: float

    @property
    def energy(self) -> Tensor:
        """Σ_c mean_φ of the squares, less what chance gives."""
        return own_energy(self.mean)

    @property
    def amplitude(self) -> float:
        """Root of the energy without that of the noise."""
        return max(self.energy.item() - self.noise**2, 0.0) ** 0.5


def unfilmed(y: Tensor) -> Tensor:
    """A film (B, C, T, H, W) of too few frames for a grid in time as its frames (B·T, C, H, W)."""
    if y.ndim != 5 or y.shape[2] >= 2 * CELLS or min(y.shape[3:]) < 2 * CELLS:
        return y
    return y.transpose(1, 2).flatten(0, 1)


def own_energy(pattern: Tensor) -> Tensor:
    """Σ_c mean_φ of the squares of a pattern (C, p, ...)."""
    return pattern.square().flatten(1).mean(1).sum()


def busiest(y: Tensor, most: int = CHANNELS) -> Tensor:
    """The channels of a map (B, C, *spatial) with the most fine detail, in order: their indices."""
    if y.shape[1] <= most:
        return torch.arange(y.shape[1], device=y.device)
    energy = sum(
        y.detach().diff(dim=dim).double().square().mean((0, *range(2, y.ndim)))
        for dim in range(2, y.ndim)
    )
    assert isinstance(energy, Tensor)
    return energy.topk(most).indices.sort().values


def patterns(
    ys: Sequence[Tensor], periods: Sequence[int] = PERIODS, least: float = math.inf
) -> dict[int, Pattern]:
    """The grid of every period that fits, over one output or several of other seeds.

    A strong grid shows at other periods too, where few cells are averaged: the strongest one is
    taken off before the others are measured, as long as one is above `least`.

    Args:
        ys: (B, C, *spatial) each, of one size.
        periods: to look for; those of which fewer than four fit along an axis are left out.
        least: amplitude of what is worth taking off.

    Example:
        >>> y = torch.tensor([1.0, 3.0]).repeat(32).expand(1, 1, 64)
        >>> found = patterns([y], (2, 3, 4), least=0.1)
        >>> [round(p.amplitude, 3) for p in found.values()]
        [1.0, 0.0, 0.0]
    """
    sizes = ys[0].shape[2:]
    fitting = tuple(p for p in periods if CELLS * p <= min(sizes) - 2 * margin(min(sizes)))
    if not fitting:
        return {}
    taken: dict[int, Pattern] = {}
    while True:
        # nearest enlargement is flat inside its cells, a drift is not: stepped windows are blind to
        # the one, smooth windows to the other, and a grid is the same under both
        both = [_measure(ys, fitting, stepped) for stepped in (False, True)]
        found = {p: min((f[p] for f in both), key=lambda f: f.amplitude + f.noise) for p in fitting}
        rest = {p: f.amplitude for p, f in found.items() if p not in taken}
        strongest = max(rest, key=lambda p: rest[p], default=0)
        beyond = rest.get(strongest, 0.0) > max(least, 3 * found[strongest].noise if rest else 0.0)
        if not beyond or len(taken) == GRIDS:
            return {p: taken.get(p, f) for p, f in found.items()}
        taken[strongest] = found[strongest]
        pattern = found[strongest].mean.detach()
        ys = [y - tile(pattern[None], sizes).to(y) for y in ys]


def _measure(ys: Sequence[Tensor], periods: tuple[int, ...], stepped: bool) -> dict[int, Pattern]:
    blocks = [means for y in ys for means in _block_means(y, periods, stepped)]
    found: dict[int, Pattern] = {}
    own: dict[int, list[Tensor]] = {}
    for place, period in enumerate(periods):
        parts = []
        for block in blocks:
            part = block[place]  # (C, p, ...)
            flat = tuple(range(1, part.ndim))
            parts.append(part - part.mean(flat, keepdim=True))
        for shorter in [q for q in own if period % q == 0]:
            parts = [
                part - repeat(small, period)
                for part, small in zip(parts, own[shorter], strict=True)
            ]
        own[period] = parts
        mean = torch.stack(parts).mean(0)
        found[period] = Pattern(mean, _scatter(parts, mean.detach(), len(ys)))
    return found


def repeat(pattern: Tensor, period: int) -> Tensor:
    """A pattern (C, q, ...) over a longer period (C, p, ...)."""
    times = period // pattern.shape[1]
    return pattern.repeat(1, *[times] * (pattern.ndim - 1))


def _scatter(parts: Sequence[Tensor], mean: Tensor, seeds: int) -> float:
    """Root of the energy of the error of the mean: by place, and by seed where that is more."""
    every = torch.stack([part.detach() for part in parts]).unflatten(0, (seeds, -1))
    energies = [0.0]
    for axis in (0, 1):  # the means of each seed, the means of each block
        groups = every.mean(1 - axis)
        n = len(groups)
        if n > 1:
            energies.append(sum(own_energy(g - mean).item() for g in groups) / (n * (n - 1)))
    return max(energies) ** 0.5


def margin(n: int) -> int:
    """An eighth of a line on either side: what functions that look beyond it may disturb."""
    return n // 8 if n >= 64 else 0


def _block_means(y: Tensor, periods: tuple[int, ...], stepped: bool) -> list[list[Tensor]]:
    """Phase means of every block: for each, by period, (C, p, ...)."""
    y = y.float().mean(0) if y.shape[0] > 1 else y[0].float()
    flat = tuple(range(1, y.ndim))
    y = y - y.detach().mean(flat, keepdim=True)  # float32 loses no digits to the level
    dims = y.ndim - 1
    halves = [_folding(n, periods, stepped) for n in y.shape[1:]]
    columns = [[table.to(y) for table in tables] for tables in halves]
    blocks = []
    starts = [0]
    for p in periods:
        starts.append(starts[-1] + p)
    for choice in product((0, 1), repeat=dims):
        means = []
        # the last axis for all periods at once, then the others for each
        folded = y @ columns[-1][choice[-1]]
        for place, period in enumerate(periods):
            part = folded[..., starts[place] : starts[place] + period]
            for axis in range(dims - 1):
                table = columns[axis][choice[axis]][:, starts[place] : starts[place] + period]
                part = torch.tensordot(part, table, ([1], [0]))
            means.append(part.movedim(1, dims))  # (C, last, first, ...) -> (C, first, ..., last)
        blocks.append(means)
    return blocks


@lru_cache(maxsize=64)
def _folding(n: int, periods: tuple[int, ...], stepped: bool) -> tuple[Tensor, Tensor]:
    """Weights (n, Σp) of each pixel in the mean of every phase, for both halves of a line.

    Windows are Hann's; stepped ones are constant over each cell, of which they take whole ones.
    """
    edge, middle = margin(n), n // 2
    place = torch.arange(n, dtype=torch.float64)
    halves = []
    for start, stop in ((edge, middle), (middle, n - edge)):
        tables = []
        for period in periods:
            at, first, last = place + 0.5, start, stop
            if stepped:
                first, last = -(-start // period) * period, stop // period * period
                at = (place // period + 0.5) * period
            if last <= first:
                at, first, last = place + 0.5, start, stop
            inside = (place >= first) & (place < last)
            window = torch.where(
                inside, ((at - first) * torch.pi / (last - first)).sin().square(), 0.0
            )
            phase = torch.arange(n)[:, None] % period == torch.arange(period)
            weights = window[:, None] * phase
            tables.append(weights / weights.sum(0).clamp(min=1e-300))
        halves.append(torch.cat(tables, 1))
    return halves[0], halves[1]


def cell_means(y: Tensor, strides: Sequence[int]) -> Tensor | None:
    """Mean of each phase mod the strides in the middle of a map: (B, C, *strides).

    None where there is no whole cell.
    """
    for dim, s in enumerate(strides, start=2):
        n = y.shape[dim]
        start = -(-margin(n) // s) * s
        cells = (n - margin(n) - start) // s
        if cells < 1:
            return None
        y = y.narrow(dim, start, cells * s).unflatten(dim, (cells, s)).mean(dim)
    return y


def own_parts(cell: Tensor) -> dict[int, Tensor]:
    """A cell (B, C, *strides) by exact period: patterns of the cell's own shape.

    Axes of different strides are not taken apart: the whole counts with the longest.

    Example:
        >>> cell = torch.tensor([1.0, 2.0, 3.0, 2.0]).view(1, 1, 4)
        >>> {p: part.flatten().tolist() for p, part in own_parts(cell).items()}
        {2: [0.0, 0.0, 0.0, 0.0], 4: [-1.0, 0.0, 1.0, 0.0]}
    """
    strides = cell.shape[2:]
    flat = tuple(range(2, cell.ndim))
    rest = cell - cell.mean(flat, keepdim=True)
    longest = max(strides)
    if len(set(strides)) > 1:
        return {longest: rest}
    found: dict[int, Tensor] = {}
    for period in range(2, longest + 1):
        if longest % period:
            continue
        means = rest
        for dim in flat:  # mean over the cells of the shorter period
            means = means.unflatten(dim, (-1, period)).mean(dim)
        means = means.repeat(1, 1, *[longest // period] * len(strides))
        found[period] = means - sum(part for q, part in found.items() if period % q == 0)
    return found
