"""What a decoder makes of a constant and of a step, away from the border.

A constant carries no detail, so all that varies inside the output is the decoder's own grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from upzoo.metrics.checkerboard.grid import Ripple, phase_means, ripple, tile
from upzoo.upsampling.phases import over

Net = Callable[[Tensor], Any]
LIMIT = 128  # input pixels along an axis, where the reach of a net is still sought


@dataclass(frozen=True)
class Step:
    """What becomes of an edge between two constants.

    Attributes:
        overshoot: (C,) how far the output leaves the range of its two plateaus, compared at equal
            phase, as a share of the height between them.
        overshoot_total: the same over all channels, norms in place of values.
        low: ripple of the plateau before the edge.
        high: ripple of the plateau after it.
    """

    overshoot: Tensor
    overshoot_total: float
    low: Ripple
    high: Ripple


def constant_response(
    net: Net,
    values: Tensor,
    *,
    dims: int = 2,
    scale: int | None = None,
    size: int | None = None,
    margin: int | None = None,
) -> Ripple:
    """Feed a constant and look for a grid in the interior of what comes out.

    Args:
        net: from (1, C, *spatial) to a map, or to a dict or tuple that holds one.
        values: (C,) the constant: the mean of the features that the decoder is fed, for instance.
        dims: spatial axes.
        scale: enlargement from input to output; measured, from one more input pixel, by default.
        size: input pixels along each axis; as many as the interior needs by default.
        margin: output pixels to leave out along the border; by default as many as the border can
            reach, measured by the support of a gradient (`reach`).

    Raises:
        ValueError: for a size that leaves no interior.

    Example:
        >>> up = torch.nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False)
        >>> _ = torch.nn.init.ones_(up.weight)  # gains 4, 2, 2, 1
        >>> round(constant_response(up, torch.ones(1)).total, 4), round(19 ** 0.5 / 9, 4)
        (0.4843, 0.4843)
    """
    scale, size, margin = _frame(net, values, dims, scale, size, margin, plateaus=1)
    with torch.no_grad():
        y = main_map(net(constant(values, [size] * dims)))
    return ripple(y, scale, margin)


def step_response(
    net: Net,
    low: Tensor,
    high: Tensor,
    *,
    dims: int = 2,
    scale: int | None = None,
    size: int | None = None,
    margin: int | None = None,
) -> Step:
    """Feed an edge across the last axis, and compare what comes out with its own two plateaus.

    Args:
        net: as for `constant_response`.
        low: (C,) values before the edge.
        high: (C,) values after it.
        dims: spatial axes.
        scale: enlargement from input to output.
        size: input pixels along each axis.
        margin: output pixels that a border, or the edge, can reach.

    Raises:
        ValueError: for a size that leaves no plateau.
    """
    scale, size, margin = _frame(net, high, dims, scale, size, margin, plateaus=2)
    x = constant(low, [size] * dims).clone()
    half = size // 2
    x[..., half:] = high.view(1, -1, *[1] * dims).to(x)
    with torch.no_grad():
        y = main_map(net(x)).double()
    middle = y.shape[-1] // 2 // scale * scale  # cutting at a multiple keeps the phases
    sides = y[..., :middle], y[..., middle:]
    before, after = (ripple(side, scale, margin) for side in sides)
    rise = (after.mean - before.mean).view(-1, *[1] * dims)
    floor, ceiling = (_plateau(side, scale, margin, y) for side in sides)
    # at equal phase: how far below the lower plateau or above the higher one
    sign = rise.sign()
    beyond = torch.maximum(sign * (floor - y), sign * (y - ceiling))
    for dim in range(2, y.ndim):
        beyond = beyond.narrow(dim, margin, y.shape[dim] - 2 * margin)
    excess = beyond.transpose(0, 1).flatten(1).amax(1).clamp(min=0)
    height = rise.flatten().abs()
    return Step(
        overshoot=torch.where(excess > 0, excess / height, excess),
        overshoot_total=over(excess.norm().item(), height.norm().item()),
        low=before,
        high=after,
    )


def constant(values: Tensor, size: Sequence[int]) -> Tensor:
    """(C,) values as a constant map, (1, C, *size)."""
    return values.reshape(1, -1, *[1] * len(size)).expand(1, -1, *size)


def reach(net: Net, values: Tensor, dims: int = 2) -> int | None:
    """How many input pixels away from an output pixel still matter to it, as seen by its gradient.

    The net is fed noise around the values, so that no rectifier is shut everywhere.

    Returns:
        Pixels, or None where more than `LIMIT` / 2 do: a net with global pooling, for instance.
    """
    n = 16
    while n <= LIMIT:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(1, values.numel(), *[n] * dims, generator=generator)
        with torch.enable_grad():
            x = (constant(values, [n] * dims) + noise.to(values)).detach().requires_grad_()
            y = main_map(net(x))
        for dim in range(2, y.ndim):  # a block of the middle, with all phases
            block = -(-y.shape[dim] // n)
            y = y.narrow(dim, y.shape[dim] // 2 - block // 2, block)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        touched = gradient[0].abs().amax(0).nonzero()
        farthest = int((touched - n // 2).abs().max()) + 1 if len(touched) else 0
        if farthest < n // 2:
            return farthest
        n *= 2
    return None


def main_map(output: Any) -> Tensor:
    """The tensor that a net's output is about: itself, "out" of a dict, or the first one inside.

    Raises:
        ValueError: where there is none.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        return main_map(output["out"] if "out" in output else list(output.values()))
    if isinstance(output, Sequence) and not isinstance(output, str) and output:
        return main_map(output[0])
    raise ValueError(f"the net returned {type(output).__name__}, in which there is no tensor")


def _frame(
    net: Net,
    values: Tensor,
    dims: int,
    scale: int | None,
    size: int | None,
    margin: int | None,
    plateaus: int,
) -> tuple[int, int, int]:
    """Fill in what was not given of scale, size and margin."""
    lost = 0
    if scale is None or size is None:
        with torch.no_grad():
            outputs = [main_map(net(constant(values, [n] * dims))).shape[-1] for n in (16, 17)]
        scale = scale or outputs[1] - outputs[0]
        lost = max(16 * scale - outputs[0], 0)  # by unpadded convolutions
    if scale < 1:
        raise ValueError(f"scale={scale}: one more input pixel must enlarge the output")
    if margin is None:
        reached = reach(net, values, dims)
        margin = scale * (LIMIT // 4 if reached is None else reached)
    if size is None:
        size = plateaus * (2 * -(-margin // scale) + 4) + -(-lost // scale)
    return scale, size, margin


def _plateau(side: Tensor, scale: int, margin: int, like: Tensor) -> Tensor:
    """The phase means of a side's interior, repeated over a map of the size of `like`."""
    start = -(-margin // scale) * scale
    for dim in range(2, side.ndim):
        side = side.narrow(dim, start, side.shape[dim] - margin - start)
    return tile(phase_means(side, scale), like.shape[2:])
