"""What the study says of nets that label pixels, besides their scores: order, drives, the grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from comparison import resampling
from comparison.statistics import estimate
from studies import conclusions
from studies.evidence import Evidence
from studies.section import cell, grid, named
from studies.variants import TWINS
from upzoo.metrics.catalogue import SCORES

#: The variant that others are compared with.
REFERENCE = "bilinear_fixed"
#: Fewest seeds of which a bootstrap is shown: of two it is much too narrow.
FEWEST = 3
#: Hypothesis 6: what taking the grid away changes of the mean IoU.
LIMIT = 1e-3
FLIPPED, GAINED = "labels_flipped", "miou_without_grid"


def drives(evidence: Evidence) -> list[str]:
    """Mean IoU on each part of the test split, and the difference over seeds and images.

    Classes that a part lacks are left out of its mean.
    """
    parts, step = evidence.setting.parts, evidence.budgets[-1]
    if not parts or not evidence.seeds:
        return []
    own = evidence.scores(step)
    of_images = np.array([name.partition("_")[0] for name in evidence.image_names])
    counts = {part: int((of_images == part).sum()) for part in parts}
    enough = REFERENCE in own and len(evidence.seeds) >= FEWEST
    rows = []
    for variant in sorted(own, key=lambda v: -evidence.setting.better * sum(own[v].values())):
        figures = evidence.figures(variant, step)
        cells = []
        for part in parts:
            sums = {n: a[:, of_images == part].sum(axis=1) for n, a in figures.items()}
            cells.append(cell("miou", resampling.mean_iou(sums)))
        if enough:
            gap = evidence.difference(variant, REFERENCE, step)
            low, high = (SCORES["miou"].text(x) for x in gap)
            cells.append("–" if variant == REFERENCE else f"{low} to {high}")
        rows.append([named(variant), *cells])
    heads = [f"{part}, {words} ({counts[part]} frames)" for part, words in parts.items()]
    more = [f"less `{REFERENCE}`, both drives"] if enough else []
    note = (
        " The last column is each difference's own 95 % interval over seeds and images at once, "
        "not corrected for their number: what counts as a difference stands above."
    )
    return [
        f"Mean IoU in % by test drive, at {step:,} steps.{note if more else ''}",
        "",
        *grid(["variant", *heads, *more], rows),
        "",
    ]


def order(evidence: Evidence) -> list[str]:
    """Hypothesis 5, on the order of the variants at the shortest and at the longest budget."""
    if len(evidence.seeds) < FEWEST or not evidence.setting.parts:
        return []
    shortest = evidence.budgets[0]
    turned = conclusions.reversals(evidence, [shortest])
    pairs = "; ".join(
        f"`{each.early}` and `{each.late}`{' (equivalent)' if each.equal else ''}"
        for each in turned
    )
    return [
        f"Hypothesis 5 of the protocol, that some pair differs at {shortest:,} steps and at "
        f"{evidence.budgets[-1]:,} differs the other way or is equivalent, is "
        f"{f'supported by {pairs}' if turned else 'not supported'}.",
        "",
    ]


def without_grid(evidence: Evidence) -> list[str]:
    """What the periodic part of the logits does to labels and mean IoU, and hypothesis 6."""
    found = {
        variant: {seed: _periodic(evidence, variant, seed) for seed in evidence.seeds}
        for variant in evidence.own
    }
    found = {variant: by for variant, by in found.items() if by and all(by.values())}
    if not found:
        return []
    periods = list(next(iter(next(iter(found.values())).values())))
    pairs = list(zip(periods[::2], periods[1::2], strict=True))  # each with its control
    rows = []
    for variant, by in found.items():
        cells = [
            f"{_mean(by, period, name)} ({_mean(by, control, name)})"
            for name in (FLIPPED, GAINED)
            for period, control in pairs
        ]
        rows.append([named(variant), *cells])
    heads = [
        f"{words}, {period} ({control})"
        for words in ("labels flipped, %", "mean IoU gained, points")
        for period, control in pairs
    ]
    return [
        f"What changes when the part of the logits of period {' or '.join(p for p, _ in pairs)} "
        "pixels is taken away: the checkerboard in the task's own units. In brackets: at a period "
        "that no step of the net has, which is what the scenes themselves bring about.",
        "",
        *grid(["variant", *heads], rows),
        "",
        *_sixth(found, [period for period, _ in pairs]),
    ]


def _sixth(found: dict[str, dict[int, dict]], periods: Sequence[str]) -> list[str]:
    """Hypothesis 6: of every variant and period the whole interval lies within the limit.

    Every single one has to hold, so that nothing is to be corrected (intersection-union test).
    """
    reach = {}
    for variant, by in found.items():
        if variant in TWINS:
            continue
        for period in periods:
            gains = estimate([periodic[period][GAINED] for periodic in by.values()])
            reach[variant, period] = abs(gains.mean) + (gains.half or np.inf)
    (variant, period), far = max(reach.items(), key=lambda item: item[1])
    if not np.isfinite(far):
        return []
    score = SCORES[GAINED]
    return [
        f"Hypothesis 6 of the protocol, that this changes the mean IoU of every variant by less "
        f"than {score.scale * LIMIT:.1f} point, is {'' if far < LIMIT else 'not '}supported: of "
        f"all 95 % intervals over seeds that of `{variant}` at period {period} reaches furthest "
        f"from 0, to {score.scale * far:.3f}.",
        "",
    ]


def _periodic(evidence: Evidence, variant: str, seed: int) -> dict[str, dict[str, float]]:
    """Period → what was measured, of a finished training; empty where it was not measured."""
    metrics = evidence.own[variant][seed].record.metrics
    found: dict[str, dict[str, float]] = metrics[evidence.setting.split].get("periodic", {})
    return found


def _mean(by: dict[int, dict], period: str, name: str) -> str:
    """Over seeds, as it is shown."""
    return SCORES[name].text(float(np.mean([each[period][name] for each in by.values()])))
