"""Geometric self-ensemble: what a net makes of an image's flips and turns (Lim et al. 2017)."""

from collections.abc import Callable

import torch
from torch import Tensor

from data.symmetries import inverse, symmetry


def self_ensembled(net: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mean of what a net makes of the eight flips and turns of images, each turned back.

    Args:
        net: (B, C, H, W) -> (B, C, s·H, s·W).
        images: (B, C, H, W).
    """
    made = [symmetry(net(symmetry(images, kind)), inverse(kind)) for kind in range(8)]
    return torch.stack(made).mean(0)
