"""Audits in the terminal: the summary, tables on request, a JSON file, progress."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from upzoo.atomic import whole
from upzoo.audit.report import AuditReport, Layer
from upzoo.audit.words import WIDTH, grouped, names, percent, ratio, summary, wrapped

PATIENCE = 2.0  # seconds before progress is shown


def show(
    report: AuditReport,
    console: Console | None = None,
    tables: bool = False,
    advice: bool = True,
) -> None:
    """Print an audit: its summary and, on request, its tables.

    Args:
        report: of an audit.
        console: to print on; by default 80 columns where no terminal tells.
        tables: every layer and period.
        advice: with the gradient's line and the next command.
    """
    console = console or Console(width=None if sys.stdout.isatty() else WIDTH)
    lines = summary(report, min(console.width, 100), advice).splitlines()
    for place, line in enumerate(lines):
        style = {0: "dim", 1: "bold"}.get(place, "")
        console.print(Text(line, style=style), soft_wrap=True)
    if tables:
        for table in all_tables(report):
            console.print()
            console.print(table)
        for note in report.notes:
            console.print(Text(f"note: {note}"), soft_wrap=True)


def say(lines: Sequence[str]) -> None:
    """Print lines, folded at 80 columns; nothing is folded that is there to be pasted."""
    for line in "\n".join(lines).splitlines():
        print(line if "upzoo.swap(" in line else "\n".join(wrapped(line)))


def all_tables(report: AuditReport) -> list[Table]:
    """The tables that have a row."""
    tables = (layers_table(report), periods_table(report), thinning_table(report))
    return [table for table in tables if table.row_count]


def layers_table(report: AuditReport) -> Table:
    """Lay out the layers that enlarge, those of one kind together: the largest figure of each."""
    table = _table("Layers that enlarge; ripple in % of the mean")
    table.add_column("layer", overflow="fold", ratio=3)
    table.add_column("kind", overflow="fold", ratio=3)
    for title in ("overlap", "weights", "seen", "in net", "blame"):
        table.add_column(title, justify="right", no_wrap=True)
    main = {cause.layer for cause in report.causes}
    ups = [layer for layer in report.layers if layer.up]
    groups = grouped([layer for layer in ups if layer.name not in main])
    for group in [[layer] for layer in ups if layer.name in main] + groups:
        table.add_row(
            names(group),
            f"{group[0].kind} {group[0].geometry()}",
            "–" if group[0].unevenness is None else f"×{group[0].unevenness:.3g}",
            *(percent(_most(group, key)) for key in ("ripple", "weighted", "inside", "blame")),
            style="bold red" if group[0].name == report.cause else None,
        )
    return table


def periods_table(report: AuditReport) -> Table:
    """Lay out what a constant and the example show at the output, by period, in %, and in dB."""
    table = _table(f"The output; a constant was fed at {report.fed}")
    for title in ("period", "of mean, %", "of spread, %", "chance, %", "example, dB", "detail"):
        table.add_column(title, justify="right")
    found = {finding.period for finding in report.findings}
    for period in sorted({*report.contrast, *report.pictures}):
        shown = report.pictures.get(period)
        telling = period in found or shown is not None or report.contrast.get(period, 0) > 1e-3
        if not telling:
            continue
        table.add_row(
            str(period),
            *(percent(f.get(period)) for f in (report.response, report.contrast, report.noise)),
            "–" if shown is None else f"{shown.excess_db:.1f}",
            "–" if shown is None else ratio(shown.detail_ratio),
            style="bold red" if period == report.period else None,
        )
    return table


def thinning_table(report: AuditReport) -> Table:
    """Lay out the layers that thin out, those of one kind together."""
    table = _table("Layers that thin out; gradient energy of the richest phase over the poorest")
    table.add_column("layer", overflow="fold", ratio=3)
    table.add_column("kind", overflow="fold", ratio=3)
    for title in ("overlap", "layer", "input"):
        table.add_column(title, justify="right", no_wrap=True)
    for group in grouped([layer for layer in report.layers if not layer.up]):
        end = [report.gradient[p] for layer in group if (p := layer.period) in report.gradient]
        own = _most(group, "gradient")
        table.add_row(
            names(group),
            f"{group[0].kind} {group[0].geometry()}",
            "–" if group[0].unevenness is None else f"×{group[0].unevenness:.3g}",
            "–" if own is None else ratio(own),
            ratio(max(end)) if end else "–",
        )
    return table


def _most(layers: Sequence[Layer], key: str) -> float | None:
    return max((v for layer in layers if (v := getattr(layer, key)) is not None), default=None)


def _table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")


def write(report: AuditReport, path: str | Path) -> Path:
    """Write an audit as JSON; numbers that are infinite or undefined become null."""
    with whole(path) as beside:
        text = json.dumps(report.to_dict(), indent=2, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")
    return Path(path)


@contextlib.contextmanager
def progress(subject: str, patience: float = PATIENCE) -> Iterator[Callable[[str], None]]:
    """Say on standard error which stage an audit is in, once it takes longer than `patience`.

    In a terminal one line changes; elsewhere each stage is a line.
    """
    console = Console(stderr=True)
    stage = "building"
    shown: Status | None = None
    lock = threading.Lock()

    def line() -> str:
        return f"auditing {subject}: {stage}"

    def begin() -> None:
        nonlocal shown
        with lock:
            if console.is_terminal:
                shown = console.status(line())
                shown.start()
            else:
                print(line(), file=sys.stderr, flush=True)

    def tell(name: str) -> None:
        nonlocal stage
        with lock:
            stage = name
            if shown is not None:
                shown.update(line())
            elif not timer.is_alive() and not console.is_terminal:
                print(line(), file=sys.stderr, flush=True)

    timer = threading.Timer(patience, begin)
    timer.daemon = True
    timer.start()
    try:
        yield tell
    finally:
        timer.cancel()
        timer.join()
        if shown is not None:
            shown.stop()
