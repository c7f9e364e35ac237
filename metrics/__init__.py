"""Scores of predictions: pure torch functions, each with a thin torchmetrics shell."""

from upzoo.metrics.boundary import BoundaryF1, boundary_f1
from upzoo.metrics.segmentation import (
    ClassCounts,
    SegmentationScores,
    class_accuracy,
    confusion_matrix,
    frequency_weighted_iou,
    global_accuracy,
    mean_iou,
    per_class_iou,
)

__all__ = [
    "BoundaryF1",
    "ClassCounts",
    "SegmentationScores",
    "boundary_f1",
    "class_accuracy",
    "confusion_matrix",
    "frequency_weighted_iou",
    "global_accuracy",
    "mean_iou",
    "per_class_iou",
]
