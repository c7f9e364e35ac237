"""Audits of nets: tables for the terminal, a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from upzoo.atomic import whole
from upzoo.audit import AuditReport


def show(report: AuditReport, console: Console | None = None) -> None:
    """Print an audit: the finding, the layers that enlarge, those that thin out, the advice."""
    console = console or Console()
    parts: list[RenderableType] = [Text(report.finding(), style="bold"), Text()]
    if any(layer.up for layer in report.layers):
        parts.append(layers_table(report))
    if report.response:
        parts.append(periods_table(report))
    if report.gradient:
        parts.append(gradient_table(report))
    parts += [Text(f"• {line}") for line in report.advice]
    console.print(Group(*parts))


def layers_table(report: AuditReport) -> Table:
    """Lay out the layers that enlarge: what their weights say, and what a constant shows."""
    table = _table(f"Layers of {report.net} that enlarge; ripple in % of the mean")
    table.add_column("layer", overflow="fold")
    table.add_column("kind", overflow="fold")
    for title in ("overlap", "weights", "on the example", "by itself", "in the net", "blame"):
        table.add_column(title, justify="right")
    for layer in (each for each in report.layers if each.up):
        table.add_row(
            layer.name,
            f"{layer.kind} {layer.geometry()}",
            "–" if layer.unevenness is None else f"×{layer.unevenness:.3g}",
            *map(percent, (layer.ripple, layer.weighted, layer.response, layer.inside)),
            percent(layer.blame),
            style="bold red" if layer.name == report.cause else None,
        )
    return table


def periods_table(report: AuditReport) -> Table:
    """Lay out what a constant shows at the output, by period."""
    table = _table(f"A constant, fed at {report.fed}: ripple of the output in %")
    table.add_column("period", justify="right")
    table.add_column("of its mean", justify="right")
    table.add_column("of the output's spread", justify="right")
    for period, part in report.response.items():
        style = "bold red" if period == report.period else None
        table.add_row(str(period), percent(part), percent(report.contrast[period]), style=style)
    return table


def gradient_table(report: AuditReport) -> Table:
    """Lay out the phases of the input gradient, by period."""
    table = _table("Input gradient: phases against each other")
    table.add_column("period", justify="right")
    table.add_column("largest / smallest energy", justify="right")
    table.add_column("mean, % of its spread", justify="right")
    for period, figures in report.gradient.items():
        ratio = figures["energy_ratio"]
        table.add_row(str(period), f"{ratio:.2f}", percent(figures["mean"]))
    return table


def percent(share: float | None) -> str:
    """A share in %, to three digits; a dash for none.

    Example:
        >>> percent(0.31234), percent(3e-9), percent(None)
        ('31.2', '0', '–')
    """
    if share is None:
        return "–"
    return "0" if abs(share) < 5e-6 else f"{100 * share:.3g}"


def write(report: AuditReport, path: str | Path) -> Path:
    """Write an audit as JSON; numbers that are infinite or undefined become null."""
    with whole(path) as beside:
        text = json.dumps(report.to_dict(), indent=2, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def _table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
