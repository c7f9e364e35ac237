"""What shifting the input does to the output, beyond shifting it.

Two windows of one image, some pixels apart, show the same scene. A net without aliasing gives the
same answer for what both show. For labels the measure is the share of pixels that have the same
label in both (shift consistency: Zhang 2019, "Making convolutional networks shift-invariant again",
section 4.1, for pixels in place of images). For pictures it is the ratio of the largest possible
value to the difference in decibels (EQ-T: Karras et al. 2021, "Alias-free generative adversarial
networks", section 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

Shift = Sequence[int]


def window(images: Tensor, shift: Shift, reach: int) -> Tensor:
    """The window of an image that begins at `shift`.

    Args:
        images: (…, H, W).
        shift: rows and columns from the top left, each from 0 to `reach`.
        reach: the largest shift; windows have H − reach rows and W − reach columns.

    Returns:
        (…, H − reach, W − reach).

    Raises:
        ValueError: for a shift beyond the reach, or an image that is no larger than it.
    """
    height, width = images.shape[-2:]
    if min(height, width) <= reach or not all(0 <= s <= reach for s in shift):
        raise ValueError(
            f"a window of {height}×{width} pixels cannot begin at {tuple(shift)} with a reach of "
            f"{reach}: shifts go from 0 to the reach, and images are larger than it"
        )
    top, left = shift
    return images[..., top : top + height - reach, left : left + width - reach]


def overlap(first: Tensor, second: Tensor, offset: Shift) -> tuple[Tensor, Tensor]:
    """What two windows both show, from maps of either.

    Args:
        first: (…, h, w) of the first window.
        second: (…, h, w) of the second.
        offset: the second window's place less the first's, in pixels of these maps.

    Returns:
        Both (…, h − |dy|, w − |dx|).

    Raises:
        ValueError: windows that share nothing.

    Example:
        >>> line = torch.arange(5).view(1, 5)
        >>> overlap(line[:, :4], line[:, 1:], (0, 1))
        (tensor([[1, 2, 3]]), tensor([[1, 2, 3]]))
    """
    for axis, step in zip((-2, -1), offset, strict=True):
        size = first.shape[axis] - abs(step)
        if size < 1:
            raise ValueError(
                f"windows of {first.shape[-2]}×{first.shape[-1]} pixels, {tuple(offset)} apart, "
                "share nothing"
            )
        first = first.narrow(axis, max(step, 0), size)
        second = second.narrow(axis, max(-step, 0), size)
    return first, second


class ShiftConsistency(Metric):
    """Share of pixels with the same label in two windows, over every pair seen.

    Args:
        **kwargs: handed to `torchmetrics.Metric`.

    Example:
        >>> score = ShiftConsistency()
        >>> labels = torch.tensor([[[0, 1, 1, 2]]])
        >>> score.update(labels[..., :3], torch.tensor([[[1, 1, 0]]]), offset=(0, 1))
        >>> score.compute()
        {'shift_consistency': tensor(1.)}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    same: Tensor
    pixels: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("same", "pixels"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, first: Tensor, second: Tensor, offset: Shift) -> None:
        """Add the labels (B, h, w), or logits (B, C, h, w), of two windows `offset` apart."""
        if first.is_floating_point():
            first, second = (logits.max(dim=1).indices for logits in (first, second))
        first, second = overlap(first, second, offset)
        self.same += (first == second).sum()
        self.pixels += first.numel()

    def compute(self) -> dict[str, Tensor]:
        """Return shift_consistency, a share of 1; nan before the first pair."""
        return {"shift_consistency": self.same / self.pixels}


class ShiftEquivariance(Metric):
    """How alike two windows' pictures are where they show the same, in decibels.

    10·log₁₀(peak² / mean squared difference); inf for a net that shifts exactly.

    Args:
        peak: the range of the values.
        **kwargs: handed to `torchmetrics.Metric`.

    Example:
        >>> score = ShiftEquivariance()
        >>> score.update(torch.zeros(1, 1, 2, 3), torch.full((1, 1, 2, 3), 0.1), offset=(0, 1))
        >>> score.compute()
        {'shift_equivariance': tensor(20.)}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    squared: Tensor
    values: Tensor

    def __init__(self, peak: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 < peak < float("inf"):
            raise ValueError(f"peak={peak} is no range of values: give 1 for images in 0 … 1")
        self.peak = peak
        self.add_state("squared", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("values", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, first: Tensor, second: Tensor, offset: Shift) -> None:
        """Add the pictures (B, C, h, w) of two windows `offset` apart, in pixels of these."""
        first, second = overlap(first, second, offset)
        self.squared += (first.double() - second.double()).square().sum()
        self.values += first.numel()

    def compute(self) -> dict[str, Tensor]:
        """Return shift_equivariance in decibels; nan before the first pair."""
        mean = self.squared / self.values
        return {"shift_equivariance": (10 * (self.peak**2 / mean).log10()).float()}
