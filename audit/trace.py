"""Follow a constant through a net: what each layer adds to it, and what the output makes of that.

Each enlarging layer's output z gets Σ_d α_d·r_d added, r_d being its own grid of period d and all α
zero. Nothing changes; but the derivative of the output's grid energy by α_d is how much of it
comes with that layer's grid. One backward pass gives it for all layers: their blame to first order,
exact where the net is linear behind them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from upzoo.audit.calls import Call
from upzoo.audit.phases import Pattern, cell_means, own_parts
from upzoo.metrics.checkerboard.grid import tile
from upzoo.upsampling.phases import over

#: A layer's own grid below this share of its mean is rounding.
LEVEL = 1e-4
#: Of a grid, that layers must make together: then nothing else does.
MOST = 0.5


@dataclass
class Own:
    """The grid that one call adds by itself to what was a constant.

    Attributes:
        inside: its root energy over the mean's, at all its periods.
        shares: period at the call's output -> root energy over the mean's.
        levers: the same periods -> α.
    """

    inside: float | None = None
    shares: dict[int, float] = field(default_factory=dict)
    levers: dict[int, Tensor] = field(default_factory=dict)


class Trace:
    """The callbacks of one pass, and what they saw.

    Args:
        flow: whether derivatives are wanted.
    """

    def __init__(self, flow: bool):
        self.flow = flow
        self.own: dict[int, Own] = {}
        self.collecting = False  # whether gradients that pass are those of `thin`

    def see(self, index: int, call: Call, y: Tensor) -> Tensor:
        """Measure a call's own grid, and put a lever on it."""
        own = self.own[index] = Own()
        first = channels_first(y, call.output_size)
        cell = None if first is None or call.scale < 2 else cell_means(first.detach(), call.strides)
        if cell is None:
            return y
        mean = root_energy(cell.mean(tuple(range(2, cell.ndim)), keepdim=True))
        parts = own_parts(cell)
        own.shares = {p: over(root_energy(part), mean) for p, part in parts.items()}
        own.inside = sum(share**2 for share in own.shares.values()) ** 0.5
        if not self.flow or own.inside < LEVEL:
            return y
        pattern = torch.zeros_like(cell)
        for period, part in parts.items():
            own.levers[period] = torch.zeros((), device=y.device, requires_grad=True)
            pattern = pattern + own.levers[period] * part
        return y + like_before(tile(pattern, call.output_size), y, call.output_size)

    def thin(self, call: Call, x: Tensor) -> None:
        """Take the gradient's energy by phase at the input of a call that thins out."""
        if not x.requires_grad:
            return

        def collect(gradient: Tensor) -> None:
            first = channels_first(gradient, call.input_size) if self.collecting else None
            cell = None if first is None else cell_means(first.square(), call.strides)
            if cell is not None:
                call.energies.append(cell.double().mean((0, 1)))

        x.register_hook(collect)


def channels_first(y: Tensor, size: Sequence[int]) -> Tensor | None:
    """A map (B, C, *size) from whatever order its axes have; None where it has other sizes."""
    size = tuple(size)
    if y.is_quantized:
        y = y.dequantize()
    if tuple(y.shape[2:]) == size:
        return y
    if tuple(y.shape[1:-1]) == size:
        return y.movedim(-1, 1)
    if tuple(y.shape[3:]) == size:
        return y.flatten(0, 1)
    return y.unsqueeze(1) if tuple(y.shape[1:]) == size else None


def like_before(first: Tensor, y: Tensor, size: Sequence[int]) -> Tensor:
    """The inverse of `channels_first`."""
    if first.ndim != y.ndim or tuple(y.shape[2:]) == tuple(size):
        return first.view_as(y)
    return first.movedim(1, -1)


def root_energy(pattern: Tensor) -> float:
    """Root of Σ_c of the mean squares of a pattern (B, C, ...)."""
    return pattern.double().square().flatten(2).mean((0, 2)).sum().sqrt().item()


def shares(
    found: Mapping[int, Pattern],
    calls: Sequence[Call],
    own: Mapping[int, Own],
    size: Sequence[int],
    flow: bool,
) -> dict[int, dict[int, float]]:
    """Who is to blame for each period: period -> {index of a call: its share}.

    Args:
        found: the grids at the output, with a graph behind them where `flow`.
        calls: of the pass.
        own: what they added.
        size: of the output.
        flow: whether derivatives can be had. Without, shares are those of the layers' own energy.
    """
    levers = [(index, p, lever) for index, o in own.items() for p, lever in o.levers.items()]
    if flow and levers:
        # d(½ E_p / E_p)/dα: the share of E_p that goes with α, to first order
        total = sum((p.energy / (2 * p.energy.detach()) for p in found.values()), torch.zeros(()))
        slopes = torch.autograd.grad(
            total, [lever for _, _, lever in levers], retain_graph=True, allow_unused=True
        )
        weights = {
            (index, period): 0.0 if slope is None else slope.item()
            for (index, period, _), slope in zip(levers, slopes, strict=True)
        }
    else:
        weights = {(i, p): share**2 for i, o in own.items() for p, share in o.shares.items()}
    blamed: dict[int, dict[int, float]] = {period: {} for period in found}
    for (index, period), weight in weights.items():
        at = output_periods(calls[index], period, size) & set(found)
        for p in at if weight > 0 else ():
            blamed[p][index] = blamed[p].get(index, 0.0) + weight / len(at)
    for parts in blamed.values():
        total_weight = sum(parts.values())
        if total_weight > MOST or not flow:  # what is left is the net's bend behind them
            for index in parts:
                parts[index] /= total_weight
    return blamed


def output_period(call: Call, period: int, size: Sequence[int]) -> int:
    """The longest period at the output of a grid of a call's output; 0 where axes differ in number.

    Only axes along which the call enlarges have a grid.
    """
    if len(size) != len(call.output_size):
        return 0
    axes = zip(size, call.output_size, call.strides, strict=True)
    return max((round(period * n / m) for n, m, stride in axes if stride > 1), default=0)


def output_periods(call: Call, period: int, size: Sequence[int]) -> set[int]:
    """The exact periods at the output that a grid of exactly this period of a call's output has.

    Enlarged t times, a grid of frequency j / d has the frequencies (j / d + k) / t: of a grid of
    period 3, twice enlarged, those of period 6 and of period 3.
    """
    longest = output_period(call, period, size)
    waves = [m for m in range(1, longest) if math.gcd(m, period) == 1]
    return {longest // math.gcd(m, longest) for m in waves} if longest % period == 0 else {longest}


def input_period(call: Call, size: Sequence[int]) -> int:
    """The longest period at the net's input of what a call that thins out puts into a gradient."""
    if len(size) != len(call.input_size):
        return 0
    axes = zip(size, call.input_size, call.strides, strict=True)
    return max((round(stride * n / m) for n, m, stride in axes if stride > 1), default=0)
