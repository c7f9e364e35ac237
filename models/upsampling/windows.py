"""Every pixel as the window of output pixels that it becomes, in the memory format it lies in."""

import torch
from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether (B, C, H, W) lies in memory with the channels innermost."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def pixels(x: Tensor, channels_last: bool) -> Tensor:
    """(B, C, H, W) -> (B, C, H, 1, W, 1), or (B, H, 1, W, 1, C): windows to be filled.

    Arithmetic on a permuted view with axes of length 1 loses the memory format. Here the axes are
    in the order of memory, and no copy is made.
    """
    return x.permute(0, 2, 3, 1)[:, :, None, :, None] if channels_last else x[..., :, None, :, None]


def join(y: Tensor, channels_last: bool) -> Tensor:
    """(B, C, H, s, W, s), or (B, H, s, W, s, C) -> (B, C, s·H, s·W)."""
    if channels_last:
        return y.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
    return y.flatten(4, 5).flatten(2, 3)
