"""Test score against training steps, one line a variant, and what a reader asks beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from comparison import plot
from comparison.statistics import estimate
from panels import style
from studies.conclusions import ranks
from studies.evidence import Evidence
from studies.variants import OPERATORS, TWINS
from upzoo.metrics.catalogue import SCORES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Lines in a figure; the table has all variants.
MOST_LINES = 9


def look(variant: str) -> dict[str, Any]:
    """Colour, mark and dash of a variant, by its operator and its place among those of it."""
    operator = OPERATORS[variant][0].partition("=")[2]
    alike = [name for name, options in OPERATORS.items() if options[0] == f"upsample={operator}"]
    return style.operator(operator, alike.index(variant))


def shown(evidence: Evidence) -> list[str]:
    """The variants that are drawn, in the plan's order: the best at the end, and the baseline."""
    baseline = evidence.setting.baseline
    scores = evidence.scores(evidence.budgets[-1])
    compared = [variant for variant in evidence.own if variant not in TWINS]
    best = sorted(
        compared,
        key=lambda v: (v != baseline, -evidence.setting.better * sum(scores[v].values())),
    )
    return [variant for variant in compared if variant in best[:MOST_LINES]]


def draw(evidence: Evidence, path: Path) -> Path:
    """Write the setting's figure: scores, differences from a baseline, ranks.

    Bands are 95 % intervals: of a score, over seeds, as other images would move all variants alike;
    of a difference, over seeds and images at once, both nets scored on the same images, or over
    seeds alone where a score is of all images together.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(style.RC):
        page = Figure(figsize=(plot.WIDTH / style.DPI, 8.6), layout="constrained")
        layout = [["scores", "scores"], ["differences", "ranks"], ["legend", "legend"]]
        axes = page.subplot_mosaic(layout, height_ratios=[4, 4, 0.7])
        _scores(axes["scores"], evidence)
        _differences(axes["differences"], evidence)
        _ranks(axes["ranks"], evidence)
        lines, labels = axes["ranks"].get_legend_handles_labels()
        axes["legend"].axis("off")
        axes["legend"].legend(lines, labels, ncols=5, loc="center", frameon=False, fontsize=9)
        return plot.save(page, path)


def _scores(axis: Axes, evidence: Evidence) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    score = SCORES[evidence.setting.primary]
    for variant in shown(evidence):
        by_step = [list(evidence.scores(step)[variant].values()) for step in evidence.budgets]
        found = [estimate(values) for values in by_step]
        means = score.scale * np.array([each.mean for each in found])
        axis.plot(evidence.budgets, means, label=variant, markersize=4, **look(variant))
        if len(evidence.seeds) > 2:  # two seeds have an interval of 12.7 standard errors
            halves = score.scale * np.array([each.half for each in found])
            _band(axis, evidence, np.stack([means - halves, means + halves], 1), variant)
    if score.log:
        axis.set_yscale("log")
        axis.set_ylim(bottom=min(line.get_ydata().min() for line in axis.lines) / 2)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(NullLocator())
    else:
        axis.set_ylim(bottom=max(0, axis.get_ylim()[0]))  # a band may end where no score can be
    seeds = len(evidence.seeds)
    axis.set_title(f"{evidence.setting.title}, {seeds} seed{'s' if seeds > 1 else ''}", fontsize=11)
    axis.set_ylabel(f"{score.heading} on {evidence.setting.split}")
    _steps(axis, evidence.budgets)


def _differences(axis: Axes, evidence: Evidence) -> None:
    baseline, score = evidence.setting.baseline, SCORES[evidence.setting.primary]
    axis.axhline(0, color=style.INK, linewidth=1)
    if baseline in evidence.own:
        for variant in shown(evidence):
            if variant == baseline:
                continue
            values = [evidence.scores(step) for step in evidence.budgets]
            means = [mean(v[variant].values()) - mean(v[baseline].values()) for v in values]
            axis.plot(
                evidence.budgets, score.scale * np.array(means), markersize=4, **look(variant)
            )
            if len(evidence.seeds) > 2:
                bands = [evidence.difference(variant, baseline, step) for step in evidence.budgets]
                _band(axis, evidence, score.scale * np.array(bands), variant)
    if score.log:  # linear up to what is no difference
        axis.set_yscale("symlog", linthresh=evidence.setting.margin)
        axis.yaxis.set_major_formatter("{x:g}")
    axis.set_ylabel(f"difference from {baseline}, {score.unit}".rstrip(", "))
    _steps(axis, evidence.budgets)


def _ranks(axis: Axes, evidence: Evidence) -> None:
    places = ranks(evidence)
    for variant in shown(evidence):
        axis.plot(evidence.budgets, places[variant], label=variant, markersize=4, **look(variant))
    axis.set_ylabel(f"place among {len(places)}, 1 the best")
    axis.invert_yaxis()
    axis.yaxis.get_major_locator().set_params(integer=True)
    _steps(axis, evidence.budgets)


def _band(axis: Axes, evidence: Evidence, bands: np.ndarray, variant: str) -> None:
    low, high = bands.T
    axis.fill_between(evidence.budgets, low, high, color=look(variant)["color"], alpha=0.08, lw=0)


def _steps(axis: Axes, budgets: Sequence[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(budgets, [f"{step:,}" for step in budgets])
    axis.minorticks_off()
    axis.set_xlabel("training steps")
