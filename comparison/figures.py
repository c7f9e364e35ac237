"""Figures of a comparison: quality against artifact, differences, classes, learning curves.

Each is 900 pixels wide. An operator has one colour, mark and dash in all of them, so that no figure
needs its colours told apart. matplotlib is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comparison import plot
from comparison.analysis import Result
from comparison.curves import Curves
from comparison.statistics import Estimate
from comparison.tables import contrasted
from upzoo.metrics.catalogue import SCORES, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(result: Result, curves: Curves, folder: Path) -> list[Path]:
    """Write all figures that a group has numbers for; returns their paths."""
    from matplotlib import rc_context

    kinds: dict[str, Callable[[Result], Figure | None]] = {
        "front": front,
        "differences": forest,
        "classes": lambda r: classes(r, "per_class_iou", "miou"),
        "boundaries": lambda r: classes(r, "per_class_f1", "boundary_f1"),
        "curves": lambda r: learning(r, curves),
    }
    written = []
    with rc_context(plot.STYLE):
        for kind, make in kinds.items():
            figure = make(result)
            if figure is not None:
                written.append(plot.save(figure, folder / f"{result.group.name}-{kind}.png"))
    return written


def front(result: Result) -> Figure | None:
    """Quality against artifact: crosses are intervals, the better corner is at the top left."""
    if not result.front:
        return None
    assert result.quality is not None
    assert result.artifact is not None
    y, x = SCORES[result.quality], SCORES[result.artifact]
    ys, xs = result.estimates[result.quality], result.estimates[result.artifact]
    arms = [arm for arm in result.group.arms if arm.label in ys and arm.label in xs]
    figure, axes = plot.page(height=max(430, 70 + 24 * len(arms)), right=0.70)
    for arm in arms:
        a, b, look = xs[arm.label], ys[arm.label], plot.style(arm, result.group.arms)
        look |= {"label": plot.cut(arm.label, 30) + (" ★" if arm.label in result.front else "")}
        look["linestyle"] = "none"
        place = (a.mean * x.scale, b.mean * y.scale, _half(a, x), _half(b, y))
        plot.cross(axes, *place, look, size=8)
    along = sorted((xs[label].mean * x.scale, ys[label].mean * y.scale) for label in result.front)
    axes.plot(*zip(*along, strict=True), color=plot.GREY, linewidth=1.2, linestyle="--", zorder=1)
    clipped = [
        _limit(axes.set_xlim, [xs[a.label] for a in arms], x),
        _limit(axes.set_ylim, [ys[a.label] for a in arms], y),
    ]
    if x.better > 0:
        axes.invert_xaxis()
    if y.log:
        clipped.append(_logarithmic(axes, [ys[a.label] for a in arms]))
    if y.better < 0:
        axes.invert_yaxis()
    axes.set_xlabel(_axis(x))
    axes.set_ylabel(_axis(y))
    points = [(label, xs[label].mean * x.scale, ys[label].mean * y.scale) for label in result.front]
    plot.name(axes, points)
    said = "crosses: 95 % intervals over seeds" + (", cut at the frame" if any(clipped) else "")
    said = said if any(e.half for e in (*xs.values(), *ys.values())) else "one seed: no intervals"
    plot.title(figure, f"{result.group.title}: quality against artifact", f"★ Pareto front; {said}")
    plot.legend(axes)
    return figure


def forest(result: Result) -> Figure | None:
    """Differences to the baseline with their intervals, filled where separated from zero."""
    names = contrasted(result)
    arms = [arm for arm in result.group.arms if arm is not result.baseline]
    if not names or not arms:
        return None
    assert result.baseline is not None
    figure, panels = plot.page(150 + 26 * len(arms), columns=len(names), left=0.25, bottom=66)
    for axes, name in zip(panels, names, strict=True):
        metric = SCORES[name]
        axes.axvline(0, color=plot.INK, linewidth=1)
        for row, arm in enumerate(arms):
            c, look = result.contrasts[name][arm.label], plot.style(arm, result.group.arms)
            if c.difference is None:
                continue
            look |= {"linestyle": "none", "marker": "o"}
            if c.verdict not in ("better", "worse"):
                look["markerfacecolor"] = "white"
            place = (c.difference.mean * metric.scale, row, _half(c.difference, metric), 0)
            plot.cross(axes, *place, look, size=7)
        found = [c.difference for c in result.contrasts[name].values() if c.difference]
        _limit(axes.set_xlim, [*found, Estimate(1, 0.0, None, None)], metric)
        if metric.better < 0:
            axes.invert_xaxis()
        axes.set_xlabel(f"{metric.heading}\nbetter →", fontsize=9)
        plot.rows(axes, [arm.label for arm in arms], named=axes is panels[0])
    base = result.baseline.label
    said = "95 % intervals of differences paired by seed; filled: separated (p < 0.05 after Holm)"
    plot.title(figure, f"{result.group.title}: difference to {base}", said)
    return figure


def classes(result: Result, scores: str, overall: str, columns: int = 4) -> Figure | None:
    """A panel for each class, a row for each arm, the baseline's mean as a line through all."""
    names = [name for name in result.estimates if name.startswith(f"{scores}/")]
    if not names:
        return None
    names = [overall, *names] if overall in result.estimates else names
    arms, metric = result.group.arms, SCORES[scores]
    looks = {arm.label: plot.style(arm, arms) for arm in arms}
    rows = -(-len(names) // columns)
    panel, gap = 14 + 13 * len(arms), 48
    height = 76 + rows * panel + (rows - 1) * gap + 34
    shape = {"columns": columns, "rows": rows, "left": 0.2, "bottom": 34, "gap": gap / panel}
    figure, panels = plot.page(height, **shape)
    for axes, name in zip(panels, names, strict=False):
        found = result.estimates[name]
        base = found.get(result.baseline.label) if result.baseline else None
        if base is not None:
            axes.axvline(base.mean * metric.scale, color=plot.GREY, linewidth=1, linestyle=":")
        for row, arm in enumerate(arms):
            if (e := found.get(arm.label)) is not None:
                look = looks[arm.label] | {"linestyle": "none"}
                plot.cross(axes, e.mean * metric.scale, row, _half(e, metric), 0, look, size=5)
        _limit(axes.set_xlim, list(found.values()), metric)
        plot.rows(axes, list(looks), named=panels.index(axes) % columns == 0, size=8)
        title = "all classes" if name == overall else name.partition("/")[2]
        axes.set_title(title, fontsize=9, loc="left", pad=3)
        axes.tick_params(axis="x", labelsize=8)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    said = f"{metric.title} in {metric.unit}, 95 % intervals over seeds"
    said += f"; dotted: {result.baseline.label}'s mean" if result.baseline else ""
    plot.title(figure, f"{result.group.title}: classes", said)
    return figure


def learning(result: Result, found: Curves) -> Figure | None:
    """The first quality on the validation set over training: means, and the range of the seeds."""
    if result.quality is None:
        return None
    metric, arms = SCORES[result.quality], result.group.arms
    tag = f"val/{result.quality}"
    drawn = [(arm, found[arm.label][tag]) for arm in arms if tag in found.get(arm.label, ())]
    if not drawn:
        return None
    figure, axes = plot.page(height=max(430, 70 + 24 * len(drawn)), right=0.70)
    for arm, c in drawn:
        look = plot.style(arm, arms)
        mean, low, high = (values * metric.scale for values in (c.mean, c.low, c.high))
        axes.fill_between(c.steps, low, high, color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(c.steps, mean, **look, markersize=5, linewidth=1.5, label=plot.cut(arm.label, 32))
    axes.set_xlabel("step")
    axes.locator_params(axis="x", integer=True)
    axes.set_ylabel(_axis(metric))
    title = f"{result.group.title}: learning curves on val"
    plot.title(figure, title, "means over seeds; bands: their range")
    plot.legend(axes)
    return figure


def _axis(metric: Score) -> str:
    return (
        metric.heading + {1: " (higher is better)", -1: " (lower is better)", 0: ""}[metric.better]
    )


def _half(found: Estimate, metric: Score) -> float:
    return (found.half or 0.0) * metric.scale


def _limit(set_limits: Any, found: Iterable[Estimate], metric: Score) -> bool:
    """Show all means, and intervals up to as far again as the means reach; whether any is cut."""
    found = list(found)
    means = [e.mean * metric.scale for e in found]
    halves = [_half(e, metric) for e in found]
    span = max(means) - min(means) or max(halves) or 1.0
    low = min(m - min(h, span) for m, h in zip(means, halves, strict=True))
    high = max(m + min(h, span) for m, h in zip(means, halves, strict=True))
    margin = 0.06 * (high - low) or 1.0
    set_limits(low - margin, high + margin)
    return any(h > span for h in halves)


def _logarithmic(axes: Axes, found: Iterable[Estimate]) -> bool:
    """Show all means on a logarithmic axis, a third more on both sides; whether any is cut."""
    from matplotlib.ticker import LogLocator

    found = list(found)
    low, high = 0.75 * min(e.mean for e in found), max(e.mean for e in found) / 0.75
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(low, high)
    if high > 10 * low:  # else all of 2 … 9 have room
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=8)
    return any(not low < e.mean - (e.half or 0) <= e.mean + (e.half or 0) < high for e in found)
