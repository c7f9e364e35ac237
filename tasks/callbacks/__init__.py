"""What happens around the steps of a training: one idea a file."""

from tasks.callbacks.artifacts import ArtifactCurves
from tasks.callbacks.checkpoints import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from tasks.callbacks.divergence import Divergence
from tasks.callbacks.generation import GenerationPanels
from tasks.callbacks.predictions import (
    PredictionPanels,
    ReconstructionPanels,
    SegmentationPanels,
    SuperResolutionPanels,
)
from tasks.callbacks.progress import Bar, PlainProgress
from tasks.callbacks.projection import ProjectionPanels
from tasks.callbacks.repeatable import Repeatable
from tasks.callbacks.statistics import SameStatistics
from tasks.callbacks.stopping import GracefulStop
from tasks.callbacks.throughput import Throughput

__all__ = [
    "ArtifactCurves",
    "AtomicCheckpointIO",
    "Bar",
    "BestCheckpoint",
    "Divergence",
    "GenerationPanels",
    "GracefulStop",
    "LastCheckpoint",
    "PlainProgress",
    "PredictionPanels",
    "ProjectionPanels",
    "ReconstructionPanels",
    "Repeatable",
    "SameStatistics",
    "SegmentationPanels",
    "SuperResolutionPanels",
    "Throughput",
]
