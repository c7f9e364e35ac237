"""Bilinear samples of a map at displaced positions, as `DySample` takes them.

The readable form has the map and its samples twice, channels-first as `grid_sample` makes them and
channels-last. The fast one has them twice for a band of rows at a time only.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.tracing import is_traced
from upzoo.upsampling.base import is_channels_last
from upzoo.upsampling.reassembly import memory_format


def sample(x: Tensor, offset: Tensor, scale: int) -> Tensor:
    """Bilinear enlargement with displaced positions; beyond the border the outermost pixels repeat.

    Args:
        x: (B, C, H, W).
        offset: (B, 2·groups, scale·H, scale·W), in pixels of `x`: all groups' x, then all their y.
        scale: the enlargement.

    Returns:
        (B, C, scale·H, scale·W), in the memory format and the type of `x`.
    """
    if takes_bands(x, scale):
        return sample_in_bands(x, offset, scale)
    if blocks_pay(x):
        B, C, H, W = x.shape
        y = x.new_empty(B, scale * H, scale * W, C).permute(0, 3, 1, 2)
        put(y, planes_sampled(x, offset, scale))
        return y
    return sample_reference(x, offset, scale)


def sample_reference(x: Tensor, offset: Tensor, scale: int) -> Tensor:
    """`sample`, written as its definition (Liu et al. 2023, section 3.2)."""
    y = planes_sampled(x, offset, scale).to(x.dtype)
    return y.contiguous(memory_format=memory_format(x))


def planes_sampled(x: Tensor, offset: Tensor, scale: int) -> Tensor:
    """The samples as `grid_sample` makes them: channels-first, in the type of the positions."""
    B, C, H, W = x.shape
    y = bilinear(by_group(x, offset), grid_of(offset, scale, H, W))
    return y.view(B, C, scale * H, scale * W)


def by_group(x: Tensor, offset: Tensor) -> Tensor:
    """(B, C, H, W) -> (B·groups, C / groups, H, W) in the type of the positions."""
    channels = 2 * x.shape[1] // offset.shape[1]
    return x.to(position_dtype(offset)).reshape(-1, channels, *x.shape[-2:])


def position_dtype(offset: Tensor) -> torch.dtype:
    """Float32 at least: bfloat16 tells no neighbours apart on a line of 256 pixels."""
    return torch.promote_types(offset.dtype, torch.float32)


def bilinear(pixels: Tensor, grid: Tensor) -> Tensor:
    """(N, C, H, W), (N, h, w, 2) -> (N, C, h, w), the outermost pixels repeated."""
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def grid_of(offset: Tensor, scale: int, height: int, width: int, first: int = 0) -> Tensor:
    """Where `grid_sample` has to sample a map: −1 and 1 are its outer edges.

    Args:
        offset: (B, 2·groups, h, w), in pixels of the map.
        scale: the enlargement.
        height: of the map.
        width: of it.
        first: row of the output that the first one of `offset` is.

    Returns:
        (B·groups, h, w, 2), x and y.

    >>> grid_of(torch.zeros(1, 2, 1, 4), scale=2, height=1, width=2)[0, 0, :, 0]
    tensor([-0.7500, -0.2500,  0.2500,  0.7500])
    """
    dtype, (h, w) = position_dtype(offset), offset.shape[-2:]
    line = torch.arange(w, device=offset.device, dtype=dtype)
    column = torch.arange(first, first + h, device=offset.device, dtype=dtype).unsqueeze(-1)
    x, y = offset.to(dtype).unflatten(1, (2, -1)).unbind(1)
    # Pixel i of the output lies (i + ½) / s pixels from the edge, which are 2 / n each.
    x = x * (2 / width) + ((2 * line + 1) / (scale * width) - 1)
    y = y * (2 / height) + ((2 * column + 1) / (scale * height) - 1)
    return torch.stack((x, y), -1).flatten(0, 1)


def takes_bands(x: Tensor, scale: int) -> bool:
    """Whether `sample_in_bands` is taken: for a large channels-last map of many channels, on a CPU.

    It takes no more memory than the published form, which leaves its map channels-first, and with
    a convolution behind both no more time (`benchmarks/operators.py`).
    """
    if is_traced() or x.device.type != "cpu" or not is_channels_last(x):
        return False
    least = 20 if torch.is_grad_enabled() else 32
    return x.shape[1] >= least and x.numel() * scale**2 >= 2**20


def blocks_pay(x: Tensor) -> bool:
    """Whether `put` is faster than `contiguous`: many channels, on a CPU, without gradients.

    Measured: 0.3 to 0.5 of the time for 64 channels; for 21 as long, for 16 longer.
    """
    if is_traced() or torch.is_grad_enabled() or x.device.type != "cpu":
        return False
    return x.shape[1] >= 32 and is_channels_last(x)


def sample_in_bands(x: Tensor, offset: Tensor, scale: int) -> Tensor:
    """`sample` of a channels-last map, on a CPU."""
    return _InBands.apply(x, offset, scale)


class _InBands(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, offset: Tensor, scale: int) -> Tensor:
        ctx.save_for_backward(x, offset)
        ctx.scale = scale
        B, C, H, W = x.shape
        y = x.new_empty(B, scale * H, scale * W, C).permute(0, 3, 1, 2)
        for images, bands in parts(x, scale):
            pixels = by_group(planes(x[images]), offset)
            for rows in bands:
                grid = grid_of(offset[images, :, rows], scale, H, W, rows.start)
                put(y[images, :, rows], bilinear(pixels, grid))
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, offset = ctx.saved_tensors
        H, W = x.shape[-2:]
        dx, doffset = torch.empty_like(x), torch.empty_like(offset)
        for images, bands in parts(x, ctx.scale):
            pixels = by_group(planes(x[images]), offset)
            total = torch.zeros_like(pixels)
            for rows in bands:
                grid = grid_of(offset[images, :, rows], ctx.scale, H, W, rows.start)
                band = (images, slice(None), rows)
                total += _backward(grad[band], pixels, grid, doffset[band])
            put(dx[images], total)
        return dx, doffset, None


def _backward(grad: Tensor, pixels: Tensor, grid: Tensor, doffset: Tensor) -> Tensor:
    """Write the gradient of a band's offsets, and return that of the pixels."""
    (H, W), grad = pixels.shape[-2:], planes(grad).to(grid.dtype)
    dpixels, dgrid = torch.ops.aten.grid_sampler_2d_backward(
        grad.view(*pixels.shape[:2], *grid.shape[1:3]),
        pixels,
        grid,
        *(0, 1, False),  # bilinear, border, align_corners
        (True, True),
    )
    doffset = doffset.unflatten(1, (2, -1))
    for axis, n in enumerate((W, H)):  # the grid has 2 / n a pixel
        doffset[:, axis] = dgrid[..., axis].view_as(doffset[:, axis]) * (2 / n)
    return dpixels


