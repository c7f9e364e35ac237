"""An audit to look at: ripple layer by layer, and what a constant becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from panels import canvas
from upzoo.audit import AuditReport, Layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, ROW, HEAD, FOOT = 1000, 26, 96, 300  # of the panel, in pixels
COLOURS = {"weights": "#9db7d5", "on the example": "#3569a8", "in the net": "#d1622b"}


def audit_panel(report: AuditReport) -> Tensor:
    """Draw an audit: ripple layer by layer, and the grid that a constant leaves at the output.

    Returns:
        (3, height, width) uint8.
    """
    ups = [layer for layer in report.layers if layer.up]
    chart = max(len(ups), 1) * ROW + 60
    height = HEAD + chart + FOOT
    drawn = canvas.figure(WIDTH, height)
    canvas.write(drawn, 24, 26, f"{report.net}: checkerboards", px=18, weight="bold")
    canvas.write(drawn, 24, 54, report.finding(), px=13)
    axes = drawn.add_axes((0.34, (FOOT + 40) / height, 0.63, (chart - 40) / height))
    _draw_layers(axes, ups, report.cause)
    top = (FOOT - 70) / height
    axes = drawn.add_axes((0.07, 40 / height, 0.43, top - 20 / height))
    _draw_periods(axes, report)
    if report.tile is not None:
        axes = drawn.add_axes((0.6, 20 / height, 0.3, top))
        axes.imshow(np.array(report.tile), cmap="gray", interpolation="nearest")
        axes.set_title("a constant, at the output's middle", fontsize=9)
        axes.set_axis_off()
    return canvas.pixels(drawn)


def _draw_layers(axes: Axes, layers: Sequence[Layer], cause: str | None) -> None:
    """Three bars for each layer, on an axis of powers of ten."""
    least = 1e-4  # in %
    values = {
        "weights": [layer.ripple for layer in layers],
        "on the example": [layer.weighted for layer in layers],
        "in the net": [layer.inside for layer in layers],
    }
    for offset, (name, column) in zip((-0.22, 0, 0.22), values.items(), strict=True):
        shown = [(row + offset, v) for row, v in enumerate(column) if v is not None]
        rows, ripples = [row for row, _ in shown], [max(100 * v, least) for _, v in shown]
        axes.barh(rows, ripples, height=0.2, left=0, color=COLOURS[name], label=name)
    axes.set_xscale("log")
    axes.set_xlim(least, 1e3)
    axes.set_ylim(max(len(layers), 1) - 0.5, -0.5)
    labels = [f"{layer.name[-34:]}  {layer.geometry()}" for layer in layers]
    axes.set_yticks(range(len(layers)), labels, fontsize=8.5, parse_math=False)
    for label, layer in zip(axes.get_yticklabels(), layers, strict=True):
        label.set_color("#c02626" if layer.name == cause else "#222222")
    axes.set_xlabel("ripple, % of the mean", fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    if layers:
        axes.legend(fontsize=8, loc="lower right", frameon=False, ncols=3, bbox_to_anchor=(1, 1))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_periods(axes: Axes, report: AuditReport) -> None:
    """A bar for each period."""
    places = range(len(report.contrast))
    shares = [100 * v for v in report.contrast.values()]
    hues = ["#c02626" if p == report.period else "#9aa3ad" for p in report.contrast]
    axes.bar(places, shares, color=hues, width=0.6)
    axes.set_xticks(places, [str(p) for p in report.contrast])
    axes.set_xlabel("period at the output, pixels", fontsize=9)
    axes.set_title("grid of a constant, % of the output's spread", fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
