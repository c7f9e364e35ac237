"""What the periodic part of a net's logits does to its labels.

A net that upsamples by s may add a pattern of period s to its logits. It is an artifact in the
task's own units only as far as it changes labels. So the pattern of each image and class, the mean
of each phase mod s less the mean of all phases, is taken off the logits, and labels and scores are
compared with those before. The scene's own structure has a mean at each phase too, by chance: a
period that no step of the net has, such as s + 1, tells how much of the change is that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from upzoo.metrics.checkerboard.phases import grid_maps
from upzoo.metrics.maps import check_classes
from upzoo.metrics.segmentation import confusion_matrix, mean_iou


def without_grid(maps: Tensor, period: int) -> Tensor:
    """Maps less their periodic part (see `upzoo.metrics.checkerboard.grid_maps`).

    Args:
        maps: (B, C, H, W) floats.
        period: p, above 1.

    Returns:
        (B, C, H, W) float32.

    Raises:
        ValueError: for a period that is none, or larger than the maps.

    Example:
        >>> stripes = torch.arange(8.0).remainder(2).expand(1, 1, 8, 8)
        >>> without_grid(stripes, 2)[0, 0, 0]
        tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000])
    """
    height, width = maps.shape[-2:]
    if not 1 < period <= min(height, width):
        raise ValueError(
            f"period={period} is none of maps of {height}×{width} pixels: give 2 or more"
        )
    grid = grid_maps(maps, period)
    rows, columns = (torch.arange(n, device=maps.device) % period for n in (height, width))
    return maps.float() - grid[..., rows[:, None], columns]


class PeriodicPart(Metric):
    """Labels that flip and mean IoU that changes without the periodic part, over all images seen.

    Args:
        num_classes: C.
        period: p in pixels.
        ignore_index: the value that marks void in the target.
        **kwargs: handed to `torchmetrics.Metric`.

    Raises:
        ValueError: no class, a void value that is one of the classes, a period below 2.

    Example:
        >>> truth = torch.zeros(1, 8, 8, dtype=torch.long)
        >>> truth[..., 1::2] = 1
        >>> logits = torch.stack((1.0 - truth, truth.float()), dim=1)  # all of it periodic
        >>> score = PeriodicPart(num_classes=2, period=2)
        >>> score.update(logits, truth)
        >>> {name: round(value.item(), 3) for name, value in score.compute().items()}
        {'labels_flipped': 0.5, 'miou_without_grid': -0.75}
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    flipped: Tensor
    pixels: Tensor
    before: Tensor
    after: Tensor

    def __init__(
        self, num_classes: int, period: int, ignore_index: int = 255, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_classes(num_classes, ignore_index)
        if period < 2:
            raise ValueError(f"period={period} is none: give 2 or more")
        self.num_classes = num_classes
        self.period = period
        self.ignore_index = ignore_index
        for name in ("flipped", "pixels"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")
        zeros = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        for name in ("before", "after"):
            self.add_state(name, zeros.clone(), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add a batch: logits (B, C, H, W) and the truth (B, H, W)."""
        labels = logits.max(dim=1).indices
        cleaned = without_grid(logits, self.period).max(dim=1).indices
        self.flipped += (labels != cleaned).sum()
        self.pixels += labels.numel()
        self.before += confusion_matrix(labels, target, self.num_classes, self.ignore_index)
        self.after += confusion_matrix(cleaned, target, self.num_classes, self.ignore_index)

    def compute(self) -> dict[str, Tensor]:
        """Return labels_flipped, a share of all pixels, and miou_without_grid, the mIoU's change.

        Both are shares of 1; the change is positive where the labels are better without the grid.
        """
        return {
            "labels_flipped": self.flipped / self.pixels,
            "miou_without_grid": mean_iou(self.after) - mean_iou(self.before),
        }
