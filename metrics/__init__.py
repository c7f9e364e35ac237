"""Scores of predictions: pure torch functions, each with a thin torchmetrics shell."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upzoo.metrics.boundary import BoundaryF1, boundary_f1
    from upzoo.metrics.boundary_iou import BoundaryIoU, boundary_counts
    from upzoo.metrics.equivariance import ShiftConsistency, ShiftEquivariance
    from upzoo.metrics.periodic import PeriodicPart, without_grid
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

#: Module → the names that it offers here.
PARTS = {
    "boundary": ("BoundaryF1", "boundary_f1"),
    "boundary_iou": ("BoundaryIoU", "boundary_counts"),
    "equivariance": ("ShiftConsistency", "ShiftEquivariance"),
    "periodic": ("PeriodicPart", "without_grid"),
    "segmentation": (
        "ClassCounts",
        "SegmentationScores",
        "class_accuracy",
        "confusion_matrix",
        "frequency_weighted_iou",
        "global_accuracy",
        "mean_iou",
        "per_class_iou",
    ),
}
__all__ = [
    "BoundaryF1",
    "BoundaryIoU",
    "ClassCounts",
    "PeriodicPart",
    "SegmentationScores",
    "ShiftConsistency",
    "ShiftEquivariance",
    "boundary_counts",
    "boundary_f1",
    "class_accuracy",
    "confusion_matrix",
    "frequency_weighted_iou",
    "global_accuracy",
    "mean_iou",
    "per_class_iou",
    "without_grid",
]


def __getattr__(name: str) -> Any:
    """Import torch with the first score that is asked for: the catalogue is read without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    part = next(part for part, names in PARTS.items() if name in names)
    return getattr(import_module(f"{__name__}.{part}"), name)
