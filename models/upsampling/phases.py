"""Phases: what each of the interleaved parts of an enlarged map gets from a kernel.

A transposed convolution of stride s is s² small convolutions whose outputs interleave: tap t of an
axis lands on the output pixels o ≡ d·t − p mod s, d being the dilation and p the pixels cut from
the start. What is said of a kernel here holds for one, two or three axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from upzoo.counts import is_count

Axes = int | Sequence[int]


def tap_phases(kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> Tensor:
    """The phase that each tap of one axis lands on, (kernel,) int64.

    >>> tap_phases(5, 2)
    tensor([0, 1, 0, 1, 0])
    """
    return (dilation * torch.arange(kernel) - padding) % stride


def phase_gains(weight: Tensor, stride: Axes, padding: Axes = 0, dilation: Axes = 1) -> Tensor:
    """DC gain of every output phase: the sum of the taps that land on it.

    Args:
        weight: (..., *kernel) of a transposed convolution; or its squares, or ones.
        stride: of the transposed convolution, one for each axis; an integer is for the last two.
        padding: pixels cut from the start, which only renames the phases.
        dilation: step between the taps.

    Returns:
        (..., *stride); all equal means that a constant input leaves no checkerboard.

    >>> phase_gains(torch.ones(3, 3), stride=2)
    tensor([[4., 2.],
            [2., 1.]])
    """
    strides = each_axis(stride, 2 if isinstance(stride, int) else len(stride), "stride")
    paddings = each_axis(padding, len(strides), "padding", least=0)
    dilations = each_axis(dilation, len(strides), "dilation")
    for axis, (s, p, d) in enumerate(zip(strides, paddings, dilations, strict=True)):
        dim = axis - len(strides)
        lands = tap_phases(weight.shape[dim], s, p, d).to(weight.device)
        shape = list(weight.shape)
        shape[dim] = s
        weight = weight.new_zeros(shape).index_add_(dim, lands, weight)
    return weight


def overlap_counts(kernel: Axes, stride: Axes, padding: Axes = 0, dilation: Axes = 1) -> Tensor:
    """How many stamps reach an output pixel of every phase, away from the border.

    Args:
        kernel: its size, one for each axis; an integer is for both axes of a picture.
        stride: of the transposed convolution.
        padding: pixels cut from the start.
        dilation: step between the taps.

    Returns:
        (*stride) int64, all equal where the stride divides the kernel (Odena et al. 2016).

    >>> overlap_counts(5, 2)
    tensor([[9, 6],
            [6, 4]])
    """
    sizes = each_axis(kernel, 2 if isinstance(stride, int) else len(stride), "kernel")
    ones = torch.ones(sizes, dtype=torch.int64)
    return phase_gains(ones, each_axis(stride, len(sizes), "stride"), padding, dilation)


def unevenness(counts: Tensor) -> float:
    """Largest over smallest of the phases: 1 is even, infinite where nothing reaches one of them.

    For overlap counts this is the factor of Distill's article, for tap energies the
    phase-variance ratio that the layer gives white noise.

    >>> unevenness(overlap_counts((3,), (2,))), unevenness(overlap_counts(3, 2))
    (2.0, 4.0)
    """
    least, most = counts.min().item(), counts.max().item()
    if not most:
        return 1.0  # nothing anywhere is even
    return most / least if least else math.inf


def phase_ripple(gains: Tensor) -> float:
    """√(mean_φ ‖G_φ − Ḡ‖²) / ‖Ḡ‖ of vectors by phase, (rows, *phases); 0 / 0 counts as 0."""
    gains = gains.flatten(1)
    mean = gains.mean(1, keepdim=True)
    # √(mean_φ ‖G_φ − Ḡ‖²) / ‖Ḡ‖
    ripple = (gains - mean).square().sum(0).mean().sqrt().item()
    return over(ripple, mean.norm().item())


def over(ripple: float, mean: float) -> float:
    """`ripple` / `mean`, where nothing over nothing is no ripple."""
    if mean:
        return ripple / mean
    return math.inf if ripple else 0.0


def each_axis(value: Axes, dims: int, name: str, least: int = 1) -> tuple[int, ...]:
    """`value` for each of `dims` axes, refused in one line where it is none."""
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) != dims:
        raise ValueError(f"{name}={value!r} must be an integer or {dims} of them")
    if not all(is_count(v, least) for v in values):
        raise ValueError(f"{name}={value!r} must hold integers of at least {least}")
    return values
