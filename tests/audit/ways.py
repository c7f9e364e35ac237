"""Ways to enlarge a map by two that leave a grid of period 2 on a constant, each in a function."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GAINS = torch.tensor([[1.0, 1.3], [0.8, 1.1]])  # of the four phases


def gained(y: Tensor) -> Tensor:
    """A map times a gain that repeats every two pixels."""
    return y * GAINS.repeat(y.shape[-2] // 2, y.shape[-1] // 2)


def kernel(channels: int, size: int) -> Tensor:
    """(C, C, k, k): each channel by itself, with taps that differ."""
    taps = torch.linspace(0.5, 1.5, size * size).view(size, size)
    return torch.eye(channels)[:, :, None, None] * taps


def conv_transpose(x):
    return F.conv_transpose2d(x, kernel(x.shape[1], 3), stride=2, padding=1, output_padding=1)


def aten_convolution(x):
    args = ([2, 2], [1, 1], [1, 1], True, [0, 0], 1)
    return torch.ops.aten.convolution(x, kernel(x.shape[1], 4), None, *args)


def sub_pixel(x):
    c = x.shape[1]
    weight = (torch.eye(c)[:, None] * GAINS.view(1, 4, 1)).reshape(4 * c, c, 1, 1)
    return F.pixel_shuffle(F.conv2d(x, weight), 2)


def depth_to_space(x):
    b, c, h, w = x.shape
    y = x[:, :, None] * GAINS.view(1, 1, 4, 1, 1)
    return y.view(b, c, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c, 2 * h, 2 * w)


def einsum(x):
    b, c, h, w = x.shape
    return torch.einsum("bchw,pq->bchpwq", x, GAINS).reshape(b, c, 2 * h, 2 * w)


def repeat_interleave(x):
    return gained(x.repeat_interleave(2, -1).repeat_interleave(2, -2))


def kron(x):
    return torch.kron(x, GAINS)


def fold(x):
    b, c, h, w = x.shape
    patches = (x[:, :, None] * GAINS.view(1, 1, 4, 1, 1)).reshape(b, 4 * c, h * w)
    return F.fold(patches, (2 * h, 2 * w), 2, stride=2)


def overlapping_fold(x):
    b, c, h, w = x.shape
    patches = x[:, :, None].expand(-1, -1, 9, -1, -1).reshape(b, 9 * c, h * w)
    return F.fold(patches, (2 * h, 2 * w), 3, stride=2, padding=1)


def grid_sample(x):
    h, w = x.shape[2:]
    rows = (torch.arange(2 * h) + 0.5) / h - 1
    columns = (torch.arange(2 * w) + 0.5) / w - 1
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], -1)
    y = F.grid_sample(
        x, grid.expand(len(x), -1, -1, -1), align_corners=False, padding_mode="border"
    )
    return gained(y)


def fft(x):
    spectrum = torch.fft.fft2(x)
    return torch.fft.ifft2(spectrum.repeat(1, 1, 2, 2)).real * 4


def padded_zeros(x):
    b, c, h, w = x.shape
    y = F.pad(x.reshape(b, c, h, 1, w, 1), [0, 1, 0, 0, 0, 1])
    return F.conv2d(y.reshape(b, c, 2 * h, 2 * w), kernel(c, 3), padding=1)


def indexed_zeros(x):
    b, c, h, w = x.shape
    y = x.new_zeros(b, c, 2 * h, 2 * w)
    y[:, :, ::2, ::2] = x
    return F.conv2d(y, kernel(c, 3), padding=1)


def unpool(x):
    b, c, h, w = x.shape
    places = (2 * torch.arange(h)[:, None] * 2 * w + 2 * torch.arange(w)).expand(b, c, h, w)
    return F.max_unpool2d(x, places, 2)


def nearest(x):
    return gained(F.interpolate(x, scale_factor=2))


def bilinear(x):
    return gained(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


def stacked(x):
    columns = torch.stack((x, 1.3 * x), -1).flatten(-2)
    return torch.stack((columns, 0.8 * columns), -2).flatten(-3, -2)


def expanded(x):
    b, c, h, w = x.shape
    y = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
    return gained(y.reshape(b, c, 2 * h, 2 * w))


def scattered(x):
    b, c, h, w = x.shape
    places = (2 * torch.arange(h)[:, None] * 2 * w + 2 * torch.arange(w)).flatten()
    y = x.new_zeros(b, c, 4 * h * w).scatter(2, places.expand(b, c, -1), x.flatten(2))
    return F.conv2d(y.view(b, c, 2 * h, 2 * w), kernel(c, 3), padding=1)


def matrix(x):
    n = x.shape[-1]
    up = torch.zeros(2 * n, n)
    up[::2] = torch.eye(n)
    up[1::2] = 1.3 * torch.eye(n)
    return up @ x @ up.T


def indexed(x):
    rows, columns = (torch.arange(2 * n) // 2 for n in x.shape[2:])
    return gained(x.index_select(2, rows).index_select(3, columns))


class Repeat(torch.autograd.Function):
    """What no function of torch tells: an operation of its own."""

    @staticmethod
    def forward(ctx, x):
        return gained(x.repeat_interleave(2, -1).repeat_interleave(2, -2))

    @staticmethod
    def backward(ctx, gradient):
        return F.avg_pool2d(gained(gradient), 2) * 4


def own_operation(x):
    return Repeat.apply(x)


WAYS = {
    way.__name__: way
    for way in (
        *(conv_transpose, aten_convolution, sub_pixel, depth_to_space, einsum, repeat_interleave),
        *(kron, fold, overlapping_fold, grid_sample, fft, padded_zeros, indexed_zeros, unpool),
        *(nearest, bilinear, stacked, expanded, scattered, matrix, indexed, own_operation),
    )
}
