"""One table over several settings: how far variants are from one of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from comparison import inference
from studies import conclusions
from studies.evidence import Evidence
from studies.section import FEWEST_SEEDS, PLUS_MINUS, grid, listed, names
from studies.variants import TWINS
from upzoo.metrics.catalogue import SCORES

#: Variants without a learned spatial kernel.
INTERPOLATING = ("bilinear_fixed", "dysample")


def table(evidence: Sequence[Evidence]) -> list[str]:
    """Differences from the first variant that all settings have, at their longest budgets.

    Nothing where fewer than two settings have seeds enough.
    """
    compared = [each for each in evidence if len(each.seeds) >= FEWEST_SEEDS]
    if len(compared) < 2:
        return []
    everywhere = set.intersection(*(set(each.own) for each in compared)) - set(TWINS)
    reference, *others = [variant for variant in compared[0].own if variant in everywhere]
    score = SCORES[compared[0].setting.primary]
    columns = [_differences(each, reference) for each in compared]
    rows = [
        [f"`{variant}`", *(column[variant] for column in columns)]
        for variant in others
        if all(variant in column for column in columns)
    ]
    heads = [f"less `{reference}`", *map(title, compared)]
    return [
        *_worth(compared, reference, others),
        f"{score.heading} on {compared[0].setting.split} less that of `{reference}`, at each "
        "setting's longest budget, with simultaneous 95 % intervals; bold ones exclude 0:",
        "",
        *grid(heads, rows),
        "",
    ]


def _worth(evidence: Sequence[Evidence], reference: str, others: Sequence[str]) -> list[str]:
    """A sentence on what the choice is worth, with and without kernels of the operator's own."""
    score = SCORES[evidence[0].setting.primary]
    gaps = {v: [_gap(each, v, reference) for each in evidence] for v in others}
    learned = [variant for variant in others if variant not in INTERPOLATING]
    fixed = [variant for variant in others if variant in INTERPOLATING]
    if not learned or not fixed:
        return []
    far, further = (_largest(evidence, [gaps[v] for v in those]) for those in (learned, fixed))
    return [
        f"Does the upsampling matter? By mean {score.title}, {names(learned)}, which have learned "
        f"spatial kernels, lie at most {far} from `{reference}`; {names(fixed)}, which have none, "
        f"at most {further}.",
        "",
    ]


def _largest(evidence: Sequence[Evidence], gaps: Sequence[Sequence[float]]) -> str:
    """The largest difference of each setting, in words."""
    score = SCORES[evidence[0].setting.primary]
    return listed(
        [
            f"{score.with_unit(max(map(abs, of_setting)))} ({title(each)})"
            for each, of_setting in zip(evidence, zip(*gaps, strict=True), strict=True)
        ]
    )


def title(evidence: Evidence) -> str:
    """Of a setting, without its data."""
    return evidence.setting.title.partition(" (")[0]


def _gap(evidence: Evidence, variant: str, reference: str) -> float:
    """Of the means at the longest budget."""
    scores = evidence.scores(evidence.budgets[-1])
    return mean(scores[variant].values()) - mean(scores[reference].values())


def _differences(evidence: Evidence, reference: str) -> dict[str, str]:
    """Variant → its mean less the reference's ± half of the interval."""
    score = SCORES[evidence.setting.primary]
    scores = conclusions.without_twins(evidence.scores(evidence.budgets[-1]))
    ordered = {reference: scores[reference]} | scores
    cells = {}
    for pair in inference.all_pairs(ordered):
        if pair.first == reference:
            half = score.text((pair.high - pair.low) / 2)
            shown = f"{score.text(pair.difference)}{PLUS_MINUS}{half}"
            shown = shown if shown.startswith("−") else f"+{shown}"
            cells[pair.second] = f"**{shown}**" if pair.differs else shown
    return cells
