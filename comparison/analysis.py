"""What the seeds of a group say: intervals, differences to a baseline, the Pareto front.

Differences are paired by seed, tested by the paired t-test, and corrected after Holm over the
variants that are compared with the baseline in one score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from comparison.groups import Group, Variant
from comparison.statistics import (
    Estimate,
    estimate,
    hedges_g,
    holm,
    paired_p,
    seeds_needed,
    sign_flip,
)
from runs.options import differences
from upzoo.metrics.catalogue import SCORES, Score, find, is_detail, ordered

ALPHA = 0.05
NOT_SIGNIFICANT = "not significant"
ONE_SEED = "one seed: no test"
#: Kinds of scores whose differences are tested.
TESTED = ("quality", "boundary", "artifact", "sharpness")


@dataclass(frozen=True)
class Contrast:
    """One variant against the baseline in one score.

    Attributes:
        difference: the variant's minus the baseline's, over the seeds that both have, if any.
        p: of the paired t-test; None for fewer than two seeds, or without spread.
        p_holm: corrected over the variants that were tested.
        p_flip: of the exact permutation test, from 6 seeds on.
        effect: Hedges' g of the paired differences, from 3 seeds on.
        needed: seeds for a significant difference with power 0.8 at the level that is left to each
            of the tests, were the difference and its spread those observed.
        verdict: in words.
    """

    difference: Estimate | None
    p: float | None = None
    p_holm: float | None = None
    p_flip: float | None = None
    effect: float | None = None
    needed: int | None = None
    verdict: str = "no common seed"


@dataclass(frozen=True)
class Result:
    """A group with everything that was computed of it.

    Attributes:
        group: its variants, the best first.
        baseline: one of them; None where the group has no such variant.
        estimates: metric → label → estimate, of every number that a record holds.
        contrasts: metric → label → contrast, of the tested metrics.
        quality: name of the first quality, by which the variants are sorted, if any.
        artifact: name of the first artifact.
        pareto_front: labels of the variants that no other beats in both; none of a single one.
        notes: what a reader should know.
    """

    group: Group
    baseline: Variant | None
    estimates: dict[str, dict[str, Estimate]]
    contrasts: dict[str, dict[str, Contrast]]
    quality: str | None
    artifact: str | None
    pareto_front: list[str]
    notes: list[str]


def analyse(group: Group, baseline: str | None) -> Result:
    """Compute all that the tables and figures of a group show."""
    reference = find_baseline(group, baseline)
    runs = [run for variant in group.variants for run in variant.runs.values()]
    names = dict.fromkeys(name for run in runs for name in run.values)
    estimates: dict[str, dict[str, Estimate]] = {}
    for name in names:
        values = {variant.label: list(variant.values(name).values()) for variant in group.variants}
        estimates[name] = {label: estimate(each) for label, each in values.items() if each}
    quality, artifact = (first(estimates, kind) for kind in ("quality", "artifact"))
    variants = group.variants
    if quality is not None:
        sign, means = SCORES[quality].better, estimates[quality]
        variants = sorted(
            group.variants,
            key=lambda a: -sign * means[a.label].mean if a.label in means else float("inf"),
        )
    contrasts = {}
    if reference is not None:
        others = [variant for variant in variants if variant is not reference]
        tested = [name for name in SCORES if name in names and SCORES[name].kind in TESTED]
        contrasts = {name: contrast(reference, others, name) for name in tested if others}
    pareto_front: list[str] = []
    if quality is not None and artifact is not None:
        axes = (quality, artifact)
        labels = [a.label for a in variants if all(a.label in estimates[name] for name in axes)]
        points = [
            tuple(SCORES[name].better * estimates[name][label].mean for name in axes)
            for label in labels
        ]
        pareto_front = [labels[i] for i in pareto(points)] if len(labels) > 1 else []
    sorted_group = Group(group.model, group.data, group.split, list(variants), group.notes)
    notes = [*group.notes, *_confounders(variants, reference), *_missing(variants, estimates)]
    headlines = (quality, artifact, pareto_front)
    return Result(sorted_group, reference, estimates, contrasts, *headlines, notes)


def find_baseline(group: Group, name: str | None) -> Variant | None:
    """The variant of that label, or else the only one of that operator."""
    labelled = [variant for variant in group.variants if variant.label == name]
    candidates = labelled or [variant for variant in group.variants if variant.operator == name]
    return candidates[0] if len(candidates) == 1 else None


def first(names: Iterable[str], kind: str) -> str | None:
    """The first metric of a kind, in the order of `SCORES`, that is among some names."""
    given = set(names)
    return next((name for name, s in SCORES.items() if s.kind == kind and name in given), None)


def contrast(baseline: Variant, others: Sequence[Variant], metric: str) -> dict[str, Contrast]:
    """Compare variants with the baseline in one score, seed by seed."""
    base, pairs = baseline.values(metric), {}
    for variant in others:
        values = variant.values(metric)
        pairs[variant.label] = [values[seed] - base[seed] for seed in values if seed in base]
    p = {label: paired_p(gains) for label, gains in pairs.items() if gains}
    tested = {label: value for label, value in p.items() if value is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    contrasts = {}
    for label, gains in pairs.items():
        if not gains:
            contrasts[label] = Contrast(None)
            continue
        verdict = judge(SCORES[metric], estimate(gains), corrected.get(label))
        needed = verdict == NOT_SIGNIFICANT
        contrasts[label] = Contrast(
            difference=estimate(gains),
            p=p[label],
            p_holm=corrected.get(label),
            p_flip=sign_flip(gains),
            effect=hedges_g(gains),
            needed=seeds_needed(gains, ALPHA / max(len(tested), 1)) if needed else None,
            verdict=verdict,
        )
    return contrasts


def judge(metric: Score, difference: Estimate, p: float | None) -> str:
    """Better, worse or not significant, in a word or two."""
    if difference.half is None:
        return ONE_SEED
    if abs(difference.mean) + difference.half < metric.resolution:
        return "the same"
    if p is None:
        return "no spread: no test"
    if p >= ALPHA:
        return NOT_SIGNIFICANT
    higher = difference.mean > 0
    if metric.better == 0:
        return "higher" if higher else "lower"
    return "better" if higher == (metric.better > 0) else "worse"


def pareto(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Indices of the points that no other matches in all coordinates and exceeds in one.

    >>> pareto([(1, 3), (2, 2), (1, 2), (3, 1)])
    [0, 1, 3]
    """
    return [
        i
        for i, p in enumerate(points)
        if not any(q != p and all(a >= b for a, b in zip(q, p, strict=True)) for q in points)
    ]


def _confounders(variants: Sequence[Variant], reference: Variant | None) -> list[str]:
    if reference is None:
        return []
    notes = []
    for variant in variants:
        differing = differences(variant.options, reference.options)
        if differing and variant is not reference:
            both = f"{variant.label} and {reference.label}"
            notes.append(f"{both} differ in more than the operator: {'; '.join(differing)}.")
    return notes


def _missing(variants: Sequence[Variant], names: Iterable[str]) -> list[str]:
    """Name the scores that some seeds of a variant lack."""
    notes = []
    for name in (name for name in ordered(names) if not is_detail(name)):
        for variant in variants:
            lacking = [str(seed) for seed in variant.runs if seed not in variant.values(name)]
            if lacking and len(lacking) < len(variant.runs):
                title = find(name).heading
                notes.append(f"{variant.label}: {title} is missing for seed {', '.join(lacking)}.")
    return notes
