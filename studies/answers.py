"""What the study's groups say to the questions that it was made for.

Every sentence is put together from estimates: nothing here knows what the answer will be.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from comparison.analysis import METRICS, Contrast, Result, contrast
from comparison.groups import Arm

#: Permutations of the rank correlation's test, and their seed.
SHUFFLES = 10_000
#: A net whose pictures' distances are this many times the median of its group has collapsed.
COLLAPSED = 3.0
TASKS = {
    "miou": "segmentation",
    "fid": "GANs",
    "swd": "GANs",
    "psnr": "reconstruction",
}


@dataclass
class Answer:
    """A question, its answer in a sentence or two, what that rests on, and the README's line."""

    question: str
    short: str
    evidence: list[str] = field(default_factory=list)
    line: str | None = None


def answers(results: Sequence[Result]) -> list[Answer]:
    """All answers that the groups allow."""
    made: list[Answer | None] = [
        _choice(results),
        _versus(
            results,
            "Does learning a bilinear kernel help over fixing it?",
            "Learning a bilinear kernel instead of fixing it",
            lambda arm: arm.label == "bilinear_init trainable=true",
            lambda arm: arm.label == "bilinear_init",
            "learned",
            "SegNet's authors found so and FCN's did not",
        ),
        _versus(
            results,
            "What does even overlap buy?",
            "An evenly overlapping kernel (2·scale) instead of an odd one",
            lambda arm: arm.label == "transposed_conv",
            lambda arm: arm.operator == "transposed_conv" and "kernel=" in arm.label,
            "kernel 2·scale, against an odd one",
            "the kernel of 2·scale overlaps evenly, 3 at scale 2 and 9 at scale 8 do not",
            artifacts=("grid_db", "response"),
        ),
        _versus(
            results,
            "Does the residual help?",
            "The residual on `resize_conv`",
            lambda arm: arm.label.endswith("residual=true"),
            lambda arm: arm.label == "resize_conv",
            "with the bilinear-additive map added",
            "Wojna et al. 2019 found that it nearly always does",
        ),
        _distance_and_grid(results),
        *_fronts(results),
    ]
    return [answer for answer in made if answer is not None]


def _find(result: Result, wanted: Callable[[Arm], bool]) -> Arm | None:
    return next((arm for arm in result.group.arms if wanted(arm)), None)


def _versus(
    results: Sequence[Result],
    question: str,
    change: str,
    this: Callable[[Arm], bool],
    that: Callable[[Arm], bool],
    name: str,
    context: str,
    artifacts: Sequence[str] = ("grid_db",),
) -> Answer | None:
    """Hold one arm against another in every group that has both."""
    verdicts: dict[str, Counter[str]] = {"quality": Counter(), "grid": Counter()}
    ahead: dict[str, list[float]] = {"quality": [], "grid": []}
    evidence = []
    for result in results:
        arm, base = _find(result, this), _find(result, that)
        if arm is None or base is None or result.quality is None:
            continue
        metrics = [m for m in (result.quality, "boundary_f1") if m in result.estimates]
        metrics += [m for m in artifacts if m in result.estimates]
        parts = []
        for metric in metrics:
            found = contrast(base, [arm], metric)[arm.label]
            if found.difference is None:
                continue
            parts.append(_difference(metric, found))
            if metric in (result.quality, result.artifact):
                kind = "quality" if metric == result.quality else "grid"
                verdicts[kind][found.verdict] += 1
                mine, theirs = arm.values(metric), base.values(metric)
                sign = METRICS[metric].better
                ahead[kind] += [sign * (mine[s] - theirs[s]) for s in mine if s in theirs]
        evidence.append(f"{result.group.title}: {'; '.join(parts)}.")
    if not evidence:
        return None
    in_quality, in_grid = (f"{_counts(verdicts[k])}, {_pairs(ahead[k])}" for k in verdicts)
    short = f"In quality, {name}: {in_quality}; in the grid: {in_grid} ({context})."
    line = f"{change}: quality {_counts(verdicts['quality'])}, grid {_counts(verdicts['grid'])}."
    return Answer(question, short, evidence, line)


def _counts(verdicts: Counter[str]) -> str:
    """How often each verdict was reached: "better in 1 and not separated in 2 of 3 settings"."""
    total = verdicts.total()
    parts = _join([f"{verdict} in {count}" for verdict, count in sorted(verdicts.items())] or ["–"])
    return f"{parts} of {total} setting{'s' if total != 1 else ''}"


