"""From passes to a report: every layer's figures, the gradient's, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from upzoo.audit.boundless import axes
from upzoo.audit.calls import Call
from upzoo.audit.report import UNEVEN, AuditReport, Layer, decibels, severity
from upzoo.audit.trace import Own, input_period, output_period
from upzoo.audit.weights import looks_drawn
from upzoo.audit.words import listed
from upzoo.metrics.checkerboard.weights import dc_ripple, energy_ripple
from upzoo.upsampling.phases import (
    over,
    overlap_counts,
    phase_gains,
    unevenness,
)

TILE = 48  # pixels of the output's middle that a report keeps, to be drawn
BLIND_DB = 12.0  # of noise: under it nothing can be told


def describe_layers(
    calls: Sequence[Call], own: Mapping[int, Own], size: Sequence[int], report: AuditReport
) -> list[Layer]:
    """Every call as a layer; a module that runs several times is one."""
    layers: dict[tuple[str, str, bool], Layer] = {}
    for index, call in enumerate(calls):
        key = (call.name, call.kind, call.up)
        if key in layers:
            layers[key].calls += 1
            if call.holder is not None and call.holder not in layers[key].holders:
                layers[key].holders.append(call.holder)
            inside = own[index].inside if index in own else None
            if inside is not None:
                layers[key].inside = max(inside, layers[key].inside or 0.0)
            continue
        layers[key] = _describe(call, own.get(index), size, report)
    for layer in layers.values():
        layer.shares = {
            finding.period: cause.share
            for finding in report.findings
            for cause in finding.causes
            if cause.layer == layer.name and cause.share is not None
        }
    return list(layers.values())


def _describe(call: Call, own: Own | None, size: Sequence[int], report: AuditReport) -> Layer:
    """What a layer's geometry and weights say, and what it makes of a constant in the net."""
    layer = Layer(
        name=call.name,
        kind=call.kind,
        up=call.up,
        kernel=None if call.kernel is None else list(call.kernel),
        stride=list(call.stride),
        holders=[] if call.holder is None else [call.holder],
        random=None if call.source is None else looks_drawn(call.source),
        inside=own.inside if own is not None else None,
    )
    inputs = report.input_size[0][2:] if report.input_size else []
    if call.up:
        layer.period = output_period(call, call.scale, size) or None
    else:
        layer.period = input_period(call, inputs) or None
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
    if weight is not None and weight.is_floating_point():
        layer.ripple = dc_ripple(weight, stride, groups=groups, dilation=dilation)
        layer.energy = energy_ripple(weight, stride, dilation)
        if call.seen is not None:
            layer.weighted = dc_ripple(
                weight, stride, call.seen.to(weight.device), groups=groups, dilation=dilation
            )
    if not call.up:
        layer.gradient = _gradient_ratio(call)
        layer.uneven = _is_uneven(layer, call)
    return layer


def _is_uneven(layer: Layer, call: Call) -> bool:
    """Whether phases get more unequal energies than chance gives even stamps."""
    if layer.gradient is None or layer.gradient < UNEVEN:
        return False
    if (layer.unevenness or 1.0) > 1:
        return True
    pairs = call.weight.shape[0] * call.weight.shape[1] if call.weight is not None else 64
    return layer.gradient > math.exp(4 * math.sqrt(2 / pairs))


def _gradient_ratio(call: Call) -> float | None:
    """How unevenly a smooth gradient reaches the phases of a layer's input: energies, max / min.

    Of a convolution it is known: with independent signs by channel, phase φ gets ‖G_φ‖². A blur
    has equal gains. Of anything else it was measured.
    """
    if call.weight is not None:
        gains = phase_gains(call.weight.double(), call.strides, 0, call.dilation)
        return unevenness_of(gains.square().sum((0, 1)))
    if not call.energies:
        return None
    return unevenness_of(torch.stack(call.energies).sum(0))


