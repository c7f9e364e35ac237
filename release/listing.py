"""The shipped checkpoints as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from release.card import size_text
from upzoo.metrics.catalogue import current, find, ordered

#: Heading of the column that says how certain the first score is.
INTERVAL = "95 %\ninterval"
HYPHEN = "-\n"


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
    """The scores that a table shows: of quality, then of boundaries or sharpness, of checkerboards.

    >>> columns(["miou", "global_accuracy", "boundary_f1", "checkerboard_db", "ripple"])
    ['miou', 'boundary_f1', 'checkerboard_db']
    """
    given = ordered(names)
    quality, beside = (
        [name for name in given if find(name).kind in kinds]
        for kinds in (("quality",), ("boundary", "sharpness"))
    )
    return [*quality[:1], *beside[:1], *(n for n in given if n == "checkerboard_db")]


def _table(key: tuple[str, ...], entries: Mapping[str, Mapping[str, Any]]) -> Table:
    model, data, recipe, scored, licence = key
    title = f"{model} on {data}, trained as {recipe}\n{scored}; {_intervals(entries)}\n{licence}"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.title_justify = "left"
    table.add_column("pretrained=", no_wrap=True, style="bold")
    names = columns(name for entry in entries.values() for name in entry["scores"])
    headings = [_heading(name) for name in names]
    uncertain = any(interval(entry) for entry in entries.values())
    headings[1:1] = [INTERVAL] if uncertain else []
    for heading in (*headings, "size"):
        whole = heading in (INTERVAL, "size")
        longest = max(map(len, heading.split()))
        table.add_column(heading, justify="right", no_wrap=whole, min_width=longest)
    for name, entry in sorted(entries.items(), key=lambda item: _rank(item[1], names)):
        cells = [find(score).text(entry["scores"].get(score)) for score in names]
        cells[1:1] = [interval(entry) or "–"] if uncertain else []
        table.add_row(name, *cells, size_text(size(entry)))
    return table


def _heading(name: str) -> str:
    """A score's heading for a narrow column."""
    heading = find(name).heading
    for word in ("Checker-\nboard", "Sharp-\nness"):
        heading = heading.replace(f"{word.replace(HYPHEN, '')}, ", f"{word},\n")
    return heading


def _intervals(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """What the intervals of a table are of."""
    seeds, images = (
        {entry[kind]["count"] for entry in entries.values() if entry.get(kind)}
        for kind in ("seeds", "images")
    )
    if seeds:
        return f"interval of the mean over {' or '.join(map(str, sorted(seeds)))} seeds"
    if images:
        return f"one seed, interval over its {images.pop()} images"
    return "one seed"


def interval(entry: Mapping[str, Any]) -> str:
    """Over seeds, else over images, else nothing."""
    if seeds := entry.get("seeds"):
        score = find(seeds["score"])
        return f"{score.text(seeds['mean'])} ± {score.text(seeds['half'])}"
    if images := entry.get("images"):
        score = find(images["score"])
        return f"{score.text(images['low'])} – {score.text(images['high'])}"
    return ""


def size(entry: Mapping[str, Any]) -> int:
    """Bytes of all files of a shipped net."""
    return sum(file["bytes"] for file in entry["files"].values())


def _rank(entry: Mapping[str, Any], names: Sequence[str]) -> float:
    """Lower for a better first score."""
    value = entry["scores"].get(names[0]) if names else None
    return math.inf if value is None else -find(names[0]).better * value