def _pairs(gains: Sequence[float]) -> str:
    """In how many runs of equal seeds one arm is ahead, with the sign test's p over all settings.

    >>> _pairs([1.0, 2.0, 0.5, 3.0, 1.0, -1.0])
    'ahead in 5 of 6 pairs (p = 0.22)'
    """
    from scipy.stats import binomtest

    decided = [gain for gain in gains if gain]
    if not decided:
        return "no pair differs"
    ahead = sum(gain > 0 for gain in decided)
    p = binomtest(ahead, len(decided)).pvalue
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return f"ahead in {ahead} of {len(decided)} pairs ({shown})"


def _difference(metric: str, found: Contrast) -> str:
    """A difference in words: "mean IoU +1.2 ± 0.4 (p = 0.01, better)"."""
    assert found.difference is not None
    m, d = METRICS[metric], found.difference
    sign = "+" if d.mean > 0 else ""
    text = f"{m.title} {sign}{m.text(d.mean)}"
    if d.half is not None:
        text += f" ± {m.text(d.half)}"
    p = "" if found.p is None else f"p {'< 0.001' if found.p < 0.001 else f'= {found.p:.3f}'}, "
    return f"{text} ({p}{found.verdict})"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _of_task(results: Iterable[Result], task: str) -> list[Result]:
    return [r for r in results if r.quality is not None and TASKS.get(r.quality) == task]


def _fronts(results: Sequence[Result]) -> list[Answer | None]:
    """Which operators are on the Pareto front, by task."""
    made: list[Answer | None] = []
    for task in dict.fromkeys(TASKS.values()):
        groups = [r for r in _of_task(results, task) if r.front]
        if not groups:
            continue
        always = [
            label
            for label in groups[0].front
            if all(label in r.front for r in groups) and len(groups) > 1
        ]
        evidence = []
        for r in groups:
            assert r.quality is not None
            assert r.artifact is not None
            quality, artifact = METRICS[r.quality], METRICS[r.artifact]
            named = [
                f"{label} ({quality.text(r.estimates[r.quality][label].mean)}, "
                f"{artifact.text(r.estimates[r.artifact][label].mean)})"
                for label in r.front
            ]
            titles = f"{quality.title}, and {artifact.title}"
            evidence.append(f"{r.group.title} ({titles}): {', '.join(named)}.")
        short = f"In every group: {_join(always)}." if always else "No operator in every group."
        if len(groups) == 1:
            short = f"{_join(groups[0].front)}."
        made.append(Answer(f"Which operators are on the Pareto front for {task}?", short, evidence))
    return made


def _distance_and_grid(results: Sequence[Result]) -> Answer | None:
    """Rank correlation of the distance to real images with the grid, over operators."""
    evidence, signs = [], []
    for r in _of_task(results, "GANs"):
        assert r.quality is not None
        for artifact in ("grid_db", "ripple"):
            distance, grid = r.estimates[r.quality], r.estimates.get(artifact, {})
            arms = [a.label for a in r.group.arms if a.label in distance and a.label in grid]
            middle = float(np.median([distance[label].mean for label in arms])) if arms else 0.0
            kept = [label for label in arms if distance[label].mean <= COLLAPSED * middle]
            if len(kept) < 5:
                continue
            pairs = [(distance[label].mean, grid[label].mean) for label in kept]
            rho, p = spearman(*zip(*pairs, strict=True))
            gone = sorted(set(arms) - set(kept))
            without = f", without {', '.join(gone)}, which collapsed" if gone else ""
            title, against = METRICS[r.quality].title, METRICS[artifact].title
            evidence.append(
                f"{r.group.title}: rank correlation of {title} with {against} over {len(kept)} "
                f"operators{without}: {_number(rho)} (p = {p:.2f})."
            )
            if artifact == "grid_db":
                signs.append((rho, p))
    if not signs:
        return None
    certain = [rho for rho, p in signs if p < 0.05]
    if not certain:
        short = "Not seen here: no rank correlation of the distance with the grid is certain."
    elif all(rho < 0 for rho in certain):
        short = "Yes: operators with a lower distance have the stronger grid."
    elif all(rho > 0 for rho in certain):
        short = "Here the contrary: operators with a lower distance have the weaker grid."
    else:
        short = "It depends on the data."
    question = (
        "Does a lower Fréchet distance go with more checkerboard, as Chandrasegaran et al. 2021 "
        "found?"
    )
    line = f"A lower Fréchet distance with more checkerboard, as published? {short}"
    return Answer(question, short, evidence, line)


