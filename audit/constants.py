"""Feed a net a constant, and measure what repeats at its output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from upzoo.audit.examination import REFUSALS, Examination
from upzoo.audit.inputs import Inputs
from upzoo.audit.journal import Plan
from upzoo.audit.measure import blind_periods, middle
from upzoo.audit.phases import PERIODS, busiest, patterns, unfilmed
from upzoo.audit.report import PHOTOGRAPH
from upzoo.audit.trace import Trace
from upzoo.audit.words import error_line
from upzoo.metrics.checkerboard.response import constant
from upzoo.upsampling.phases import over

FED = 12  # pixels of the constant map that a generator's first layer is fed
ROUNDING = 2e-5  # of the output's level, that float32 may leave
VISIBLE = PHOTOGRAPH * math.sqrt(10**0.6 - 1)  # of the output's spread, at 6 dB


def run_constant(ex: Examination, level: bool = False) -> None:
    """Feed a constant, with a graph behind the output where the net has one.

    Args:
        ex: the audit so far.
        level: let random numbers be the same at all places.
    """
    ex.progress("constant")
    refusal = ""
    for fed, fields, replace in feeds(ex):
        for flow, endless in ((True, True), (False, True), (False, False)):
            trace = Trace(flow)
            plan = Plan(see=trace.see, thin=trace.thin, level=level)
            plan.example = ex.example.replay if endless else None
            if replace is not None:
                plan.replace = replace
            try:
                with torch.set_grad_enabled(flow):
                    leaf, inputs = leaf_of(ex, fields, fed) if flow else (None, fields)
                    ran = ex.forward(inputs, plan)
            except REFUSALS as error:
                refusal = f": {error_line(error)}"
                continue
            if ran.map is None or ran.map.numel() == 0:
                continue
            ex.constant, ex.trace, ex.leaf = ran, trace, leaf
            ex.report.fed = fed
            if not endless and not level:
                ex.report.notes.append("its maps end at their borders: these are left out")
            assert ran.map is not None
            _measure(ex, [ran.map])
            if ran.drew and not level and not hidden(ex):
                _second_seed(ex, fields, plan)
            return
    ex.why = ex.why or f"the net refuses a constant{refusal}"


def leaf_of(ex: Examination, inputs: Inputs, fed: str) -> tuple[Tensor | None, Inputs]:
    """The first picture as something to take derivatives by."""
    found = ex.find_pictures(inputs) if fed == "the input" else []
    if not found:
        return None, inputs
    leaf = found[0].tensor.detach().clone().requires_grad_()
    return leaf, inputs.replace({id(found[0].tensor): leaf * 1})  # in-place functions may come


def feeds(ex: Examination) -> list[tuple[str, Inputs, Any]]:
    """Ways to feed a constant, the best first: its name, inputs, and what to replace."""
    if ex.pictures:
        return [("the input", ex.constant_input(), None)]
    first = next((i for i, c in enumerate(ex.example.calls) if c.up and c.mean is not None), None)
    if first is None:
        return [("its own input", ex.inputs, None)]
    call = ex.example.calls[first]
    assert call.mean is not None
    mean = call.mean
    feeds = []
    for least in (FED, 1):
        size = [max(n, least) for n in call.input_size]

        def replace(index: int, x: Tensor, size: list[int] = size) -> Tensor:
            if index != first:
                return x
            return constant(mean, size).to(x).expand(len(x), *[-1] * (x.ndim - 1)).contiguous()

        feeds.append((call.name, ex.inputs, replace))
    return feeds


def hidden(ex: Examination) -> bool:
    """Whether places differ by more than a visible grid of the layers' periods would."""
    return bool(blind_periods(ex.report.noise, ex.own_periods(ex.calls)))


def _second_seed(ex: Examination, inputs: Inputs, plan: Plan) -> None:
    """Measure once more over two seeds: what differs between them is noise."""
    assert ex.constant is not None
    assert ex.constant.map is not None
    ex.progress("another seed")
    quiet = Plan(replace=plan.replace, example=plan.example)
    other = ex.forward(inputs, quiet, ex.seed + 1).map
    if other is not None and other.shape == ex.constant.map.shape:
        _measure(ex, [ex.constant.map, other])


def _measure(ex: Examination, ys: Sequence[Tensor]) -> None:
    """The figures of the output's grids: over its level, and over its spread."""
    assert ex.map is not None
    ys = [unfilmed(y) for y in ys]
    report, y, shown = ex.report, ys[0], unfilmed(ex.map)
    channels = busiest(y)
    # channel by channel, for their doubles need as much memory as a pass
    means = [y.detach()[:, c].double().mean() for c in channels]
    level = torch.stack(means).norm().item()
    shown = shown[:, channels] if shown.shape[1] == y.shape[1] else shown
    # the spread that pictures cause: a level of its own for each channel and image is none
    places = tuple(range(1, shown.ndim - 1))
    spreads = [c.double().var(places, correction=0).mean() for c in shown.unbind(1)]
    spread = torch.stack(spreads).sum().sqrt().item()
    with torch.set_grad_enabled(y.requires_grad):
        ex.patterns = patterns(
            [y[:, channels] for y in ys], PERIODS, max(VISIBLE * spread, ROUNDING * level)
        )
    report.level = level
    report.response = {p: over(f.amplitude, level) for p, f in ex.patterns.items()}
    report.contrast = {p: over(f.amplitude, spread) for p, f in ex.patterns.items()}
    report.noise = {p: over(f.noise, spread) for p, f in ex.patterns.items()}
    if ex.patterns:
        energy = torch.stack(
            [f.mean.detach().square().flatten(1).mean(1) for f in ex.patterns.values()]
        ).sum(0)
        strongest = int(channels[int(energy.argmax())])
        report.tile = middle(y.detach(), strongest)
        of_example = unfilmed(ex.map)
        inside = strongest < of_example.shape[1]
        report.spread = of_example[:, strongest].std().item() if inside else None
