"""The shipped checkpoints as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from release.card import size_text
from upzoo.metrics.catalogue import current, find, ordered


def tables(entries: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """A table for each net, data set and recipe, the checkpoint with the best score first.

    Args:
        entries: name → entry of the manifest.
    """
    groups: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for name, entry in entries.items():
        scored = f"scores on {entry['split']}"
        key = (entry["model"], entry["data"], entry.get("recipe") or "?", scored, entry["licence"])
        groups.setdefault(key, {})[name] = {**entry, "scores": current(entry["scores"])}
    return [_table(key, group) for key, group in sorted(groups.items())]


def columns(names: Iterable[str]) -> list[str]:
    """The scores that a table shows: two of quality, the checkerboards, and the sharpness.

    The second of quality is of the boundaries, where there is one.

    >>> columns(["miou", "global_accuracy", "boundary_f1", "checkerboard_db", "ripple"])
    ['miou', 'boundary_f1', 'checkerboard_db']
    """
    given = ordered(names)
    quality, boundary = (
        [name for name in given if find(name).kind == kind] for kind in ("quality", "boundary")
    )
    shown = [*quality[:1], *(boundary or quality[1:])[:1], "checkerboard_db", "sharpness_db"]
    return [name for name in shown if name in given]


def _table(key: tuple[str, ...], entries: Mapping[str, Mapping[str, Any]]) -> Table:
    model, data, recipe, scored, licence = key
    title = f"{model} on {data}, trained as {recipe}\n{scored}\n{licence}"
    table = Table(title=title, box=box.SIMPLE_HEAD)
    table.title_justify = "left"
    table.add_column("pretrained=", no_wrap=True, style="bold")
    names = columns(name for entry in entries.values() for name in entry["scores"])
    for name in names:
        table.add_column(find(name).heading, justify="right", max_width=14, overflow="fold")
    repeated = any(entry.get("seeds") for entry in entries.values())
    if repeated:
        table.add_column("over seeds", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for name, entry in sorted(entries.items(), key=lambda item: _rank(item[1], names)):
        scores = (find(score).text(entry["scores"].get(score)) for score in names)
        seeds = [_over_seeds(entry.get("seeds"))] if repeated else []
        table.add_row(name, *scores, *seeds, size_text(_bytes(entry)))
    return table


def _bytes(entry: Mapping[str, Any]) -> int:
    return sum(file["bytes"] for file in entry["files"].values())


def _rank(entry: Mapping[str, Any], names: Sequence[str]) -> float:
    """Lower for a better first score."""
    value = entry["scores"].get(names[0]) if names else None
    return math.inf if value is None else -find(names[0]).better * value


def _over_seeds(seeds: Mapping[str, Any] | None) -> str:
    if not seeds:
        return "–"
    score = find(seeds["score"])
    return f"{score.text(seeds['mean'])} ± {score.text(seeds['half'])}"