def spearman(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Spearman's rank correlation, and its two-sided p by permutation.

    Example:
        >>> rho, p = spearman([1, 2, 3, 4, 5, 6], [2, 3, 5, 7, 11, 13])
        >>> rho, p < 0.01
        (1.0, True)
    """
    from scipy.stats import rankdata

    a, b = rankdata(x), rankdata(y)
    rho = float(np.corrcoef(a, b)[0, 1])
    random = np.random.default_rng(0)
    shuffled = random.permuted(np.tile(b, (SHUFFLES, 1)), axis=1)
    centred = (shuffled - b.mean()) @ (a - a.mean())
    found = np.abs(centred) / (len(a) * a.std() * b.std())
    return rho, float((1 + np.sum(found >= abs(rho) - 1e-12)) / (SHUFFLES + 1))


def _number(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _choice(results: Sequence[Result]) -> Answer | None:
    """For each task: the best third by mean rank in quality, and the first of it with a clean grid.

    Clean is a grid that no group tells from that with the weakest mean grid of the third.
    """
    evidence, picks, chosen = [], [], []
    for task in dict.fromkeys(TASKS.values()):
        groups = _of_task(results, task)
        ranks = mean_ranks(groups) if groups else {}
        if len(ranks) < 3:
            continue
        usual = {r.baseline.label for r in groups if r.baseline is not None}
        ordered = sorted(ranks, key=lambda label: (ranks[label], label not in usual, label))
        third = ordered[: -(-len(ranks) // 3)]
        grids = {label: _mean_grid(groups, label) for label in third}
        weakest = min(third, key=lambda label: grids[label])
        clean = next(a for a in third if not _worse(groups, a, weakest, "artifact"))
        named = [
            f"{label} ({ranks[label]:.1f}, {METRICS['grid_db'].text(grids[label])} dB)"
            for label in third
        ]
        told = [label for label in third[1:] if _worse(groups, label, third[0], "quality")]
        picks.append(f"{clean} for {task}")
        chosen.append(
            f"`{clean}` for {task} (mean rank {ranks[clean]:.1f} of {len(ranks)}, grid "
            f"{METRICS['grid_db'].text(grids[clean])} dB)"
        )
        said = (
            f"the seeds tell {_join(told)} from {third[0]}" if told else "no seeds tell them apart"
        )
        evidence.append(
            f"{task}, mean rank in quality among {len(ranks)} operators and mean grid: "
            f"{', '.join(named)}; in quality {said}."
        )
    if not picks:
        return None
    short = (
        f"{_join(picks)}: of the third that ranks best in quality, the first whose grid is not "
        "certainly stronger than the weakest of that third."
    )
    line = (
        f"**Choose {_join(chosen)}**: of the best third in quality, the first whose grid is not "
        "certainly stronger than the weakest there."
    )
    return Answer("What would we tell a user to choose?", short, evidence, line)


def mean_ranks(groups: Sequence[Result]) -> dict[str, float]:
    """Mean rank in quality, 1 the best, of the arms that all groups have; equal arms share it."""
    scores: list[dict[str, float]] = []
    for r in groups:
        assert r.quality is not None
        better, found = METRICS[r.quality].better, r.estimates[r.quality]
        scores.append({label: better * estimate.mean for label, estimate in found.items()})
    common = [label for label in scores[0] if all(label in each for each in scores)]
    ranks = {
        label: [1 + sum(each[other] > each[label] for other in common) for each in scores]
        for label in common
    }
    return {label: fmean(found) for label, found in ranks.items()}


def _worse(groups: Sequence[Result], label: str, base: str, axis: str) -> bool:
    """Whether a group tells an arm to be worse than another in its quality or artifact.

    One pair at a time, with no correction for their number.
    """
    for r in groups:
        metric = getattr(r, axis)
        if metric is None or label == base:
            continue
        this, that = (next(a for a in r.group.arms if a.label == name) for name in (label, base))
        if contrast(that, [this], metric)[label].verdict == "worse":
            return True
    return False


def _mean_grid(groups: Sequence[Result], label: str) -> float:
    found = [
        r.estimates[r.artifact][label].mean
        for r in groups
        if r.artifact is not None and label in r.estimates[r.artifact]
    ]
    return fmean(found) if found else math.inf
