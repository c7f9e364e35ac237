"""From figures to findings: which grids are real, and who makes each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from upzoo.audit import photos, pictures
from upzoo.audit.calls import Call
from upzoo.audit.constants import ROUNDING, feeds
from upzoo.audit.examination import Examination
from upzoo.audit.journal import Plan
from upzoo.audit.maps import fits, to_map
from upzoo.audit.measure import divisors
from upzoo.audit.phases import Pattern, busiest, patterns, unfilmed
from upzoo.audit.pictures import Shown
from upzoo.audit.report import CAUSE, Cause, Finding, decibels, severity
from upzoo.audit.trace import output_period, output_periods, shares
from upzoo.audit.weights import looks_drawn
from upzoo.upsampling.phases import over

SURE, SURER = 3.0, 6.0  # times what chance gives: of a layer's period, and of others
EMERGED = 0.1  # of a grid at the output, that a map must have for the grid to be there


def find(ex: Examination) -> None:
    """Turn figures into findings, and say who makes each."""
    report = ex.report
    if not ex.patterns:
        return
    real = {}
    known = ex.own_periods(ex.calls)
    near = divisors(known)
    for period, found in ex.patterns.items():
        contrast, rounding = report.contrast[period], ROUNDING * (report.level or 0.0)
        # what bends a strong grid leaves some of it at periods that no layer has
        least = SURE if not known or period in near else SURER
        beyond = found.amplitude > least * found.noise and found.amplitude > rounding
        if beyond and severity(decibels(contrast)) != "none":
            real[period] = found
    # so does enlarging by corners, whose period is no whole number
    most = max((found.amplitude for period, found in real.items() if period in near), default=0.0)
    for period in [p for p in real if p not in near and real[p].amplitude < most]:
        del real[period]
    blamed = _blame(ex, real)
    for period in real:
        causes = [
            Cause(ex.calls[index].name, share, _expected(ex, ex.calls[index]))
            for index, share in sorted(blamed[period].items(), key=lambda pair: -pair[1])
            if share >= CAUSE
        ]
        report.findings.append(
            Finding(
                period=period,
                db=decibels(report.contrast[period]),
                contrast=report.contrast[period],
                of_mean=report.response[period],
                shown_by="a constant",
                causes=_merged(causes),
            )
        )
        if not causes:
            report.findings[-1].causes = _makers(ex, period, report.response[period])
    _bracket(ex, [f for f in report.findings if not f.causes])
    find_in_pictures(ex, report.pictures, "the example")
    report.findings.sort(key=lambda finding: -finding.db)


def _makers(ex: Examination, period: int, response: float) -> list[Cause]:
    """The layers that put a grid of this period on a constant, where slopes tell of none.

    A saturated activation behind a layer has no slope, and yet its grid is there.
    """
    made: dict[str, Cause] = {}
    for index, own in ex.own.items():
        call = ex.calls[index]
        made_here = [s for q, s in own.shares.items() if period in output_periods(call, q, ex.size)]
        if max(made_here, default=0.0) > EMERGED * min(response, 1.0):
            made[call.name] = Cause(call.name, None, _expected(ex, call))
    return list(made.values())


def _expected(ex: Examination, call: Call) -> bool:
    """Whether a call's grid is what random weights give: its own, or all of the net's."""
    if not ex.report.random:
        return False
    if call.source is not None:
        return looks_drawn(call.source) is not False
    return True


def _blame(ex: Examination, real: Mapping[int, Pattern]) -> dict[int, dict[int, float]]:
    if not real or ex.trace is None or ex.constant is None:
        return {period: {} for period in real}
    ex.progress("blame")
    y = ex.constant.map
    assert y is not None
    flow = ex.trace.flow and y.requires_grad
    ex.passes += flow
    if flow:
        try:
            with torch.enable_grad():
                return shares(real, ex.calls, ex.own, ex.size, flow)
        except RuntimeError as error:
            ex.note_no_gradient(error)
    return shares(real, ex.calls, ex.own, ex.size, False)


def _bracket(ex: Examination, findings: Sequence[Finding]) -> None:
    """Say between which modules a grid appears that no layer makes: one more pass."""
    if not findings or ex.constant is None:
        return
    ex.progress("bracket")
    size = ex.size
    seen: dict[int, list[tuple[str, float]]] = {f.period: [] for f in findings}

    def maps(name: str, y: Tensor) -> None:
        first = to_map(y, ex.like, ex.dims)
        if first is None or first.ndim != len(size) + 2:
            return
        if not fits(first.shape, range(2, first.ndim), size):
            return  # tokens, channels last
        first = unfilmed(first)
        for finding in findings:
            period = finding.period * first.shape[-1] / size[-1]
            here = int(period) if period == int(period) and period >= 2 else 0
            contrast = 0.0
            if here:
                channels = busiest(first)
                found = patterns([first[:, channels]], [here])
                level = first[:, channels].double().mean((0, *range(2, first.ndim))).norm().item()
                if here in found and found[here].amplitude > 3 * found[here].noise:
                    contrast = over(found[here].amplitude, level)
            seen[finding.period].append((name, contrast))

    used = ex.constant.watch.plan
    fields = feeds(ex)[0][1]
    ex.forward(
        fields, Plan(example=used.example, replace=used.replace, maps=maps, level=used.level)
    )
    for finding in findings:
        before = "the input"
        enlarging = {
            call.name
            for call in ex.calls
            if call.up and finding.period in output_periods(call, call.scale, size)
        }
        place = None
        for name, contrast in seen[finding.period]:
            if contrast > EMERGED * min(finding.of_mean or 0.0, 1.0):
                place = name if name in enlarging else f"between {before} and {name}"
                break
            before = name
        finding.causes = [
            Cause(
                place or f"between {before} and the output",
                None,
                ex.report.random and bool(seen[finding.period]),
            )
        ]


def find_in_pictures(ex: Examination, shown: Mapping[int, Shown], where: str) -> None:
    """Add what pictures show and a constant does not."""
    known = {f.period for f in ex.report.findings}
    for period in pictures.seen_periods(dict(shown)):
        if period in known or any(k % period == 0 for k in known):
            continue
        causes = [
            Cause(call.name, None, _expected(ex, call))
            for call in ex.calls
            if call.up
            and "interpolation" not in call.kind
            and output_period(call, call.scale, ex.size) % period == 0
            and output_period(call, call.scale, ex.size) > 0
        ]
        ex.report.findings.append(
            Finding(period, shown[period].excess_db, None, None, where, _merged(causes))
        )


def run_photos(ex: Examination, images: Any) -> None:
    """Take the measures of pictures on the user's own."""
    ex.progress("pictures")
    if not ex.pictures or ex.map is None:
        raise ValueError(f"images={images!r:.60}: {ex.report.net} takes no picture or gives none")
    first = ex.pictures[0].tensor
    found: list[tuple[Tensor, Tensor]] = []
    for x in photos.load(images, first, photos.normalisation(ex.net)):
        ran = ex.forward(ex.inputs.replace({id(first): x}), Plan())
        if ran.map is not None:
            found.append((ran.map, x))
    ex.passes -= len(found)  # those are the user's to choose
    if found:
        y, x = (torch.cat(side) for side in zip(*found, strict=True))
        ex.report.photos = pictures.show(y, x, ex.own_periods(ex.example.calls))
        find_in_pictures(ex, ex.report.photos, "your pictures")
        ex.report.findings.sort(key=lambda finding: -finding.db)


def _merged(causes: Sequence[Cause]) -> list[Cause]:
    """One cause for a module that runs several times."""
    found: dict[str, Cause] = {}
    for cause in causes:
        if cause.layer in found:
            before = found[cause.layer].share
            if before is not None and cause.share is not None:
                found[cause.layer].share = before + cause.share
        else:
            found[cause.layer] = cause
    return list(found.values())
