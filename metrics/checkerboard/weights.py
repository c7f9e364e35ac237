"""Checkerboards that a kernel and its stride make, known before any data is seen.

A transposed convolution of stride s is s² small convolutions whose outputs interleave. Each output
phase φ has a DC gain G_φ, the sum of the taps that land on it. A constant comes out constant, away
from the border, if and only if all G_φ μ are equal, μ being the constant's channels. The gradient
of a strided convolution is a transposed one, with the same weight, and has the same figures.

Kernels are (in, out // groups, *kernel), PyTorch's layout for transposed convolutions, in one, two
or three dimensions; `shuffle_kernel` brings a sub-pixel convolution into it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.upsampling.phases import Axes, each_axis, over, phase_gains, phase_ripple


def stack_overlap(layers: Sequence[Sequence[int]], dims: int = 2) -> Tensor:
    """How many paths through a stack of transposed convolutions reach every output phase.

    Uneven overlaps multiply from layer to layer (Odena et al. 2016).

    Args:
        layers: (kernel, stride), (kernel, stride, padding) or (kernel, stride, padding, dilation)
            of each layer, the first one first.
        dims: axes, all alike.

    Returns:
        (S, ...) int64 with `dims` axes, S the product of the strides.

    Raises:
        ValueError: for no layer at all, or a size that is not positive.

    Example:
        >>> stack_overlap([(3, 2), (3, 2)], dims=1)
        tensor([3, 2, 3, 1])
    """
    if not layers:
        raise ValueError("layers is empty: give (kernel, stride) of at least one")
    line, scale, cut = torch.ones(1, 1, 1, dtype=torch.float64), 1, 0
    for kernel, stride, *rest in layers:
        padding, dilation = (*rest, *(0, 1)[len(rest) :])
        each_axis((kernel, stride, dilation), 3, "layer")
        # a transposed convolution of the stack's own kernel is the kernel of the longer stack
        stamp = torch.ones(1, 1, kernel, dtype=torch.float64)
        line = F.conv_transpose1d(line, stamp, stride=stride, dilation=dilation)
        scale, cut = scale * stride, cut * stride + padding
    counts = phase_gains(line.flatten().round().long(), (scale,), (cut,))
    return functools.reduce(lambda a, b: a[..., None] * b, [counts] * dims)


def dc_ripple(
    weight: Tensor,
    stride: Axes,
    mean: Tensor | None = None,
    *,
    groups: int = 1,
    dilation: Axes = 1,
) -> float:
    """How much a constant is rippled: R = √Var_φ(G_φ μ) / ‖mean_φ G_φ μ‖.

    Without μ the norms are Frobenius norms of G_φ, R = √(mean_φ ‖G_φ − Ḡ‖²) / ‖Ḡ‖. That is the
    root of the expected ripple energy over the expected energy for random μ with independent
    channels of zero mean and equal variance, and likewise for one channel at a time.
    A kernel of independent zero-mean weights has √(phases − 1) in expectation, whatever its size: 1
    along one axis at stride 2, 1.73 in a picture.

    Args:
        weight: (in, out // groups, *kernel) of a transposed convolution.
        stride: its stride; an integer is for every axis.
        mean: (in,) mean input activation μ.
        groups: as in `torch.nn.functional.conv_transpose2d`.
        dilation: step between the taps.

    Returns:
        0 where a constant comes out constant; infinite where it comes out as nothing but ripple.

    Raises:
        ValueError: for a mean that does not have one entry for each input channel.

    Example:
        >>> dc_ripple(torch.tensor([[[1.0, 2.0, 1.0]]]), stride=2)  # gains 2, 2
        0.0
        >>> dc_ripple(torch.ones(1, 1, 3), stride=2)  # gains 2, 1: (1/2) / (3/2)
        0.3333333333333333
    """
    dims = weight.ndim - 2
    gains = phase_gains(weight.double(), each_axis(stride, dims, "stride"), 0, dilation)
    if mean is None:
        return phase_ripple(gains.flatten(0, 1))
    if mean.shape != weight.shape[:1]:
        raise ValueError(
            f"mean is {tuple(mean.shape)}, expected ({weight.shape[0]},): one for each of the "
            "kernel's input channels"
        )
    # G_φ μ, group by group
    split = gains.unflatten(0, (groups, -1))  # (g, in/g, out/g, *s)
    seen = torch.einsum("gi,gio...->go...", mean.double().view(groups, -1), split)
    return phase_ripple(seen.flatten(0, 1))


def tap_energies(weight: Tensor, stride: Axes, dilation: Axes = 1) -> Tensor:
    """Energy Σ w² of the taps that land on each phase: the variance that white noise gets there.

    Args:
        weight: (in, out // groups, *kernel) of a transposed convolution.
        stride: its stride; an integer is for every axis.
        dilation: step between the taps.

    Returns:
        (*stride) float64.
    """
    strides = each_axis(stride, weight.ndim - 2, "stride")
    return phase_gains(weight.double().square(), strides, 0, dilation).sum((0, 1))


def energy_ripple(weight: Tensor, stride: Axes, dilation: Axes = 1) -> float:
    """Standard deviation over mean of the tap energies of the phases.

    It is what white noise sees of a kernel: for a random one, mostly its overlap. `unevenness` of
    the same energies is the largest over the smallest.
    """
    energies = tap_energies(weight, stride, dilation)
    return over(energies.std(correction=0).item(), energies.mean().item())


def shuffle_kernel(weight: Tensor, scale: int, groups: int = 1) -> Tensor:
    """The transposed kernel that does a convolution and a pixel shuffle in one.

    Sub-kernel φ, reversed, lies at the taps φ + s·u (Shi et al. 2016, appendix): its stride is
    `scale`, and with k − 1 − p input pixels cut it is the same map.

    Args:
        weight: (out · scale^dims, in // groups, *kernel), in the order of `F.pixel_shuffle`.
        scale: of the pixel shuffle.
        groups: of the convolution.

    Returns:
        (in, out // groups, *(scale · kernel)).

    Raises:
        ValueError: for channels that the phases do not divide.

    Example:
        >>> shuffle_kernel(torch.arange(4.0).view(4, 1, 1, 1), scale=2)[0, 0]
        tensor([[0., 1.],
                [2., 3.]])
    """
    dims = weight.ndim - 2
    phases = scale**dims
    if weight.shape[0] % (phases * groups):
        raise ValueError(
            f"weight has {weight.shape[0]} outputs, no multiple of {phases} phases × {groups} "
            f"groups: scale={scale} does not fit"
        )
    flipped = weight.flip(tuple(range(2, weight.ndim)))
    split = flipped.unflatten(0, (groups, -1, *[scale] * dims))  # (g, out, *φ, in, *u)
    # (g, in, out, u, φ, v, ψ): tap φ + s·u
    pairs = [dim for axis in range(dims) for dim in (3 + dims + axis, 2 + axis)]
    taps = split.permute(0, 2 + dims, 1, *pairs)
    sizes = [scale * k for k in weight.shape[2:]]
    return taps.reshape(groups * weight.shape[1], -1, *sizes)
