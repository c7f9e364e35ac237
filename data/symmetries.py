"""Flips and quarter turns of images."""

import torch
from torch import Tensor


def symmetry(x: Tensor, kind: int) -> Tensor:
    """One of the square's eight symmetries of (…, H, W): `kind` % 4 quarter turns, mirrored from 4.

    `symmetry(symmetry(x, kind), inverse(kind))` is x.
    """
    x = torch.rot90(x, kind % 4, (-2, -1))
    return x.flip(-1) if kind >= 4 else x


def inverse(kind: int) -> int:
    """The symmetry that undoes `kind`: a mirrored one undoes itself.

    >>> [inverse(kind) for kind in range(8)]
    [0, 3, 2, 1, 4, 5, 6, 7]
    """
    return kind if kind >= 4 else -kind % 4
