"""A photograph with the classes of its pixels laid over it, and their legend below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from panels import legend

#: Wider pictures have a legend as many times larger, to be read when they are fitted to a screen.
SCREEN = 1400


def overlay(
    image: Tensor,
    classes: Tensor,
    palette: Sequence[Sequence[int]],
    names: Sequence[str] | None = None,
) -> Tensor:
    """Half the picture, half the colour of each pixel's class; below it the classes that occur.

    Args:
        image: (3, H, W) uint8.
        classes: (H, W) uint8.
        palette: a colour 0 … 255 of each class.
        names: of the classes; their numbers where there are none.

    Returns:
        (3, H + legend, W) uint8.

    Raises:
        ValueError: sizes that differ, or a class without a colour.
    """
    if image.shape[1:] != classes.shape:
        raise ValueError(f"the image is {tuple(image.shape)}, the classes {tuple(classes.shape)}")
    present = classes.unique().tolist()
    if present[-1] >= len(palette):
        raise ValueError(f"class {present[-1]} has no colour: the palette has {len(palette)}")
    colours = np.array(palette, dtype=np.uint8)
    # numpy looks up by 8 bits; torch would make indices of 64 of a large picture
    labels = torch.from_numpy(colours[classes.numpy()]).permute(2, 0, 1)
    # (image + label) / 2 in 8 bits: halves first, then the bit that both lose
    mixed = (image >> 1) + (labels >> 1) + (image & labels & 1)
    shown = [names[c] if names is not None else f"class {c}" for c in present]
    size = max(1, round(image.shape[2] / SCREEN))
    strip = legend.strip(image.shape[2], shown, colours[present], size)
    return torch.cat((mixed, torch.from_numpy(strip).permute(2, 0, 1)), 1)
