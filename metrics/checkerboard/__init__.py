"""Checkerboards, measured on weights, responses and gradients."""

from metrics.checkerboard.gradients import (
    GradientPhases,
    gradient_phases,
    input_gradient,
    phase_energies,
)
from metrics.checkerboard.grid import Ripple, phase_means, ripple
from metrics.checkerboard.response import Step, constant_response, step_response
from metrics.checkerboard.weights import (
    dc_ripple,
    energy_ripple,
    overlap_counts,
    phase_sums,
    shuffle_kernel,
    stack_overlap,
    tap_energies,
    unevenness,
)

__all__ = [
    "GradientPhases",
    "Ripple",
    "Step",
    "constant_response",
    "dc_ripple",
    "energy_ripple",
    "gradient_phases",
    "input_gradient",
    "overlap_counts",
    "phase_energies",
    "phase_means",
    "phase_sums",
    "ripple",
    "shuffle_kernel",
    "stack_overlap",
    "step_response",
    "tap_energies",
    "unevenness",
]
