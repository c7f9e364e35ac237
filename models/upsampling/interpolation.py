"""Enlargement by a fixed rule, as pure functions of tensors."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.tracing import is_exported, is_traced

#: Values of a map from which its gradient is laid out first: on smaller ones that takes longer.
LAID_OUT = 2**13


def resize(x: Tensor, scale: int, mode: str, align_corners: bool = False) -> Tensor:
    """(B, C, H, W) -> (B, C, scale·H, scale·W), aligned by pixel edges or by corner centres."""
    return resize_to(x, [scale * x.shape[-2], scale * x.shape[-1]], mode, align_corners)


def stays_torchs(x: Tensor) -> bool:
    """Whether a compiler is kept from looking into the interpolation of `x`, as below.

    On CUDA the gradient of torch's own is never deterministic; a compiled one is, where that is
    asked for.
    """
    if not torch.compiler.is_compiling() or is_exported():
        return False
    return x.is_cpu or not torch.are_deterministic_algorithms_enabled()


def resize_to(x: Tensor, size: Sequence[int], mode: str, align_corners: bool = False) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), each axis by its own ratio."""
    if mode == "bilinear" and stays_torchs(x):
        return opaque_bilinear(x, list(size), align_corners)
    corners = None if mode == "nearest" else align_corners
    y = F.interpolate(x, list(size), mode=mode, align_corners=corners)
    if y.requires_grad and not is_traced() and y.is_cpu and y.numel() >= LAID_OUT:
        # A slice of a concatenation's gradient takes a CPU's slow path, nine times as long.
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        layout = torch.channels_last if last else torch.contiguous_format
        y.register_hook(lambda g: None if g is None else g.contiguous(memory_format=layout))
    return y


# A compiler makes interpolation gathers, and its gradient scattered sums, pixel by pixel: on a CPU
# eight times as long as torch's own loops (16 channels ×2), on an H100 a sixth of all kernels of a
# compiled compact U-Net. It does not look into these two.


def _bilinear(x: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), bilinear, in the memory format of `x`."""
    y = F.interpolate(x, list(size), mode="bilinear", align_corners=align_corners)
    return y.contiguous(memory_format=_layout(x))  # of one pixel both formats are the same


def _bilinear_backward(gradient: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """The gradient for an input of `size` (H, W), in the memory format of the output's."""
    shape = [*gradient.shape[:2], *size]
    layout = _layout(gradient)
    given = gradient.contiguous(memory_format=layout), list(gradient.shape[-2:]), shape
    found = torch.ops.aten.upsample_bilinear2d_backward(*given, align_corners)
    return found.contiguous(memory_format=layout)


def _empty(x: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    shape = (*x.shape[:2], *size)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_layout(x))


def _layout(x: Tensor) -> torch.memory_format:
    return torch.channels_last if x.stride(1) == 1 else torch.contiguous_format


def _keep(ctx: Any, inputs: tuple[Tensor, Sequence[int], bool], output: Tensor) -> None:
    x, _, ctx.align_corners = inputs
    ctx.size = list(x.shape[-2:])


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
    return opaque_gradient(gradient, ctx.size, ctx.align_corners), None, None


# Once in a process, even where this file is loaded again (a notebook's reload, pytest's doctests):
# a second registration frees the first, which whoever holds it would still call.
if not hasattr(torch.ops.upzoo, "bilinear"):
    _forward = torch.library.custom_op("upzoo::bilinear", _bilinear, mutates_args=())
    _backward = torch.library.custom_op(
        "upzoo::bilinear_backward", _bilinear_backward, mutates_args=()
    )
    _forward.register_fake(_empty)
    _backward.register_fake(_empty)
    _forward.register_autograd(_differentiate, setup_context=_keep)
opaque_bilinear = torch.ops.upzoo.bilinear.default
opaque_gradient = torch.ops.upzoo.bilinear_backward.default


def bilinear_matrix(x: Tensor, n: int, scale: int, border: str = "replicate") -> Tensor:
    """The matrix that enlarges n pixels bilinearly along one axis, in the dtype of `x`.

    Args:
        x: gives dtype and device.
        n: pixels before.
        scale: integer enlargement.
        border: "replicate" repeats the outermost pixels, "zero" has nothing beyond them.

    Returns:
        (scale·n, n).

    >>> bilinear_matrix(torch.ones(()), 2, 2)
    tensor([[1.0000, 0.0000],
            [0.7500, 0.2500],
            [0.2500, 0.7500],
            [0.0000, 1.0000]])
    """
    # Output o lies at (o + 1/2) / s − 1/2, pixel i weighs max(0, 1 − |position − i|) there: all
    # times 2s, in integers, so that no size loses precision.
    unit = 2 * scale
    positions = 2 * torch.arange(scale * n, device=x.device) + 1 - scale
    if border == "replicate":
        positions = positions.clamp(0, unit * (n - 1))
    distance = (positions[:, None] - unit * torch.arange(n, device=x.device)).abs()
    return (unit - distance).clamp(min=0).to(x.dtype) / unit


def bilinear_separable(x: Tensor, scale: int, border: str = "replicate") -> Tensor:
    """Bilinear enlargement as two matrix products, columns first, and deterministic everywhere.

    At large scales, where few pixels become many, it is faster than interpolation or a transposed
    convolution, above all backward.

    Args:
        x: (B, C, H, W).
        scale: integer enlargement.
        border: as in `bilinear_matrix`.

    Returns:
        (B, C, scale·H, scale·W) in the memory format of `x`.
    """
    B, C, H, W = x.shape
    rows = bilinear_matrix(x, H, scale, border)
    columns = bilinear_matrix(x, W, scale, border)
    if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        wide = F.linear(x.permute(0, 2, 1, 3), columns)  # (B, H, C, s·W)
        flat = wide.transpose(2, 3).reshape(B, H, scale * W * C)
        return (rows @ flat).view(B, scale * H, scale * W, C).permute(0, 3, 1, 2)
    return rows @ F.linear(x, columns)


def group_channels(x: Tensor, channels: int) -> Tensor:
    """Sum groups of consecutive channels, or repeat channels, to get `channels` of them.

    Of n channels, channel i goes to ⌊i · channels / n⌋, so that groups differ by one at most; where
    there are fewer than wanted, output o repeats channel ⌊o · n / channels⌋.

    Args:
        x: (B, n, H, W).
        channels: how many to return.

    Returns:
        (B, channels, H, W).

    >>> group_channels(torch.tensor([1., 2., 4., 8., 16.]).view(1, 5, 1, 1), 2).flatten()
    tensor([ 7., 24.])
    """
    n = x.shape[1]
    if n == channels:
        return x
    i, o = torch.arange(n, device=x.device), torch.arange(channels, device=x.device)[:, None]
    # One product for every case: it keeps the memory format, which sums of slices do not.
    member = i * channels // n == o if n > channels else i == o * n // channels
    return F.conv2d(x, member.to(x.dtype)[..., None, None])


def bilinear_additive(x: Tensor, channels: int, scale: int) -> Tensor:
    """Bilinear enlargement, then the sum of consecutive channels (Wojna et al. 2019).

    Both steps are linear and act on different axes: summing first gives the same at less cost.

    Args:
        x: (B, C, H, W).
        channels: channels of the output.
        scale: integer enlargement.

    Returns:
        (B, channels, scale·H, scale·W).
    """
    return resize(group_channels(x, channels), scale, "bilinear")
