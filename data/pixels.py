"""Pixels between Pillow and torch, with torch alone: torchvision takes seconds to import."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def from_picture(picture: Image.Image) -> Tensor:
    """An image of 8-bit channels as uint8 (C, H, W), as torchvision's `pil_to_tensor`.

    >>> from_picture(Image.new("RGB", (3, 2), (1, 2, 3)))[:, 0, 0]
    tensor([1, 2, 3], dtype=torch.uint8)
    """
    pixels = torch.from_numpy(np.array(picture))
    return pixels.view(picture.height, picture.width, -1).permute(2, 0, 1).contiguous()


def to_picture(image: Tensor) -> Image.Image:
    """A (1 or 3, H, W) image as Pillow's, grey or RGB: uint8, or floats in 0 … 1, cut to 8 bits.

    As torchvision's `to_pil_image`.

    >>> to_picture(torch.ones(3, 2, 4)).getpixel((0, 0))
    (255, 255, 255)
    """
    if image.is_floating_point():
        image = image.mul(255).byte()
    pixels = image.cpu().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def normalised(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(x / 255 − mean) / std of a (C, H, W) image of values in 0 … 255, float32."""
    centre, spread = (torch.tensor(list(values)).view(-1, 1, 1) for values in (mean, std))
    return image.float().div(255).sub_(centre).div_(spread)


def denormalise(
    images: Tensor,
    mean: Tensor | Sequence[float],
    std: Tensor | Sequence[float],
) -> Tensor:
    """Colours in 0 … 1, not clipped, of normalised images (…, C, H, W), float32.

    Args:
        images: (x - mean) / std of colours x.
        mean: mean colour in 0 .. 1, per channel.
        std: deviation, per channel.
    """
    centre, spread = (
        torch.as_tensor(values, dtype=torch.float32, device=images.device).view(-1, 1, 1)
        for values in (mean, std)
    )
    # x = x' · std + mean
    return images.float() * spread + centre