def unevenness_of(energies: Tensor) -> float:
    """Largest over smallest, 1 where there is nothing, infinite where one phase gets nothing."""
    most, least = energies.max().item(), energies.min().item()
    return 1.0 if most == 0 else over(most, least if least > 1e-9 * most else 0.0)


def input_gradient(y: Tensor, leaf: Tensor, seed: int) -> Tensor | None:
    """∂(Σ v·y)/∂x for signs v that are random by channel and constant in space."""
    generator = torch.Generator().manual_seed(seed)
    shape = y.shape[:2] if y.ndim > 2 else y.shape
    signs = (torch.randint(0, 2, shape, generator=generator) * 2 - 1).to(y)
    signs = signs.view(*shape, *[1] * (y.ndim - len(shape))).expand_as(y)
    (gradient,) = torch.autograd.grad(y, leaf, signs, allow_unused=True)
    return gradient


def middle(y: Tensor, channel: int) -> list[list[float]] | None:
    """The middle of one channel of a picture (B, C, H, W)."""
    if y.ndim != 4:
        return None
    picture = y[0, channel]
    for dim in (0, 1):
        n = min(TILE, picture.shape[dim])
        picture = picture.narrow(dim, (picture.shape[dim] - n) // 2, n)
    return picture.float().tolist()


def judge(report: AuditReport, why: str) -> None:
    """Come to one of three answers, and say why."""
    real = [f for f in report.findings if not f.expected]
    could = [layer.period for layer in report.layers if layer.up and layer.period]
    blind = blind_periods(report.noise, could)
    if why:
        report.verdict, report.reason = "unknown", why
    elif real:
        report.verdict = "checkerboard"
        report.findings = real + [f for f in report.findings if f.expected]
        report.reason = f"{real[0].shown_by} shows a grid"
    elif report.findings:
        periods = listed([str(f.period) for f in report.findings])
        report.verdict = "unknown"
        report.reason = (
            f"its weights are random, and give a grid of period {periods} by expectation, whatever "
            "the net will learn; examine trained weights"
        )
    elif not report.contrast:
        report.verdict = "unknown"
        report.reason = (
            "the output is too small to hold four periods along each axis; give a larger input"
        )
    elif not report.level and not any(report.contrast.values()):
        report.verdict = "unknown"
        report.reason = (
            "a constant comes out as zero, as of an untrained layer; examine trained weights"
        )
    elif blind:
        report.verdict = "unknown"
        report.reason = (
            f"the output differs from place to place or from seed to seed by more than a visible "
            f"grid of period {listed([str(p) for p in blind])} would; a larger input may average "
            "that out, and pictures of your own are measured all the same"
        )
    else:
        near = divisors(could)
        most = max((share for p, share in report.contrast.items() if p in near), default=0.0)
        said = f"flat to {_at_most(most)} % of the output's spread"
        report.verdict = "none"
        report.reason = (
            said if report.pictures else f"{said}; too small for the spectrum's measures"
        )
        shown = max((s.excess_db for s in report.pictures.values()), default=0.0)
        if report.pictures and severity(shown) == "none":
            report.reason = f"{said}, and none on the example"


def blind_periods(noise: Mapping[int, float], could: Iterable[int]) -> list[int]:
    """The periods at which noise would hide a visible grid, of those that layers could make.

    Args:
        noise: period -> what chance gives, over the output's spread.
        could: periods of the layers; they count with their divisors. None known: 2.
    """
    near = divisors(could)
    return [p for p, share in noise.items() if p in near and decibels(3 * share) > BLIND_DB]


def divisors(periods: Iterable[int]) -> set[int]:
    """The periods with their divisors; none known: 2."""
    return {p for c in set(periods) or {2} for p in range(2, c + 1) if c % p == 0}


def _at_most(share: float) -> str:
    """A share in %, to one digit."""
    return "less than 0.001" if share < 1e-5 else f"{float(f'{100 * share:.1g}'):g}"
