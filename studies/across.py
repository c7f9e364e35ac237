"""One table over several settings: how far variants are from one of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from comparison import inference
from studies import conclusions
from studies.evidence import Evidence
from studies.section import FEWEST_SEEDS, PLUS_MINUS, grid, names
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
    heads = [f"less `{reference}`", *(each.setting.title.partition(" (")[0] for each in compared)]
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
    most = max(max(map(abs, gaps[variant])) for variant in learned)
    losses = [abs(gap) for variant in fixed for gap in gaps[variant]]
    with_kernels, without = names([reference, *learned]), names(fixed)
    return [
        f"Does the upsampling matter? Among {with_kernels}, which have learned spatial kernels, "
        f"the choice moves the mean {score.title} by at most {score.text(most)} {score.unit}. "
        f"{without} have none, so that these nets have one spatial convolution less: they lie "
        f"{score.text(min(losses))} to {score.text(max(losses))} {score.unit} from `{reference}`.",
        "",
    ]


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
