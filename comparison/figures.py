"""Figures of a comparison: quality against artifact, differences, classes, learning curves.

Each is 900 pixels wide on a page and has twice as many. An operator has one colour, mark and dash
in all of them, so that no figure needs its colours told apart. matplotlib is imported inside
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comparison import plot
from comparison.analysis import Result
from comparison.curves import Curves
from comparison.groups import Variant
from comparison.statistics import Estimate
from comparison.tables import contrasted
from panels import style
from runs.escape import printable
from upzoo.metrics.catalogue import SCORES, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(result: Result, curves: Curves, folder: Path) -> list[Path]:
    """Write all figures that a group has numbers for; returns their paths."""
    from matplotlib import rc_context

    kinds: dict[str, Callable[[Result], Figure | None]] = {
        "front": pareto_front,
        "differences": forest,
        "classes": lambda r: classes(r, "per_class_iou", "miou"),
        "boundaries": lambda r: classes(r, "per_class_f1", "boundary_f1"),
        "curves": lambda r: learning(r, curves),
    }
    written = []
    with rc_context(style.RC):
        for kind, make in kinds.items():
            figure = make(result)
            if figure is not None:
                written.append(plot.save(figure, folder / f"{result.group.name}-{kind}.png"))
    return written


def pareto_front(result: Result) -> Figure | None:
    """Quality against artifact: crosses are intervals, the better corner is at the top left."""
    if not result.pareto_front:
        return None
    assert result.quality is not None
    assert result.artifact is not None
    y, x = SCORES[result.quality], SCORES[result.artifact]
    ys, xs = result.estimates[result.quality], result.estimates[result.artifact]
    variants = [v for v in result.group.variants if v.label in ys and v.label in xs]
    figure, (axes,) = plot.page(height=max(430, 70 + 24 * len(variants)), right=0.70)
    told = _told_apart(result, ys)
    for variant in variants:
        a, b = xs[variant.label], ys[variant.label]
        star = " ★" if variant.label in result.pareto_front else ""
        look = plot.look(variant, result.group.variants)
        look |= {"label": plot.cut(variant.label, 30) + star}
        look["linestyle"] = "none"
        if variant.label not in told:
            look |= {"label": None, "color": style.PALE, "markerfacecolor": style.PALE}
        place = (a.mean * x.scale, b.mean * y.scale, _half(a, x), _half(b, y))
        plot.cross(axes, *place, look, size=8)
    points = [(n, xs[n].mean * x.scale, ys[n].mean * y.scale) for n in result.pareto_front]
    along = sorted(place for _, *place in points)
    axes.plot(*zip(*along, strict=True), color=style.GREY, linewidth=1.2, linestyle="--", zorder=1)
    clipped = [
        _limit(axes.set_xlim, [xs[a.label] for a in variants], x),
        _limit(axes.set_ylim, [ys[a.label] for a in variants], y),
    ]
    if x.better > 0:
        axes.invert_xaxis()
    if y.log:
        clipped.append(_logarithmic(axes, [ys[a.label] for a in variants]))
    if y.better < 0:
        axes.invert_yaxis()
    axes.set_xlabel(_axis(x))
    axes.set_ylabel(_axis(y))
    plot.name(axes, points)
    subtitle = "★ Pareto front; crosses: 95 % intervals over seeds"
    subtitle += ", cut at the frame" if any(clipped) else ""
    subtitle += _left_out(told, variants)
    if not any(e.half for e in (*xs.values(), *ys.values())):
        subtitle = "★ Pareto front; one seed: no intervals"
    plot.title(figure, f"{result.group.title}: quality against artifact", subtitle)
    plot.legend(axes)
    return figure


def forest(result: Result) -> Figure | None:
    """Differences to the baseline with their intervals, filled where significant."""
    names = contrasted(result)
    variants = [variant for variant in result.group.variants if variant is not result.baseline]
    if not names or not variants:
        return None
    assert result.baseline is not None
    figure, panels = plot.page(150 + 26 * len(variants), columns=len(names), left=0.25, bottom=66)
    for axes, name in zip(panels, names, strict=True):
        metric = SCORES[name]
        axes.axvline(0, color=style.INK, linewidth=1)
        for row, variant in enumerate(variants):
            c = result.contrasts[name][variant.label]
            look = plot.look(variant, result.group.variants)
            if c.difference is None:
                continue
            look |= {"linestyle": "none", "marker": "o"}
            if c.verdict not in ("better", "worse"):
                look["markerfacecolor"] = "white"
            place = (c.difference.mean * metric.scale, row, _half(c.difference, metric), 0)
            plot.cross(axes, *place, look, size=7)
        differences = [c.difference for c in result.contrasts[name].values() if c.difference]
        _limit(axes.set_xlim, [*differences, Estimate(1, 0.0, None, None)], metric)
        if metric.better < 0:
            axes.invert_xaxis()
        axes.set_xlabel(f"{metric.heading}\nbetter →", fontsize=9)
        plot.rows(axes, [variant.label for variant in variants], named=axes is panels[0])
    base = result.baseline.label
    subtitle = "95 % intervals of differences paired by seed; filled: p < 0.05 after Holm"
    plot.title(figure, f"{result.group.title}: difference to {base}", subtitle)
    return figure


def classes(result: Result, scores: str, overall: str, columns: int = 4) -> Figure | None:
    """A panel for each class, a row for each variant, the baseline's mean as a line through all."""
    names = [name for name in result.estimates if name.startswith(f"{scores}/")]
    if not names:
        return None
    names = [overall, *names] if overall in result.estimates else names
    variants, metric = result.group.variants, SCORES[scores]
    looks = {variant.label: plot.look(variant, variants) for variant in variants}
    rows = -(-len(names) // columns)
    panel, gap = 14 + 13 * len(variants), 48
    height = 76 + rows * panel + (rows - 1) * gap + 34
    figure, panels = plot.page(height, columns, rows, left=0.2, bottom=34, gap=gap / panel)
    for axes, name in zip(panels, names, strict=False):
        by_label = result.estimates[name]
        base = by_label.get(result.baseline.label) if result.baseline else None
        if base is not None:
            axes.axvline(base.mean * metric.scale, color=style.GREY, linewidth=1, linestyle=":")
        for row, variant in enumerate(variants):
            if (e := by_label.get(variant.label)) is not None:
                look = looks[variant.label] | {"linestyle": "none"}
                plot.cross(axes, e.mean * metric.scale, row, _half(e, metric), 0, look, size=5)
        _limit(axes.set_xlim, list(by_label.values()), metric)
        plot.rows(axes, list(looks), named=panels.index(axes) % columns == 0, size=8)
        title = "all classes" if name == overall else printable(name.partition("/")[2])
        axes.set_title(title, fontsize=9, loc="left", pad=3)
        axes.tick_params(axis="x", labelsize=8)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    subtitle = f"{metric.title} in {metric.unit}, 95 % intervals over seeds"
    subtitle += f"; dotted: {result.baseline.label}'s mean" if result.baseline else ""
    plot.title(figure, f"{result.group.title}: classes", subtitle)
    return figure


def learning(result: Result, curves: Curves) -> Figure | None:
    """The first quality on the validation set over training: means, and the range of the seeds."""
    if result.quality is None:
        return None
    metric, variants = SCORES[result.quality], result.group.variants
    tag = f"val/{result.quality}"
    drawn = [(v, curves[v.label][tag]) for v in variants if tag in curves.get(v.label, ())]
    if not drawn:
        return None
    told = _told_apart(result, result.estimates[result.quality])
    shown = [(variant, c) for variant, c in drawn if variant.label in told]
    figure, (axes,) = plot.page(height=max(430, 70 + 24 * len(shown)), right=0.70)
    for variant, c in shown:
        look = plot.look(variant, variants) | {"markersize": 5, "linewidth": 1.5}
        mean, low, high = (values * metric.scale for values in (c.mean, c.low, c.high))
        axes.fill_between(c.steps, low, high, color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(c.steps, mean, **look, label=plot.cut(variant.label, 32))
    axes.set_xlabel("step")
    axes.locator_params(axis="x", integer=True)
    axes.set_ylabel(_axis(metric))
    title = f"{result.group.title}: learning curves on val"
    drawn_all = [variant for variant, _ in drawn]
    subtitle = "means over seeds; bands: their range" + _left_out(told, drawn_all)
    plot.title(figure, title, subtitle)
    plot.legend(axes)
    return figure


def _told_apart(result: Result, scores: Mapping[str, Estimate]) -> list[str]:
    """At most eight labels: the baseline's, the Pareto front's, then the best."""
    assert result.quality is not None
    better = SCORES[result.quality].better
    best = sorted(scores, key=lambda label: -better * scores[label].mean)
    base = [result.baseline.label] if result.baseline else []
    first = [label for label in (*base, *result.pareto_front, *best) if label in scores]
    return list(dict.fromkeys(first))[: plot.MOST]


def _left_out(told: Sequence[str], variants: Sequence[Variant]) -> str:
    """What a subtitle says of variants that are not told apart."""
    more = sum(variant.label not in told for variant in variants)
    return f"; {more} more are in the tables" if more else ""


def _axis(metric: Score) -> str:
    return (
        metric.heading + {1: " (higher is better)", -1: " (lower is better)", 0: ""}[metric.better]
    )


def _half(estimate: Estimate, metric: Score) -> float:
    return (estimate.half or 0.0) * metric.scale


def _limit(set_limits: Any, estimates: Iterable[Estimate], metric: Score) -> bool:
    """Show all means, and intervals up to as far again as the means reach; whether any is cut."""
    estimates = list(estimates)
    means = [e.mean * metric.scale for e in estimates]
    halves = [_half(e, metric) for e in estimates]
    span = max(means) - min(means) or max(halves) or 1.0
    low = min(m - min(h, span) for m, h in zip(means, halves, strict=True))
    high = max(m + min(h, span) for m, h in zip(means, halves, strict=True))
    margin = 0.06 * (high - low) or 1.0
    set_limits(low - margin, high + margin)
    return any(h > span for h in halves)


def _logarithmic(axes: Axes, estimates: Iterable[Estimate]) -> bool:
    """Show all means on a logarithmic axis, a third more on both sides; whether any is cut."""
    from matplotlib.ticker import LogLocator

    estimates = list(estimates)
    low, high = 0.75 * min(e.mean for e in estimates), max(e.mean for e in estimates) / 0.75
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(low, high)
    if high > 10 * low:  # else all of 2 … 9 have room
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=8)
    return any(not low < e.mean - (e.half or 0) <= e.mean + (e.half or 0) < high for e in estimates)
