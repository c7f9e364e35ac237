"""Boundary IoU: intersection over union of the bands along the contours of two segmentations.

Cheng et al., "Boundary IoU: Improving object-centric image segmentation evaluation" (CVPR 2021),
section 4. The band of class c are the pixels of c that lie within d pixels of one that is not of c,
in the larger of the two coordinates' distances; beyond the image nothing is of c, so that the
image's edge is a contour, as in the authors' code. The authors' d is 2 % of the image's diagonal,
12 pixels of 360×480. As for IoU, a class's pixels are counted over the whole data set first.

Void takes no part: a void pixel is counted in no band, makes no contour, and is void in both maps.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from upzoo.metrics.maps import check_classes, class_maps

RATIO = 0.02


def band(classes: Tensor, labelled: Tensor, width: int) -> Tensor:
    """Mark labelled pixels near a labelled pixel of another class, or near the image's edge.

    Args:
        classes: (B, H, W) integers from 0.
        labelled: (B, H, W) bool.
        width: d in pixels, at least 1.

    Returns:
        (B, H, W) bool.

    Example:
        >>> maps = torch.zeros(1, 5, 7, dtype=torch.long)
        >>> maps[..., 6:] = 1
        >>> band(maps, torch.ones_like(maps, dtype=torch.bool), 1)[0, 2].int()
        tensor([1, 0, 0, 0, 0, 1, 1], dtype=torch.int32)
    """
    # another class in the window: the largest or the least of its classes is not the pixel's own
    known = classes * labelled
    top = int(known.amax()) + 1 if known.numel() else 1
    known = known.to(torch.uint8 if top < 256 else torch.int32)
    values = torch.stack((known + 1, top - known), dim=1)
    largest = values * labelled[:, None]  # 0 where nothing is, below any class
    for dim in (-2, -1):  # a square is a column, then a row
        largest = window_maximum(largest, dim, width)
    greater, less = (largest != values).unbind(1)
    inside = torch.zeros_like(labelled[0])
    inside[width:-width, width:-width] = True  # nothing, where the image is all edge
    return (greater | less | ~inside) & labelled


def window_maximum(values: Tensor, dim: int, reach: int) -> Tensor:
    """Largest value within `reach` pixels along one axis, in about 2·log₂(reach) passes.

    Args:
        values: (…), not negative; beyond them is nothing.
        dim: the axis, from the end.
        reach: in pixels.

    Example:
        >>> window_maximum(torch.tensor([0, 3, 1, 0, 0, 2]), -1, 1)
        tensor([3, 3, 3, 1, 2, 2])
    """
    padding = [0, 0] * (-dim - 1) + [reach, reach]
    length, span, most = 2 * reach + 1, 1, F.pad(values, padding)
    while span < length:  # most[i] is that of the window [i, i + span)
        step = min(span, length - span)
        size = most.shape[dim] - step
        most = torch.maximum(most.narrow(dim, 0, size), most.narrow(dim, step, size))
        span += step
    return most


def boundary_counts(
    preds: Tensor,
    target: Tensor,
    num_classes: int,
    ignore_index: int = 255,
    ratio: float = RATIO,
) -> Tensor:
    """Pixels of each class in both bands, and in either, for each image.

    Args:
        preds: class maps (B, H, W) or logits (B, C, H, W).
        target: true classes (B, H, W), `ignore_index` where void.
        num_classes: C.
        ignore_index: the value that marks void in `target`.
        ratio: d as a share of the image's diagonal, rounded to whole pixels, at least 1.

    Returns:
        (B, 2, C) int64: intersections, then unions.

    Raises:
        ValueError: shapes that differ or classes outside 0…C−1.
    """
    preds, target = class_maps(preds, target, num_classes, ignore_index)
    labelled = target != ignore_index
    width = max(1, round(ratio * math.hypot(*target.shape[-2:])))
    true, predicted = (band(maps, labelled, width) for maps in (target, preds))
    both = true & predicted & (target == preds)
    t, p, n = (
        _per_class(maps, where, num_classes)
        for maps, where in ((target, true), (preds, predicted), (target, both))
    )
    return torch.stack((n, t + p - n), dim=1)


def boundary_iou(counts: Tensor) -> Tensor:
    """Boundary IoU of each class, nan for one in neither map's band.

    Args:
        counts: (…, 2, C) of `boundary_counts`, summed over images.

    Returns:
        (…, C).

    Example:
        >>> boundary_iou(torch.tensor([[3, 0], [4, 0]]))
        tensor([0.7500,    nan])
    """
    intersection, union = counts.unbind(-2)
    return intersection / union


def _per_class(classes: Tensor, where: Tensor, num_classes: int) -> Tensor:
    """Pixels of each class among those marked, (B, C)."""
    images = torch.arange(len(classes), device=classes.device).view(-1, 1, 1)
    cells = len(classes) * num_classes
    cell = torch.where(where, images * num_classes + classes, cells)
    return torch.bincount(cell.flatten(), minlength=cells + 1)[:cells].view(-1, num_classes)


class BoundaryIoU(Metric):
    """Mean Boundary IoU of the classes over every image seen, on all processes together.

    Args:
        num_classes: C.
        ignore_index: the value that marks void in the target.
        ratio: d as a share of the image's diagonal.
        **kwargs: handed to `torchmetrics.Metric`.

    Raises:
        ValueError: no class, a void value that is one of the classes, a ratio of 0 or less.

    Example:
        >>> score = BoundaryIoU(num_classes=2)
        >>> truth, found = torch.zeros(2, 1, 8, 8, dtype=torch.long)
        >>> truth[..., 4:], found[..., 5:] = 1, 1
        >>> score.update(found, truth)
        >>> score.compute()  # (14 / 28 + 12 / 26) / 2
        {'boundary_iou': tensor(0.4808)}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(
        self, num_classes: int, ignore_index: int = 255, ratio: float = RATIO, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_classes(num_classes, ignore_index)
        if not 0 < ratio < math.inf:
            raise ValueError(f"ratio={ratio} is no share of the diagonal: give one such as 0.02")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.ratio = ratio
        zeros = torch.zeros(2, num_classes, dtype=torch.int64)
        self.add_state("counts", zeros, dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch: class maps (B, H, W) or logits (B, C, H, W), and the truth (B, H, W)."""
        options = (self.num_classes, self.ignore_index, self.ratio)
        self.counts += boundary_counts(preds, target, *options).sum(0)

    def compute(self) -> dict[str, Tensor]:
        """Return boundary_iou, the mean over classes, a share of 1."""
        return {"boundary_iou": boundary_iou(self.counts).nanmean()}
