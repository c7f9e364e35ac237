"""Hand a smooth gradient back through a net: which layers that thin out share it unevenly."""

from __future__ import annotations

import torch
from torch import Tensor

from upzoo.audit.constants import leaf_of
from upzoo.audit.examination import REFUSALS, Examination
from upzoo.audit.journal import Plan
from upzoo.audit.maps import leaves, to_map
from upzoo.audit.measure import input_gradient
from upzoo.audit.phases import cell_means
from upzoo.audit.trace import Trace, input_period
from upzoo.upsampling.phases import over


def follow_gradient(ex: Examination) -> None:
    """Hand a smooth gradient back to the input: which phases get how much of it."""
    if ex.constant is None:
        _constant_for_gradient(ex)
    if ex.leaf is None or ex.constant is None or ex.trace is None:
        return
    y = ex.constant.map
    if y is None:
        scores = [leaf.value for leaf in leaves(ex.constant.raw) if leaf.value.requires_grad]
        y = max(scores, key=Tensor.numel, default=None)
    if y is None or not y.requires_grad:
        return
    ex.progress("gradient")
    ex.passes += 1
    ex.trace.collecting = True
    try:
        gradient = input_gradient(y, ex.leaf, ex.seed)
    except RuntimeError as error:
        ex.note_no_gradient(error)
        return
    finally:
        ex.trace.collecting = False
    if gradient is None:
        return
    first = to_map(gradient, ex.like, ex.dims)
    size = () if first is None else first.shape[2:]
    for call in ex.calls:
        period = 0 if call.up else input_period(call, size)
        if first is None or not 2 <= period <= min(size) // 4 or period in ex.report.gradient:
            continue
        cell = cell_means(first.square(), [period] * len(size))
        if cell is not None:
            energies = cell.double().mean((0, 1))
            ex.report.gradient[period] = over(energies.max().item(), energies.min().item())


def _constant_for_gradient(ex: Examination) -> None:
    """A constant through a net that gives no map, a classifier for instance."""
    if not ex.pictures:
        return
    ex.progress("constant")
    trace = Trace(True)
    fields = ex.constant_input()
    try:
        with torch.enable_grad():
            leaf, inputs = leaf_of(ex, fields, "the input")
            ran = ex.forward(inputs, Plan(thin=trace.thin, example=ex.example.replay))
    except REFUSALS:
        return
    ex.constant, ex.trace, ex.leaf = ran, trace, leaf
