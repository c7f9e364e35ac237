"""Tables for the terminal: the scores of a run, its classes, and its record, in 80 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table

from runs.escape import terminal
from runs.records import Record
from upzoo.metrics import catalogue

#: Costs that have a line of their own in a run's table.
COSTS = ("flops_forward", "train_seconds", "images_per_second", "peak_memory_bytes")


def scores_table(metrics: Mapping[str, Mapping[str, Any]], title: str = "Scores") -> Table | None:
    """Lay out a run's scores: one row a score, one column a split.

    Args:
        metrics: split → name → score, as a record holds them. Scores by class are left to another
            table.
        title: written above.

    Returns:
        None where there are none.
    """
    numbers = [catalogue.numbers(scores) for scores in metrics.values()]
    names = catalogue.ordered(name for each in numbers for name in each)
    if not names:
        return None
    table = _table(title)
    table.add_column("", overflow="fold")
    for split in metrics:
        table.add_column(terminal(split), justify="right", min_width=7, no_wrap=True)
    for name in names:
        score = catalogue.find(name)
        cells = (score.text(each.get(name)) for each in numbers)
        style = "bold" if name == "miou" else None
        table.add_row(terminal(score.heading), *cells, style=style)
    return table


def classes_table(scores: Mapping[str, Any], title: str = "Classes") -> Table | None:
    """Lay out one split's per-class scores: a row a class, with a bar for the first score.

    Args:
        scores: name → score, of which those named per_class_… map classes to scores.
        title: written above.

    Returns:
        None where there is no per-class score.
    """
    columns = {name: v for name, v in scores.items() if name.startswith(catalogue.CLASSES)}
    if not columns:
        return None
    first = next(iter(columns.values()))
    table = _table(title)
    table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=28)
    for name in columns:
        table.add_column(terminal(catalogue.find(name).heading), justify="right")
    table.add_column("", style="cyan", no_wrap=True)
    for label in first:
        cells = (catalogue.find(name).text(each.get(label)) for name, each in columns.items())
        table.add_row(terminal(label), *cells, _bar(first[label]))
    return table


def record_table(record: Record) -> Table:
    """Lay out what a record says of its run, but for the scores."""
    table = _table(terminal(record.choices["name"] or "Run"))
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("", overflow="fold")
    for name, value in _facts(record).items():
        if value is not None:
            table.add_row(name, terminal(value))
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
            classes_table(scores, title=f"Classes, {terminal(split)}"),
        ]
    console.print(Group(*(part for part in parts if part is not None)))


def _facts(record: Record) -> dict[str, str | None]:
    choices, cost, data = record.choices, record.cost, record.data
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
        **{catalogue.SCORES[name].title.lower(): _cost(name, cost[name]) for name in COSTS},
        "machine": ", ".join(str(part) for part in where if part),
        "versions": ", ".join(versions),
        "commit": _commit(record.commit),
        "checkpoint": record.checkpoint,
    }


def _commit(commit: Mapping[str, Any] | None) -> str | None:
    if commit is None:
        return None
    return commit["sha"][:12] + (" + changes" if commit["dirty"] else "")


def _count(parameters: int | None, of: int | None) -> str | None:
    if parameters is None:
        return None
    return f"{parameters:,}" + (f", {of:,} of them in upsampling" if of is not None else "")


def _cost(name: str, value: float | None) -> str | None:
    return None if value is None else catalogue.SCORES[name].with_unit(value)


def _bar(share: Any, width: int = 20) -> str:
    filled = 0 if share is None or math.isnan(share) else round(width * min(float(share), 1.0))
    return "━" * filled


def _table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
