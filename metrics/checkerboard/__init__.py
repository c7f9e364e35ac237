"""Checkerboards, measured on weights, responses, images and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upzoo.metrics.checkerboard.gradients import (
    GradientPhases,
    gradient_phases,
    input_gradient,
    phase_energies,
)
from upzoo.metrics.checkerboard.grid import Ripple, phase_means, ripple
from upzoo.metrics.checkerboard.phases import grid_maps, phase_mean, phase_variance_ratio
from upzoo.metrics.checkerboard.power import power_spectrum
from upzoo.metrics.checkerboard.profile import profile_distance, radial_profile
from upzoo.metrics.checkerboard.response import Step, constant_response, step_response
from upzoo.metrics.checkerboard.sharpness import sharpness
from upzoo.metrics.checkerboard.spectrum import harmonics, peak_excess
from upzoo.metrics.checkerboard.weights import (
    dc_ripple,
    energy_ripple,
    shuffle_kernel,
    stack_overlap,
    tap_energies,
)
from upzoo.upsampling.phases import overlap_counts, phase_gains, unevenness

if TYPE_CHECKING:
    from upzoo.metrics.checkerboard.scores import CheckerboardScores, describe

__all__ = [
    "CheckerboardScores",
    "GradientPhases",
    "Ripple",
    "Step",
    "constant_response",
    "dc_ripple",
    "describe",
    "energy_ripple",
    "gradient_phases",
    "grid_maps",
    "harmonics",
    "input_gradient",
    "overlap_counts",
    "peak_excess",
    "phase_energies",
    "phase_gains",
    "phase_mean",
    "phase_means",
    "phase_variance_ratio",
    "power_spectrum",
    "profile_distance",
    "radial_profile",
    "ripple",
    "sharpness",
    "shuffle_kernel",
    "stack_overlap",
    "step_response",
    "tap_energies",
    "unevenness",
]


def __getattr__(name: str) -> Any:
    """Import the scores of a set of images when they are used: they need torchmetrics."""
    if name in ("CheckerboardScores", "describe"):
        from upzoo.metrics.checkerboard import scores

        return getattr(scores, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
