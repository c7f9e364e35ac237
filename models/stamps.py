"""What one input pixel adds to the output of a layer that enlarges, whatever computes it.

A stamp holds, for each pair of channels, a value at each place o − s·m, counted from the output
pixel s·m over input pixel m. Transposed convolutions, convolutions before a pixel shuffle and
interpolations have one each, so any is turned into another by moving taps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from upzoo.upsampling.functional import bilinear_kernel
from upzoo.upsampling.geometry import same_crop


class Stamp(NamedTuple):
    """`taps` (in, out, n, n), the first of them at place `first` along both axes."""

    taps: Tensor
    first: int
    scale: int


def of_transposed(weight: Tensor, stride: int, padding: int, groups: int, dilation: int) -> Stamp:
    """Of `conv_transpose2d`: weight (in, out // groups, k, k)."""
    dense = _dense(weight, groups)
    k = weight.shape[-1]
    wide = dense.new_zeros(*dense.shape[:2], *[dilation * (k - 1) + 1] * 2)
    wide[..., ::dilation, ::dilation] = dense
    return Stamp(wide, -padding, stride)


def _dense(weight: Tensor, groups: int) -> Tensor:
    """(a, b // groups, …) -> (a, b, …), with zeros between groups."""
    if groups == 1:
        return weight
    a, b = len(weight) // groups, weight.shape[1]
    dense = weight.new_zeros(len(weight), b * groups, *weight.shape[2:])
    for g, block in enumerate(weight.split(a)):
        dense[g * a : (g + 1) * a, g * b : (g + 1) * b] = block
    return dense


def of_shuffled(weight: Tensor, scale: int, groups: int = 1) -> Stamp:
    """Of a convolution before a pixel shuffle: weight (out · s², in // groups, k, k), k odd.

    y[s·i + φ] = Σ_a w_φ[a] · x[i + a − ⌊k/2⌋], so that x[m] is found at s·(⌊k/2⌋ − a) + φ.
    """
    weight = _dense(weight, groups)
    k = weight.shape[-1]
    by_phase = weight.unflatten(0, (-1, scale, scale)).permute(3, 0, 4, 1, 5, 2)
    taps = by_phase.flip(2, 4).reshape(weight.shape[1], -1, k * scale, k * scale)
    return Stamp(taps, -scale * (k // 2), scale)


def of_interpolation(channels: int, scale: int, mode: str, like: Tensor) -> Stamp:
    """Of "nearest" or, away from the border, "bilinear" interpolation."""
    if mode == "nearest":
        line = torch.ones(scale, scale)
        first = 0
    else:
        line = bilinear_kernel(scale)
        k = line.shape[-1]
        first = -((k - scale) // 2)
    eye = torch.eye(channels)
    taps = eye[:, :, None, None] * line.to(eye)
    return Stamp(taps.to(like), first, scale)


def to_transposed(stamp: Stamp) -> Tensor:
    """(in, out, k, k) for `TransposedConv`, of the smallest kernel that holds it."""
    n, scale = stamp.taps.shape[-1], stamp.scale
    kernel = scale
    while True:
        before = same_crop(8, kernel, scale, 8 * scale) + stamp.first
        if before >= 0 and before + n <= kernel:
            weight = stamp.taps.new_zeros(*stamp.taps.shape[:2], kernel, kernel)
            weight[..., before : before + n, before : before + n] = stamp.taps
            return weight
        kernel += 1


def to_shuffled(stamp: Stamp) -> Tensor:
    """(out · s², in, k, k) for `PixelShuffle`, of the smallest odd kernel that holds it."""
    n, scale = stamp.taps.shape[-1], stamp.scale
    last = stamp.first + n - 1
    reach = max(-(stamp.first // scale), last // scale, 0)
    k = 2 * reach + 1
    wide = stamp.taps.new_zeros(*stamp.taps.shape[:2], k * scale, k * scale)
    before = stamp.first + scale * reach
    wide[..., before : before + n, before : before + n] = stamp.taps
    inputs, out = wide.shape[:2]
    by_phase = wide.view(inputs, out, k, scale, k, scale).flip(2, 4)
    return by_phase.permute(1, 3, 5, 0, 2, 4).reshape(out * scale**2, inputs, k, k)
