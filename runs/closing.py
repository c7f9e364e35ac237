"""What a training or an evaluation ends with: its result in words, and where to look next."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runs.records import Record
from upzoo.metrics import catalogue

#: Characters that the labels take.
LABEL = 13
WIDTH = 80


def lines(record: Record, upsampling_flops: int | None = None) -> list[str]:
    """Score, checkerboard, and what the upsampling costs: a labelled sentence each, at 80 columns.

    Args:
        record: of the run.
        upsampling_flops: of one image's forward pass, in the upsampling operators.
    """
    split = main_split(record)
    if split is None:
        return []
    scores = record.metrics[split]
    said = {
        "score": f"{_scores(scores)} on {split} of {record.data['name']}",
        "checkerboard": checkerboard(scores),
        "upsampling": _cost(record, upsampling_flops),
    }
    return [line for label, text in said.items() if text for line in labelled(label, text)]


def one_line(record: Record, run: Path) -> str:
    """The same of a run of a sweep, with the run's name.

    Args:
        record: of the run.
        run: its folder.
    """
    split = main_split(record)
    scores = record.metrics.get(split or "", {})
    seconds = record.cost["train_seconds"]
    parts = [
        _scores(scores),
        f"checkerboard {_strength(scores)}" if _strength(scores) else "",
        f"{seconds:.0f} s" if seconds else "",
    ]
    return f"{run.parent.name} seed {record.choices['seed']}: {', '.join(p for p in parts if p)}"


def labelled(label: str, text: str) -> list[str]:
    """A sentence behind its label, wrapped to 80 columns; words are not broken.

    >>> labelled("score", "mean IoU 45.7 %")
    ['score        mean IoU 45.7 %']
    """
    return textwrap.wrap(
        text, WIDTH, initial_indent=label.ljust(LABEL), subsequent_indent=" " * LABEL,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def main_split(record: Record) -> str | None:
    """The split that a record's headline is of: that of its data, else the last that was scored."""
    if record.data["split"] in record.metrics:
        return record.data["split"]
    return next(reversed(record.metrics), None)


def checkerboard(scores: Mapping[str, Any]) -> str:
    """How strong a checkerboard is, in a word and in dB, and what else is known of it."""
    strength = _strength(scores)
    words = str(scores.get("artifacts_in_words") or "").replace(" -", " −")
    if strength.startswith("none") and words.count("no checkerboard") > 1:
        return f"{strength} in its outputs, none on a constant image"
    return ". ".join(part for part in (strength, words) if part)


def _strength(scores: Mapping[str, Any]) -> str:
    from upzoo.audit.report import severity

    db = scores.get("checkerboard_db")
    if db is None or math.isnan(db):
        return ""
    return f"{severity(db)} ({catalogue.SCORES['checkerboard_db'].with_unit(db)})"


def _scores(scores: Mapping[str, Any]) -> str:
    """The first score of quality, and that of the boundaries where there is one."""
    numbers = {k: v for k, v in catalogue.numbers(scores).items() if v is not None}
    quality, boundary = (
        [name for name in numbers if catalogue.find(name).kind == kind]
        for kind in ("quality", "boundary")
    )
    shown = [*quality[:1], *(boundary or quality[1:])[:1]]
    found = ((catalogue.find(name), numbers[name]) for name in shown)
    return ", ".join(f"{score.title} {score.with_unit(value)}" for score, value in found)


def _cost(record: Record, flops: int | None) -> str:
    cost = record.cost
    parts = []
    if cost["parameters"] and cost["parameters_upsampling"] is not None:
        parts.append(_part(cost["parameters_upsampling"], cost["parameters"], 1, "parameters"))
    if flops is not None and cost["flops_forward"]:
        parts.append(_part(flops, cost["flops_forward"], 1e-6, "MFLOPs of a forward pass"))
    operator = record.choices["upsample"]
    return f"{operator} has {' and '.join(parts)}" if operator and parts else ""


def _part(part: float, whole: float, scale: float, unit: str) -> str:
    decimals = 0 if scale == 1 else 1
    shown = (f"{value * scale:,.{decimals}f}" for value in (part, whole))
    return f"{' of '.join(shown)} {unit} ({100 * part / whole:.1f} %)"
