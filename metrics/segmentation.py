"""Segmentation scores over the confusion matrix of a whole data set.

With n_ij the number of pixels of true class i that were predicted as class j, t_i = Σ_j n_ij the
pixels of class i and p_i = Σ_j n_ji those predicted as i, the four scores are those of FCN
(Long et al. 2015, section 5) and SegNet (Badrinarayanan et al. 2017, section 4.1). A class for
which a score is 0/0 gives nan for itself and is left out of the mean. Where no pixel was counted
at all, every score is nan.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from upzoo.metrics.maps import check_classes, class_maps


def confusion_matrix(
    preds: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255
) -> Tensor:
    """Count n_ij, the pixels of true class i (row) predicted as class j (column).

    Args:
        preds: class maps (B, H, W) or logits (B, C, H, W).
        target: true classes (B, H, W); pixels that equal `ignore_index` are not counted.
        num_classes: C.
        ignore_index: the value that marks void in `target`.

    Returns:
        (C, C) int64.

    Raises:
        ValueError: shapes that differ or classes outside 0…C−1.

    Example:
        >>> confusion_matrix(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 255]]]), 2)
        tensor([[1, 1],
                [0, 0]])
    """
    preds, target = class_maps(preds, target, num_classes, ignore_index)
    cells = num_classes * num_classes
    # cell = i·C + j, and one cell more for void: quicker than picking the labelled pixels out
    cell = (target.long() * num_classes + preds).masked_fill_(target == ignore_index, cells)
    counts = torch.bincount(cell.flatten(), minlength=cells + 1)[:cells]
    return counts.view(num_classes, num_classes)


def global_accuracy(confusion: Tensor) -> Tensor:
    """Share of all labelled pixels that are right ("pixel accuracy" in FCN).

    Example:
        >>> global_accuracy(torch.tensor([[3, 1], [0, 4]]))
        tensor(0.8750)
    """
    # Σ_i n_ii / Σ_i t_i
    return confusion.diagonal().sum() / confusion.sum()


def class_accuracy(confusion: Tensor) -> Tensor:
    """Mean over classes of the share of a class's true pixels that are right.

    Classes without a true pixel are left out, even if they were predicted.

    Example:
        >>> class_accuracy(torch.tensor([[3, 1], [0, 4]]))
        tensor(0.8750)
    """
    # mean_i n_ii / t_i
    return (confusion.diagonal() / confusion.sum(dim=1)).nanmean()


def per_class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class, (C,); nan where neither truth nor prediction has it.

    Example:
        >>> per_class_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
        tensor([0.7500, 0.8000,    nan])
    """
    hits = confusion.diagonal()
    # n_ii / (t_i + p_i − n_ii)
    return hits / (confusion.sum(dim=1) + confusion.sum(dim=0) - hits)


def mean_iou(confusion: Tensor) -> Tensor:
    """Mean of the per-class IoUs; classes absent from both truth and prediction are left out.

    Example:
        >>> mean_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
        tensor(0.7750)
    """
    return per_class_iou(confusion).nanmean()


def frequency_weighted_iou(confusion: Tensor) -> Tensor:
    """Mean of the per-class IoUs, each weighted by its share of the true pixels.

    Example:
        >>> frequency_weighted_iou(torch.tensor([[3, 1], [0, 4]]))
        tensor(0.7750)
    """
    truth = confusion.sum(dim=1)
    # Σ_i t_i·IoU_i / Σ_i t_i, where a class without true pixels weighs nothing
    return (truth * per_class_iou(confusion)).nansum() / truth.sum()


class ClassCounts(Metric):
    """Pixels of each class in each image, from which the scores of any set of images follow.

    mIoU over a set is `mean_iou` of sums over its images, as a bootstrap over images needs.
    Twelve bytes a class and image are kept.

    Args:
        num_classes: C.
        ignore_index: the value that marks void in the target.
        **kwargs: handed to `torchmetrics.Metric`.

    Raises:
        ValueError: no class, or a void value that is one of the classes.

    Example:
        >>> counts = ClassCounts(num_classes=2)
        >>> counts.update(torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 1, 255]]]))
        >>> {name: value.tolist() for name, value in counts.compute().items()}
        {'hits': [[1, 1]], 'truth': [[1, 2]], 'predicted': [[2, 1]]}
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    counts: list[Tensor]

    def __init__(self, num_classes: int, ignore_index: int = 255, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_classes(num_classes, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.add_state("counts", [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch: class maps (B, H, W) or logits (B, C, H, W), and the truth (B, H, W)."""
        for one, truth in zip(preds.split(1), target.split(1), strict=True):
            n = confusion_matrix(one, truth, self.num_classes, self.ignore_index)
            counts = torch.stack((n.diagonal(), n.sum(dim=1), n.sum(dim=0)))
            self.counts.append(counts[None].int())

    def compute(self) -> dict[str, Tensor]:
        """Return hits, truth and predicted, each (N, C) int32, in the order of the updates."""
        counts = torch.cat(self.counts) if isinstance(self.counts, list) else self.counts
        return dict(zip(("hits", "truth", "predicted"), counts.unbind(1), strict=True))


class SegmentationScores(Metric):
    """The scores above over every pixel seen since the last reset, on all processes together.

    They come from one confusion matrix over the whole data set and are not means of per-image
    scores.

    Args:
        num_classes: C.
        ignore_index: the value that marks void in the target.
        **kwargs: handed to `torchmetrics.Metric`.

    Raises:
        ValueError: no class, or a void value that is one of the classes.

    Example:
        >>> scores = SegmentationScores(num_classes=2)
        >>> scores.update(torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 1, 255]]]))
        >>> {name: round(value.item(), 3) for name, value in scores.compute().items()}
        {'global_accuracy': 0.667, 'class_accuracy': 0.75, 'miou': 0.5, 'fwiou': 0.5}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    confusion: Tensor

    def __init__(self, num_classes: int, ignore_index: int = 255, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_classes(num_classes, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        zeros = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("confusion", zeros, dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch: class maps (B, H, W) or logits (B, C, H, W), and the truth (B, H, W)."""
        self.confusion += confusion_matrix(preds, target, self.num_classes, self.ignore_index)

    def compute(self) -> dict[str, Tensor]:
        """Return global_accuracy, class_accuracy, miou and fwiou, each a share of 1."""
        return {
            "global_accuracy": global_accuracy(self.confusion),
            "class_accuracy": class_accuracy(self.confusion),
            "miou": mean_iou(self.confusion),
            "fwiou": frequency_weighted_iou(self.confusion),
        }

    def per_class_iou(self) -> Tensor:
        """Return the IoU of each class, (C,), over all processes; nan for a class never seen."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return per_class_iou(self.confusion)
