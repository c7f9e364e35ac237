"""Enlargement by a fixed rule, as pure functions of tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(x: Tensor, scale: int, mode: str) -> Tensor:
    """(B, C, H, W) -> (B, C, scale·H, scale·W), pixel centres aligned (align_corners=False)."""
    size = [scale * x.shape[-2], scale * x.shape[-1]]
    if mode == "nearest":
        return F.interpolate(x, size, mode="nearest")
    return F.interpolate(x, size, mode=mode, align_corners=False)


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
