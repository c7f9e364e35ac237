"""Scores of predictions: pure torch functions, each with a thin torchmetrics shell."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """Import torch with the first score that is asked for: the catalogue is read without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    part = "boundary" if name in ("BoundaryF1", "boundary_f1") else "segmentation"
    return getattr(import_module(f"{__name__}.{part}"), name)
