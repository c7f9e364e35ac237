"""A comparison in words and numbers, and how the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table

from comparison.analysis import NOT_SIGNIFICANT, ONE_SEED, Contrast, Result, first
from comparison.groups import LeftOut, Variant
from comparison.statistics import Estimate
from runs.escape import terminal
from upzoo.metrics.catalogue import SCORES, Score, find, is_detail, ordered

ARROWS = {1: "↑ ", -1: "↓ ", 0: ""}
SHEETS = {
    "Quality": ("quality", "boundary", "sharpness"),
    "Artifacts": ("artifact",),
    "Further scores": ("further",),
    "Cost": ("cost",),
}
#: Left-out records that the terminal lists; the files list all.
MAX_LEFT_OUT = 20


@dataclass(frozen=True)
class Sheet:
    """A table as text; the first column names the variant."""

    title: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)


def sheets(result: Result) -> list[Sheet]:
    """The tables of a group: scores and costs, then differences to the baseline."""
    tables = []
    shown = [name for name in ordered(result.estimates) if not is_detail(name)]
    for title, kinds in SHEETS.items():
        names = [name for name in shown if find(name).kind in kinds]
        if names:
            tables.append(_scores(result, title, names))
    return tables + [_differences(result, name) for name in contrasted(result)]


def contrasted(result: Result) -> list[str]:
    """The metrics whose differences are shown: the first of quality, boundary and artifact."""
    firsts = (first(result.contrasts, kind) for kind in ("quality", "boundary", "artifact"))
    return [name for name in firsts if name is not None]


def words(result: Result) -> list[str]:
    """What can be concluded of a group, in sentences."""
    if result.baseline is None:
        sentences = ["No variant of this group is the baseline: no differences."]
    elif not result.contrasts:
        sentences = [f"{result.baseline.label} has nothing to be compared with."]
    else:
        sentences = [_conclusion(result, name) for name in contrasted(result)]
    if result.pareto_front and result.quality and result.artifact:
        titles = f"{SCORES[result.quality].heading}, and {SCORES[result.artifact].heading}"
        sentences.append(f"Pareto front of {titles}: {', '.join(result.pareto_front)}.")
    if all(len(variant.runs) == 1 for variant in result.group.variants):
        sentences.append("One seed each, so that there are no intervals: train three or more.")
    return sentences


def show(results: Iterable[Result], left_out: Sequence[LeftOut], console: Console) -> None:
    """Print tables no wider than the terminal, conclusions, and what was left out."""
    for result in results:
        console.rule(f"[bold]{terminal(result.group.title)}", align="left")
        for sheet in sheets(result):
            for part in fit(sheet, console.width):
                console.print(_rich(part, result, console.width))
        for sentence in [*words(result), *(f"Note: {note}" for note in result.notes)]:
            console.print(terminal(sentence), highlight=False)
        console.print()
    for each in left_out[:MAX_LEFT_OUT]:
        console.print(terminal(f"left out: {each}"), highlight=False, soft_wrap=True)
    if len(left_out) > MAX_LEFT_OUT:
        more = len(left_out) - MAX_LEFT_OUT
        console.print(f"left out: {more} more, all of them in comparison.md")


def fit(sheet: Sheet, width: int) -> list[Sheet]:
    """Split a table's columns over several that are no wider than `width`, the first in each.

    Headers may wrap between words, and cells of more than 28 characters.
    """
    needed = [width + 2 for width in _widths(sheet)]
    parts: list[list[int]] = [[]]
    for index in range(1, len(needed)):
        if parts[-1] and 1 + sum(needed[i] for i in (0, *parts[-1], index)) > width:
            parts.append([])
        parts[-1].append(index)
    return [
        Sheet(
            sheet.title + (" (continued)" if number else ""),
            [sheet.header[i] for i in (0, *part)],
            [[row[i] for i in (0, *part)] for row in sheet.rows],
        )
        for number, part in enumerate(parts)
    ]


def _widths(sheet: Sheet, whole: bool = False) -> list[int]:
    """Characters of each column: its longest cell, and word or whole of the header, up to 28."""
    columns = zip(sheet.header, *sheet.rows, strict=True)
    return [
        min(28, max(map(len, [*([head] if whole else head.split()), *cells])))
        for head, *cells in columns
    ]


def _scores(result: Result, title: str, names: Sequence[str]) -> Sheet:
    titles = [ARROWS[find(name).better] + find(name).heading for name in names]
    rows = [
        [
            variant.label,
            str(len(variant.runs)),
            *(_estimate(find(n), result.estimates[n].get(variant.label), variant) for n in names),
        ]
        for variant in result.group.variants
    ]
    return _with_seeds(title, titles, rows)


def _with_seeds(title: str, titles: Sequence[str], rows: Sequence[list[str]]) -> Sheet:
    """A table whose second column counts seeds; the title does, where all have as many."""
    counts = {row[1] for row in rows}
    if len(counts) != 1:
        return Sheet(title, ["operator", "seeds", *titles], list(rows))
    seeds = f"{title}, {(n := counts.pop())} seed{'s' if n != '1' else ''}"
    return Sheet(seeds, ["operator", *titles], [[row[0], *row[2:]] for row in rows])


def _estimate(metric: Score, estimate: Estimate | None, variant: Variant) -> str:
    if estimate is None:
        return "–"
    text = metric.text(estimate.mean)
    if estimate.half is not None and not (metric.kind == "cost" and estimate.half == 0):
        text += f" ± {metric.text(estimate.half)}"
    return text if estimate.n == len(variant.runs) else f"{text} (n={estimate.n})"


def _differences(result: Result, name: str) -> Sheet:
    assert result.baseline is not None
    metric, rows = SCORES[name], []
    for label, c in result.contrasts[name].items():
        n = str(c.difference.n) if c.difference else "0"
        p = "–" if c.p_holm is None else f"{c.p_holm:.3f}" if c.p_holm >= 0.001 else "<0.001"
        g = "–" if c.effect is None else f"{round(c.effect, 1) + 0.0:.1f}".replace("-", "−")
        verdict = c.verdict + (f": {_needs(c)} seeds" if c.verdict == NOT_SIGNIFICANT else "")
        rows.append([label, n, _signed(metric, c.difference), p, g, verdict])
    title = f"{ARROWS[metric.better]}{metric.heading}: difference to {result.baseline.label}"
    return _with_seeds(title, ["difference", "p", "g", "verdict"], rows)


def _signed(metric: Score, difference: Estimate | None) -> str:
    if difference is None:
        return "–"
    text = metric.text(difference.mean)
    text = text if text.startswith("−") or not text.strip("0.") else f"+{text}"
    return text if difference.half is None else f"{text} ± {metric.text(difference.half)}"


def _needs(c: Contrast) -> str:
    return "over 1,000" if c.needed is None else f"~{c.needed}"


def _conclusion(result: Result, name: str) -> str:
    """Which variants are better, which worse, and whose difference is not significant."""
    assert result.baseline is not None
    contrasts = result.contrasts[name]
    against = f"{SCORES[name].heading} against {result.baseline.label}"
    if all(c.verdict == ONE_SEED for c in contrasts.values()):
        return f"{against}: one seed cannot tell a difference from chance."
    verdicts = sorted({c.verdict for c in contrasts.values()} - {NOT_SIGNIFICANT})
    parts = [
        f"{verdict}: {', '.join(label for label, c in contrasts.items() if c.verdict == verdict)}"
        for verdict in verdicts
    ]
    needed = {label: c for label, c in contrasts.items() if c.verdict == NOT_SIGNIFICANT}
    if needed:
        seeds = ", ".join(f"{label} ({_needs(c)} seeds needed)" for label, c in needed.items())
        parts.append(f"{NOT_SIGNIFICANT}: {seeds}")
    return f"{against}: {'; '.join(parts)}."


def _rich(sheet: Sheet, result: Result, width: int) -> Table:
    table = Table(
        title=terminal(sheet.title),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
    )
    roomy = _widths(sheet, whole=True)
    widths = roomy if 1 + sum(w + 2 for w in roomy) <= width else _widths(sheet)
    for head, each in zip(sheet.header, widths, strict=True):
        side: JustifyMethod = "left" if head in ("operator", "verdict") else "right"
        table.add_column(terminal(head), justify=side, width=each, overflow="fold")
    base = result.baseline and result.baseline.label
    for row in sheet.rows:
        table.add_row(*map(terminal, row), style="bold" if row[0] == base else None)
    return table
