"""One table over several settings: how far variants are from one of them."""

from __future__ import annotations

from collections.abc import Sequence

from comparison import inference
from studies import conclusions
from studies.evidence import Evidence
from studies.section import FEWEST_SEEDS, grid
from upzoo.metrics.catalogue import SCORES


def table(evidence: Sequence[Evidence]) -> list[str]:
    """Differences from the first variant that all settings have, at their longest budgets.

    Nothing where fewer than two settings have seeds enough.
    """
    compared = [each for each in evidence if len(each.seeds) >= FEWEST_SEEDS]
    if len(compared) < 2:
        return []
    reference, *others = [v for v in compared[0].own if all(v in each.own for each in compared)]
    score = SCORES[compared[0].setting.primary]
    columns = [_differences(each, reference) for each in compared]
    rows = [
        [f"`{variant}`", *(column[variant] for column in columns)]
        for variant in others
        if all(variant in column for column in columns)
    ]
    heads = [f"less `{reference}`", *(each.setting.title.partition(" (")[0] for each in compared)]
    return [
        f"{score.heading} on {compared[0].setting.split} less that of `{reference}`, at each "
        "setting's longest budget, with simultaneous 95 % intervals; bold ones exclude 0:",
        "",
        *grid(heads, rows),
        "",
    ]


def _differences(evidence: Evidence, reference: str) -> dict[str, str]:
    """Variant → its mean less the reference's ± half of the interval."""
    score = SCORES[evidence.setting.primary]
    scores = conclusions.without_twins(evidence.scores(evidence.budgets[-1]))
    ordered = {reference: scores[reference]} | scores
    cells = {}
    for pair in inference.all_pairs(ordered):
        if pair.first == reference:
            half = score.text((pair.high - pair.low) / 2)
            shown = f"{score.text(pair.difference)} ± {half}"
            shown = shown if shown.startswith("−") else f"+{shown}"
            cells[pair.second] = f"**{shown}**" if pair.differs else shown
    return cells
