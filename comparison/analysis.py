"""What the seeds of a group say: means with intervals, differences to a baseline, the front.

Differences are paired by seed, tested by the paired t-test, and corrected after Holm over the arms
that are held against the baseline in one score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from comparison.groups import Arm, Group
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
UNCLEAR = "not separated"
ONE_SEED = "one seed: no test"
#: Kinds of scores whose differences are tested.
TESTED = ("quality", "boundary", "artifact", "sharpness")


@dataclass(frozen=True)
class Contrast:
    """One arm against the baseline in one score.

    Attributes:
        difference: the arm's minus the baseline's, over the seeds that both have; None for none.
        p: of the paired t-test; None for fewer than two seeds, or without spread.
        p_holm: corrected over the arms that were tested.
        p_flip: of the exact permutation test, from 6 seeds on.
        effect: Hedges' g of the paired differences, from 3 seeds on.
        needed: seeds that would separate the two with power 0.8 at the level that is left to each
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
        group: its arms, the best first.
        baseline: one of them; None where the group has no such arm.
        estimates: metric → label → estimate, of every number that a record holds.
        contrasts: metric → label → contrast, of the tested metrics.
        quality: name of the first quality, by which the arms are sorted; None where there is none.
        artifact: name of the first artifact.
        front: labels of the arms that no other beats in both; none where there is one alone.
        notes: what a reader should know.
    """

    group: Group
    baseline: Arm | None
    estimates: dict[str, dict[str, Estimate]]
    contrasts: dict[str, dict[str, Contrast]]
    quality: str | None
    artifact: str | None
    front: list[str]
    notes: list[str]


def analyse(group: Group, baseline: str | None) -> Result:
    """Compute all that the tables and figures of a group show."""
    base = find_baseline(group, baseline)
    names = dict.fromkeys(name for a in group.arms for r in a.runs.values() for name in r.values)
    estimates: dict[str, dict[str, Estimate]] = {}
    for name in names:
        values = {arm.label: list(arm.values(name).values()) for arm in group.arms}
        estimates[name] = {label: estimate(each) for label, each in values.items() if each}
    quality, artifact = (first(estimates, kind) for kind in ("quality", "artifact"))
    arms = group.arms
    if quality is not None:
        sign, means = SCORES[quality].better, estimates[quality]
        arms = sorted(
            group.arms,
            key=lambda a: -sign * means[a.label].mean if a.label in means else float("inf"),
        )
    contrasts = {}
    if base is not None:
        others = [arm for arm in arms if arm is not base]
        tested = [name for name in SCORES if name in names and SCORES[name].kind in TESTED]
        contrasts = {name: contrast(base, others, name) for name in tested if others}
    front: list[str] = []
    if quality is not None and artifact is not None:
        axes = (quality, artifact)
        both = [a.label for a in arms if all(a.label in estimates[name] for name in axes)]
        points = [
            tuple(SCORES[name].better * estimates[name][label].mean for name in axes)
            for label in both
        ]
        front = [both[i] for i in pareto(points)] if len(both) > 1 else []
    sorted_group = Group(group.model, group.data, group.split, list(arms), group.notes)
    notes = [*group.notes, *_confounders(arms, base), *_missing(arms, estimates)]
    return Result(sorted_group, base, estimates, contrasts, quality, artifact, front, notes)


def find_baseline(group: Group, name: str | None) -> Arm | None:
    """The arm of that label, or else the only one of that operator."""
    labelled = [arm for arm in group.arms if arm.label == name]
    found = labelled or [arm for arm in group.arms if arm.operator == name]
    return found[0] if len(found) == 1 else None


def first(names: Iterable[str], kind: str) -> str | None:
    """The first metric of a kind, in the order of `SCORES`, that is among some names."""
    given = set(names)
    return next((name for name, s in SCORES.items() if s.kind == kind and name in given), None)


def contrast(baseline: Arm, others: Sequence[Arm], metric: str) -> dict[str, Contrast]:
    """Hold arms against the baseline in one metric, seed by seed."""
    base, pairs = baseline.values(metric), {}
    for arm in others:
        mine = arm.values(metric)
        pairs[arm.label] = [mine[seed] - base[seed] for seed in mine if seed in base]
    p = {label: paired_p(each) for label, each in pairs.items() if each}
    tested = {label: value for label, value in p.items() if value is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    found = {}
    for label, each in pairs.items():
        if not each:
            found[label] = Contrast(None)
            continue
        verdict = judge(SCORES[metric], estimate(each), corrected.get(label))
        unclear = verdict == UNCLEAR
        found[label] = Contrast(
            difference=estimate(each),
            p=p[label],
            p_holm=corrected.get(label),
            p_flip=sign_flip(each),
            effect=hedges_g(each),
            needed=seeds_needed(each, ALPHA / max(len(tested), 1)) if unclear else None,
            verdict=verdict,
        )
    return found


def judge(metric: Score, difference: Estimate, p: float | None) -> str:
    """Better, worse or not separated, in a word or two."""
    if difference.half is None:
        return ONE_SEED
    if abs(difference.mean) + difference.half < metric.resolution:
        return "the same"
    if p is None:
        return "no spread: no test"
    if p >= ALPHA:
        return UNCLEAR
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


def _confounders(arms: Sequence[Arm], base: Arm | None) -> list[str]:
    if base is None:
        return []
    pairs = [(arm, differences(arm.options, base.options)) for arm in arms if arm is not base]
    return [
        f"{arm.label} and {base.label} differ in more than the operator: {'; '.join(found)}."
        for arm, found in pairs
        if found
    ]


def _missing(arms: Sequence[Arm], estimates: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    """Name the scores that some seeds of an arm lack."""
    notes = []
    for name in (name for name in ordered(estimates) if not is_detail(name)):
        for arm in arms:
            lacking = [str(seed) for seed in arm.runs if seed not in arm.values(name)]
            if lacking and len(lacking) < len(arm.runs):
                title = find(name).heading
                notes.append(f"{arm.label}: {title} is missing for seed {', '.join(lacking)}.")
    return notes
