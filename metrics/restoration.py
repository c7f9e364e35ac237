"""How restored images are scored in super-resolution: on 8-bit luma, without the border."""

import torch
from torch import Tensor

#: Luma of R, G and B in 0 … 255 (ITU-R BT.601, as MATLAB's rgb2ycbcr): 16 … 235.
WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
BLACK = 16.0
#: Colour differences Cb and Cr of the same, which are 128 for greys.
BLUE = (-37.797 / 255, -74.203 / 255, 112.0 / 255)
RED = (112.0 / 255, -93.786 / 255, -18.214 / 255)

_ZERO = torch.tensor((BLACK, 128.0, 128.0)).view(3, 1, 1)


def luma(rgb: Tensor) -> Tensor:
    """Luma Y of BT.601, rounded to 8 bits: 16 for black, 235 for white.

    Args:
        rgb: (…, 3, H, W) in 0 … 255, of 8 bits.

    Returns:
        (…, 1, H, W), whole numbers in the dtype of `rgb`, float32 for integers.

    >>> luma(torch.tensor([255.0, 0.0, 0.0]).view(3, 1, 1)).item()
    81.0
    """
    # float64: the sum of a rounded tie must not depend on the machine
    weights = torch.tensor(WEIGHTS, dtype=torch.float64, device=rgb.device).view(3, 1, 1)
    y = BLACK + (rgb.double() * weights).sum(-3, keepdim=True)
    return y.round().to(rgb.dtype if rgb.is_floating_point() else torch.float32)


def to_ycbcr(rgb: Tensor) -> Tensor:
    """Luma and colour differences of BT.601, not rounded: 16 … 235 and 16 … 240.

    Args:
        rgb: (…, 3, H, W) in 0 … 255, real.

    >>> to_ycbcr(torch.full((3, 1, 1), 255.0)).flatten().round(decimals=3)
    tensor([235., 128., 128.])
    """
    matrix = torch.tensor((WEIGHTS, BLUE, RED), dtype=rgb.dtype, device=rgb.device)
    return torch.einsum("ij,...jhw->...ihw", matrix, rgb) + _ZERO.to(rgb)


def to_rgb(ycbcr: Tensor) -> Tensor:
    """Colours of `to_ycbcr`, (…, 3, H, W), neither rounded nor clipped."""
    inverse = torch.linalg.inv(torch.tensor((WEIGHTS, BLUE, RED), dtype=torch.float64))
    return torch.einsum("ij,...jhw->...ihw", inverse.to(ycbcr), ycbcr - _ZERO.to(ycbcr))


def image_psnr(found: Tensor, truth: Tensor, peak: float) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10·log₁₀(peak² / mean squared error).

    Args:
        found: (B, C, H, W).
        truth: the same.
        peak: range of the values.

    Returns:
        (B,) in decibels, inf where both are equal.

    >>> image_psnr(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.1), 1.0)
    tensor([20.])
    """
    error = (found.double() - truth.double()).square().mean((1, 2, 3))
    return (10 * (peak**2 / error).log10()).float()


def scored(images: Tensor, border: int) -> Tensor:
    """What PSNR and SSIM compare: luma of 8 bits, the border cut off.

    Args:
        images: (B, 1, H, W) luma or (B, 3, H, W) colours in 0 … 1; clipped there.
        border: pixels to leave out at every side, usually the scale.

    Returns:
        (B, 1, H − 2·border, W − 2·border), whole numbers in 0 … 255.

    Raises:
        ValueError: for an image that is all border.
    """
    height, width = images.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ValueError(f"{height}×{width} pixels are all border: {border} are cut off each side")
    y = (255 * images.clamp(0, 1)).round()
    if y.shape[-3] == 3:
        y = luma(y)
    return y[..., border : height - border, border : width - border]