def parts(x: Tensor, scale: int) -> Iterator[tuple[slice, list[slice]]]:
    """Images, and rows of their output, to take at a time: an eighth of all, less in bfloat16.

    What a band needs besides its part of the output is float32 in any precision.
    """
    B, h = x.shape[0], scale * x.shape[-2]
    count = 8 if x.element_size() >= 4 else 20
    images = max(1, B // count)
    rows = h if count <= B else -(-B * h // count)
    for image in range(0, B, images):
        bands = [slice(row, min(row + rows, h)) for row in range(0, h, rows)]
        yield slice(image, min(image + images, B)), bands


# PyTorch transposes matrices in blocks, in up to a quarter of the time of permuting an image.


def planes(x: Tensor) -> Tensor:
    """(B, C, H, W), channels-last, as a contiguous copy."""
    B, C, H, W = x.shape
    y = x.new_empty(B, C, H * W)
    for plane, image in zip(y, x.permute(0, 2, 3, 1), strict=True):
        plane.copy_(image.reshape(H * W, C).t())
    return y.view(B, C, H, W)


def put(target: Tensor, source: Tensor) -> None:
    """Copy contiguous values into (B, C, H, W), rows of a channels-last map."""
    B, C, H, W = target.shape
    source = source.to(target.dtype).view(B, C, H * W)
    for image, plane in zip(target.permute(0, 2, 3, 1), source, strict=True):
        image.view(H * W, C).copy_(plane.t())
