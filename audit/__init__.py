"""Examine anybody's net for checkerboards: which layers make one, and which is to blame.

Four questions, each asked of the net as it is, in evaluation mode:

* What do the weights say? Overlap and DC-gain ripple of every layer that enlarges, over all
  constants and for the mean activation that the layer sees on the example.
* What does a layer make of a constant? It is fed its own mean input, as a map that has an interior.
* What does the whole net make of one? A picture becomes its mean colour; a net that takes none, a
  generator, is fed a constant map at its first enlarging layer.
* Who is to blame? The last pass again for every layer that ripples, with that layer's own grid
  taken off its output: the share of the output's grid that goes with it is the layer's.

Layers that thin out show in the input gradient, which is examined from end to end.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from upzoo.audit import probe
from upzoo.audit.boundless import axes
from upzoo.audit.calls import Call
from upzoo.audit.layers import Watch
from upzoo.audit.report import LEVEL, SEEN, AuditReport, Layer, advise
from upzoo.metrics.checkerboard.gradients import gradient_phases
from upzoo.metrics.checkerboard.grid import Ripple, periods
from upzoo.metrics.checkerboard.weights import (
    dc_ripple,
    energy_ripple,
)
from upzoo.upsampling.phases import over, overlap_counts, unevenness

__all__ = ["AuditReport", "Layer", "audit"]

TILE = 48  # pixels of the output's middle that a report keeps, to be drawn
CELLS = 16  # periods along an axis that the gradient's figures need at least


def audit(net: nn.Module, example: Tensor | Sequence[Tensor], *, seed: int = 0) -> AuditReport:
    """Examine a net; it is left as it was, down to modes, gradients and buffers.

    Args:
        net: any module. It runs forward in evaluation mode, three times and once more for each
            layer that ripples, and backward once.
        example: its input, or several; the more typical, the better the mean activations.
        seed: of the random signs of the gradient's figures.

    Returns:
        The findings. A net that outputs no map is examined layer by layer.

    Raises:
        ValueError: for an example that is no tensor, or a net that returns none.
    """
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    if not inputs or not all(isinstance(x, Tensor) for x in inputs):
        raise ValueError("example must be a tensor, or several in a tuple: the inputs of the net")
    with _undisturbed(net), torch.no_grad():
        seen, output = probe.run(net, inputs)
        report = AuditReport(
            net=type(net).__name__,
            input_size=[list(x.shape) for x in inputs],
            output_size=list(output.shape),
            layers=[_describe(call) for call in seen.calls],
        )
        _follow_constant(net, inputs, seen, output, report)
        if probe.is_picture(inputs[0]) and inputs[0].is_floating_point():
            report.gradient = _gradient(net, inputs, seen.calls, seed)
    report.advice = advise(report)
    return report


@contextlib.contextmanager
def _undisturbed(net: nn.Module) -> Iterator[None]:
    """Evaluation mode and a random state of its own, for a while."""
    training = [module for module in net.modules() if module.training]
    devices = {p.device for p in net.parameters() if p.device.type == "cuda"}
    net.eval()
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        for module in training:
            module.training = True


def _describe(call: Call) -> Layer:
    """What a layer's geometry and weights say, and what it makes of a constant by itself."""
    layer = Layer(
        name=call.name,
        kind=call.kind,
        up=call.up,
        kernel=None if call.kernel is None else list(call.kernel),
        stride=list(call.stride),
        response=probe.own_response(call) if call.up else None,
    )
    stride, dilation, groups = call.strides, call.dilation, call.groups
    weight = call.weight
    sizes = call.kernel if weight is None else tuple(weight.shape[2:])
    if sizes is not None and call.kind != "unpooling":
        spread = axes(dilation, len(sizes))
        lines = [
            overlap_counts((k,), (s,), 0, (d,))
            for k, s, d in zip(sizes, stride, spread, strict=True)
        ]
        layer.overlap = [line.tolist() for line in lines]
        layer.unevenness = math.prod(map(unevenness, lines))
    if weight is not None:
        layer.ripple = dc_ripple(weight, stride, groups=groups, dilation=dilation)
        layer.energy = energy_ripple(weight, stride, dilation)
        if call.seen is not None:
            layer.weighted = dc_ripple(weight, stride, call.seen, groups=groups, dilation=dilation)
    return layer


