"""The pilots: a training at each learning rate of each variant; of them the rates are chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from runs import folders, records
from studies.archive import newest_of
from studies.plan import PILOT_SEED, pilot_jobs
from studies.setting import Setting
from studies.settings import SETTINGS
from upzoo.metrics.catalogue import SCORES, Score

#: Variant → learning rate → validation score; NaN where the training diverged.
Tried = Mapping[str, Mapping[float, float]]


def read(name: str, *places: Path) -> Tried:
    """What a setting's finished pilots scored at their longest budget; one missing is left out.

    Args:
        name: key of `SETTINGS`.
        places: folders that hold the pilots' runs or their records.
    """
    pilot = SETTINGS[name].pilot
    found: dict[str, dict[float, float]] = {}
    for job in pilot_jobs([name]):
        assert pilot is not None
        run = newest_of(job, *places)
        record = None if run is None else records.read(run / folders.RECORD)
        if record is not None and record.status in ("finished", "failed"):
            score = math.nan if record.status == "failed" else record.metrics["val"][pilot.metric]
            found.setdefault(job.variant, {})[job.lr] = score
    return found


def best(setting: Setting, by_rate: Mapping[float, float]) -> float | None:
    """The learning rate with the best score; None where all diverged."""
    assert setting.pilot is not None
    better = SCORES[setting.pilot.metric].better
    ended = {lr: score for lr, score in by_rate.items() if not math.isnan(score)}
    return max(ended, key=lambda lr: better * ended[lr], default=None)


def choose_rates(
    settings: Sequence[str], *places: Path, variants: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """The learning rate of each variant with the best validation score: setting → variant → rate.

    Args:
        settings: keys of `SETTINGS`.
        places: folders that hold the pilots' runs or their records.
        variants: only these; None for all.

    Raises:
        ValueError: a pilot is not finished, or all of a variant diverged.
    """
    chosen: dict[str, dict[str, float]] = {}
    for name in settings:
        wanted = SETTINGS[name].variants if variants is None else variants
        tried = {key: by_rate for key, by_rate in read(name, *places).items() if key in wanted}
        for job in pilot_jobs([name]):
            if job.variant in wanted and job.lr not in tried.get(job.variant, {}):
                raise ValueError(
                    f"{places[0] / job.folder}: this pilot is not finished: run --pilots first"
                )
        for variant, by_rate in tried.items():
            rate = best(SETTINGS[name], by_rate)
            if rate is None:
                raise ValueError(f"{name} {variant}: all pilots diverged: try lower learning rates")
            chosen.setdefault(name, {})[variant] = rate
            shown = "  ".join(f"{lr:g}: {score:.4f}" for lr, score in sorted(by_rate.items()))
            print(f"{name} {variant}: {rate:g}  ({shown})")
    return chosen


def section(setting: Setting, tried: Tried) -> list[str]:
    """How a setting's learning rates were chosen: a table, and what lies at its edge."""
    if setting.rates_of is not None:
        return [f"Learning rates are those of {SETTINGS[setting.rates_of].title}.", ""]
    if setting.pilot is None or not tried:
        return []
    score, rates = SCORES[setting.pilot.metric], sorted(setting.pilot.rates)
    chosen = {variant: best(setting, by_rate) for variant, by_rate in tried.items()}
    rows = []
    for variant, by_rate in tried.items():
        cells = [_cell(score, by_rate.get(lr), lr == chosen[variant]) for lr in rates]
        rows.append(f"| `{variant}` | {' | '.join(cells)} |")
    lines = [
        f"{score.heading} on validation data at each learning rate that was tried, one training "
        f"each of a seed outside the study ({PILOT_SEED}); the chosen rate in bold:",
        "",
        f"| variant | {' | '.join(f'{lr:g}' for lr in rates)} |",
        f"| --- |{' --: |' * len(rates)}",
        *rows,
        "",
    ]
    edges = []
    for edge, words in ((rates[0], "lowest"), (rates[-1], "highest")):
        there = ", ".join(f"`{variant}`" for variant, lr in chosen.items() if lr == edge)
        edges += [f"the {words} for {there}"] if there else []
    if edges:
        lines += [
            "Chosen at the edge of what was tried, so that a rate beyond it may be better: "
            f"{'; '.join(edges)}.",
            "",
        ]
    return lines


def _cell(score: Score, value: float | None, chosen: bool) -> str:
    if value is None:
        return "–"
    text = "diverged" if math.isnan(value) else score.text(value)
    return f"**{text}**" if chosen else text
