"""Bicubic reduction and enlargement, as super-resolution is scored with.

The reference is MATLAB's `imresize`: Keys's cubic with a = -1/2, stretched by the scale where it
reduces, so that it does not alias, and a border that mirrors with the outermost pixel repeated.
`torch.nn.functional.interpolate(mode="bicubic")` has a = -3/4 and repeats the border.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def cubic(distance: Tensor) -> Tensor:
    """Keys's kernel (1981, equation 15) at these distances in pixels; 0 from 2 on.

    >>> cubic(torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0]))
    tensor([ 1.0000,  0.5625,  0.0000, -0.0625,  0.0000])
    """
    d = distance.abs()
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def symmetric_border(x: Tensor, width: int) -> Tensor:
    """Mirror the border of (…, H, W), the outermost pixel repeated: (…, H + 2·width, W + 2·width).

    >>> symmetric_border(torch.tensor([[1, 2, 3]]), 2)[0]
    tensor([2, 1, 1, 2, 3, 3, 2])
    """
    for axis in (-2, -1):
        n = x.shape[axis]
        i = torch.arange(-width, n + width, device=x.device)
        i = i % (2 * n * torch.ones_like(i))  # ONNX's exporter divides by no size of the input
        x = x.index_select(axis, torch.minimum(i, 2 * n - 1 - i))
    return x


def reduce(x: Tensor, scale: int) -> Tensor:
    """Reduce by a whole number, antialiased.

    Args:
        x: (…, C, H, W), real; H and W multiples of `scale`.
        scale: pixels that become one, along each axis.

    Returns:
        (…, C, H / scale, W / scale), not rounded or clipped.

    Raises:
        ValueError: for a size that `scale` does not divide.
    """
    *lead, height, width = x.shape
    if height % scale or width % scale:
        raise ValueError(f"{height}×{width} pixels cannot be reduced by {scale}: crop to multiples")
    # The centre of an output lies between two pixels where the scale is even.
    taps = 4 * scale - scale % 2
    distance = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    kernel = cubic(distance / scale)
    kernel = (kernel / kernel.sum()).to(x)
    y = symmetric_border(x.reshape(-1, 1, height, width), (taps - scale) // 2)
    y = F.conv2d(y, kernel.view(1, 1, -1, 1), stride=(scale, 1))
    y = F.conv2d(y, kernel.view(1, 1, 1, -1), stride=(1, scale))
    return y.view(*lead, height // scale, width // scale)


def enlarge(x: Tensor, scale: int) -> Tensor:
    """Enlarge by a whole number, in float32 at least, whatever the precision around it.

    Args:
        x: (B, C, H, W).
        scale: integer enlargement.

    Returns:
        (B, C, scale·H, scale·W), not rounded or clipped.
    """
    B, C, H, W = x.shape
    kernel = enlarging_kernel(scale)
    with torch.autocast(x.device.type, enabled=False):
        x = x if x.dtype == torch.float64 else x.float()
        y = symmetric_border(x.reshape(B * C, 1, H, W), 2)
        y = F.pixel_shuffle(F.conv2d(y, kernel.to(x)), scale)
    return y.reshape(B, C, scale * H, scale * W)


def enlarging_kernel(scale: int) -> Tensor:
    """What every pixel of a scale×scale cell takes of the 5×5 pixels around: (scale², 1, 5, 5)."""
    # Output phase φ lies at (φ + 1/2) / s − 1/2 from its pixel.
    position = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    line = cubic(torch.arange(-2, 3, dtype=torch.float64) - position[:, None])  # (s, 5)
    return torch.einsum("ay,bx->abyx", line, line).reshape(scale**2, 1, 5, 5)
