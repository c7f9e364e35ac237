"""Tables for the terminal: the scores of a run, its classes, and its record, in 80 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table

from runs.records import Record

TITLES = {
    "global_accuracy": "Global accuracy",
    "class_accuracy": "Class accuracy",
    "miou": "Mean IoU",
    "fwiou": "Frequency-weighted IoU",
    "boundary_f1": "Boundary F1",
    "boundary_f1_class": "Boundary F1, class mean",
    "per_class_iou": "IoU",
    "per_class_f1": "Boundary F1",
}
SHARES = {name for name in TITLES if not name.startswith("per_class")}
#: Scores that are no shares: title and decimals.
NUMBERS = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 4),
    "accuracy": ("Accuracy", 4),
    "swd": ("Sliced Wasserstein distance, ×10³", 2),
    "fid": ("Fréchet distance", 2),
    "kid": ("Kernel distance", 4),
    "precision": ("Precision", 3),
    "recall": ("Recall", 3),
    "confidence": ("Classifier's confidence", 3),
    "classes_drawn": ("Classes drawn", 0),
    "diversity": ("Diversity, against real images", 3),
    "loss": ("Loss", 4),
}


def percent(share: Any) -> str:
    """Write a share as a percentage with one decimal; a dash for none and nan.

    Example:
        >>> percent(0.4567), percent(float("nan"))
        ('45.7', '–')
    """
    missing = share is None or math.isnan(share)
    return "–" if missing else f"{100 * float(share):.1f}"


def scores_table(
    metrics: Mapping[str, Mapping[str, Any]], title: str = "Scores in %"
) -> Table | None:
    """Lay out the shares among a run's metrics: one row a score, one column a split.

    Args:
        metrics: split → name → score, as a record holds them. Per-class scores and numbers that
            are no shares are left to other tables.
        title: written above.

    Returns:
        None where there are none.
    """
    if not any(name in scores for scores in metrics.values() for name in SHARES):
        return None
    table = _table(title)
    table.add_column("", no_wrap=True)
    for split in metrics:
        table.add_column(split, justify="right", min_width=7)
    for name in (name for name in TITLES if name in SHARES):
        if any(name in scores for scores in metrics.values()):
            cells = (percent(scores.get(name)) for scores in metrics.values())
            style = "bold" if name == "miou" else None
            table.add_row(TITLES[name], *cells, style=style)
    return table


def numbers_table(metrics: Mapping[str, Mapping[str, Any]], title: str = "Scores") -> Table | None:
    """Lay out the scores that are no shares: one row a score, one column a split.

    Args:
        metrics: split → name → score, as a record holds them.
        title: written above.

    Returns:
        None where there are none.
    """
    names = [name for name in NUMBERS if any(name in scores for scores in metrics.values())]
    if not names:
        return None
    table = _table(title)
    table.add_column("", no_wrap=True)
    for split in metrics:
        table.add_column(split, justify="right", min_width=7)
    for name in names:
        words, decimals = NUMBERS[name]
        values = [scores.get(name) for scores in metrics.values()]
        table.add_row(words, *("–" if v is None else f"{v:.{decimals}f}" for v in values))
    return table


def classes_table(scores: Mapping[str, Any], title: str = "Classes in %") -> Table | None:
    """Lay out one split's per-class scores: a row a class, with a bar for the first score.

    Args:
        scores: name → score, of which those named per_class_… map classes to shares.
        title: written above.

    Returns:
        None where there is no per-class score.
    """
    columns = {name: each for name, each in scores.items() if name.startswith("per_class_")}
    if not columns:
        return None
    first = next(iter(columns.values()))
    table = _table(title)
    table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=28)
    for name in columns:
        table.add_column(TITLES.get(name, name.removeprefix("per_class_")), justify="right")
    table.add_column("", style="cyan", no_wrap=True)
    for label in first:
        cells = (percent(each.get(label)) for each in columns.values())
        table.add_row(label, *cells, _bar(first[label]))
    return table


def record_table(record: Record) -> Table:
    """Lay out what a record says of its run, but for the scores."""
    table = _table(str(record.choices["name"] or "Run"))
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("", overflow="fold")
    for name, value in _facts(record).items():
        if value is not None:
            table.add_row(name, value)
    table.show_header = False
    return table


def show(record: Record, console: Console | None = None) -> None:
    """Print a record: the run, its scores on every split, and the last split's classes."""
    console = console or Console()
    parts: list[RenderableType | None] = [record_table(record)]
    if record.metrics:
        split, scores = list(record.metrics.items())[-1]
        parts += [
            scores_table(record.metrics),
            numbers_table(record.metrics),
            classes_table(scores, title=f"Classes in %, {split}"),
        ]
    console.print(Group(*(part for part in parts if part is not None)))


def _facts(record: Record) -> dict[str, str | None]:
    choices, cost, data, commit = record.choices, record.cost, record.data, record.commit
    size, gpu = cost["image_size"], record.machine.get("gpu")
    where = [gpu or record.machine.get("cpu"), None if gpu else f"{record.machine['cores']} cores"]
    where.append(record.machine.get("precision"))
    versions = (f"{name} {v}" for name, v in record.versions.items() if v)
    return {
        "status": record.status,
        "command": record.command,
        "model": f"{choices['model']} with {choices['upsample']}, seed {choices['seed']}",
        "data": ", ".join(str(v) for v in (data["name"], data["split"], data["licence"]) if v),
        "image size": "×".join(map(str, size)) if isinstance(size, list | tuple) else size,
        "parameters": _count(cost["parameters"], of=cost["parameters_upsampling"]),
        "FLOPs forward": _scaled(cost["flops_forward"], 1e9, "G"),
        "training": _scaled(cost["train_seconds"], 1, "s"),
        "throughput": _scaled(cost["images_per_second"], 1, "images/s"),
        "peak memory": _scaled(cost["peak_memory_bytes"], 2**20, "MiB"),
        "machine": ", ".join(str(part) for part in where if part),
        "versions": ", ".join(versions),
        "commit": commit and commit["sha"][:12] + (" + changes" if commit["dirty"] else ""),
        "checkpoint": record.checkpoint,
    }


def _count(parameters: int | None, of: int | None) -> str | None:
    if parameters is None:
        return None
    return f"{parameters:,}" + (f", {of:,} of them in upsampling" if of is not None else "")


def _scaled(value: float | None, unit: float, name: str) -> str | None:
    return None if value is None else f"{value / unit:,.1f} {name}"


def _bar(share: Any, width: int = 20) -> str:
    filled = 0 if share is None or math.isnan(share) else round(width * float(share))
    return "━" * filled


def _table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