def _follow_constant(
    net: nn.Module,
    inputs: Sequence[Tensor],
    seen: Watch,
    output: Tensor,
    report: AuditReport,
) -> None:
    """Fill in what becomes of a constant, layer by layer and at the output, and who is to blame."""
    found = probe.constant_pass(net, inputs, seen)
    if found is None or [c.name for c in found.calls] != [c.name for c in seen.calls]:
        return
    for layer, call, whole, own in zip(
        report.layers, found.calls, found.outputs, found.own, strict=True
    ):
        layer.cumulative = None if whole is None else whole.total
        layer.inside = None if own is None else own.total
        if call.up and found.output.ndim == len(call.output_size) + 2:
            layer.period = round(call.scale * found.output.shape[-1] / call.output_size[-1])
    scale = probe.output_scale(found.calls, found.output.shape[2:])
    end = probe.middle_ripple(found.output, scale)
    if end is None:
        return
    spread = output.double().var((0, *range(2, output.ndim)), correction=0).sum().sqrt().item()
    report.fed = found.fed
    report.level = end.mean.norm().item()
    report.response = end.relative
    report.contrast = {p: over(part, spread) for p, part in end.amplitude.items()}
    report.rest = over(end.rest.norm().item(), report.level)
    report.tile = _tile(found.output, end)
    strongest = max(report.contrast, key=lambda p: report.contrast[p])
    if report.contrast[strongest] > SEEN:
        report.period = strongest
        _blame(net, inputs, seen, report, end.amplitude[strongest], scale)


def _blame(
    net: nn.Module,
    inputs: Sequence[Tensor],
    seen: Watch,
    report: AuditReport,
    before: float,
    scale: int,
) -> None:
    """Take off the own grid of each layer that has one, and see what is left at the output."""
    assert report.period is not None
    for index, layer in enumerate(report.layers):
        if not layer.inside or layer.inside < LEVEL:
            continue
        without = probe.constant_pass(net, inputs, seen, flatten=index)
        assert without is not None
        end = probe.middle_ripple(without.output, scale)
        assert end is not None
        layer.blame = 1 - end.amplitude[report.period] / before
    guilty = [layer for layer in report.layers if (layer.blame or 0) > 0]
    if guilty:
        report.cause = max(guilty, key=lambda layer: layer.blame or 0).name


def _gradient(
    net: nn.Module, inputs: Sequence[Tensor], calls: Sequence[Call], seed: int
) -> dict[int, dict[str, float]]:
    """Phase figures of the gradient by the first input, at the periods of the layers that thin."""
    x, *others = inputs
    thinned = [
        t for c, t in zip(calls, probe.total_scales(calls, up=False), strict=True) if not c.up
    ]
    small = min(x.shape[2:])
    wanted = [p for p in periods(max(thinned, default=1)) if small >= CELLS * p]
    if not wanted:
        return {}
    found = gradient_phases(lambda first: net(first, *others), x, wanted, seed=seed)
    return {period: figures._asdict() for period, figures in found.items()}


def _tile(y: Tensor, found: Ripple) -> list[list[float]] | None:
    """The middle of a picture's most rippled channel."""
    if y.ndim != 4:
        return None
    energies = torch.stack(list(found.own.values())).square().sum(0)
    picture = y[0, int(energies.argmax())]
    for dim in (0, 1):
        n = min(TILE, picture.shape[dim])
        picture = picture.narrow(dim, (picture.shape[dim] - n) // 2, n)
    return picture.float().tolist()
