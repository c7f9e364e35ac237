"""An audit to look at: who is to blame, how strong each grid is, and what a constant becomes.

Before and after a correction stand side by side on the same scales. matplotlib is imported inside
functions, since a program that draws nothing should not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upzoo.audit.report import SEVERITIES, AuditReport, decibels
from upzoo.audit.words import verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

WIDTH, HEIGHT = 5.2, 7.2  # inches of each report
ROWS = 8  # layers that are named
MOST_DB = 45.0
FORMATS = (".png", ".jpg", ".svg", ".pdf")
PICTURE = 96  # pixels of an output that are shown
INK, GREY, BLUE, RED = "#222222", "#9aa3ad", "#3569a8", "#c02626"


def check_figure(path: str | Path) -> None:
    """Refuse, before any work, a file that no figure can be written as.

    Raises:
        ValueError: for another suffix, a folder that is not there.
    """
    path = Path(path)
    if path.suffix not in FORMATS or path.is_dir():
        raise ValueError(f"figure={path}: a figure is written as {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ValueError(f"figure={path}: there is no folder {path.parent}")


def draw(
    reports: Sequence[AuditReport],
    titles: Sequence[str] | None = None,
    shown: Sequence[Tensor | None] | None = None,
) -> Figure:
    """Draw one audit, or several in columns: before | after.

    Args:
        reports: of the same net.
        titles: of the columns; by default the net's name.
        shown: what each net makes of a picture, (C, *spatial): the middles are drawn below.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = [y for y in shown or () if y is not None and y.ndim == 3]
    rows = 3 + (len(made) == len(reports))
    size = (WIDTH * len(reports), HEIGHT * (1.45 if rows == 4 else 1))
    drawn = Figure(size, dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(drawn)
    ratios = (1.1, 1.1, 1.7, 1.7)[:rows]
    axes = drawn.subplots(rows, len(reports), squeeze=False, height_ratios=ratios)
    # one scale for all columns: what is fainter after a correction looks fainter
    spread = max((r.spread or 0.0 for r in reports), default=0.0)
    for place, report in enumerate(reports):
        title = titles[place] if titles is not None else report.net
        said = _folded(verdict(report))
        axes[0, place].set_title(f"{title}\n{said}", fontsize=9, loc="left", parse_math=False)
        _draw_blame(axes[0, place], report)
        _draw_periods(axes[1, place], report)
        _draw_tile(axes[2, place], report, spread)
    if rows == 4:
        _draw_pictures(axes[3], made)
    return drawn


def _draw_pictures(axes: Sequence[Axes], shown: Sequence[Tensor]) -> None:
    """The middles of pictures, all on the first one's scale; of many channels the liveliest."""
    first = shown[0].float()
    some = list(range(3)) if len(first) == 3 else [int(first.flatten(1).std(1).argmax())]
    middles = [_middle(y.float()[some]) for y in shown]
    low, high = middles[0].min(), max(middles[0].max(), middles[0].min() + 1e-12)
    for place, picture in zip(axes, middles, strict=True):
        place.set_axis_off()
        scaled = np.clip((picture - low) / (high - low), 0, 1)
        grey = scaled[..., 0] if scaled.shape[-1] == 1 else scaled
        place.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        place.set_title("the output for a picture, its middle", fontsize=8)


def _middle(y: Tensor) -> np.ndarray:
    """(H, W, C) of at most PICTURE pixels."""
    for axis in (1, 2):
        n = min(PICTURE, y.shape[axis])
        y = y.narrow(axis, (y.shape[axis] - n) // 2, n)
    return y.permute(1, 2, 0).cpu().numpy()


def _folded(text: str, width: int = 68) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width)[:3])


def _draw_blame(axes: Axes, report: AuditReport) -> None:
    """A bar for each main contributor: its share of the strongest grid that it makes."""
    shares: dict[str, tuple[float, int]] = {}
    for finding in report.findings:
        for cause in finding.causes:
            shares.setdefault(cause.layer, (cause.share or 1.0, finding.period))
    shown = dict(list(shares.items())[:ROWS])
    axes.barh(range(len(shown)), [100 * share for share, _ in shown.values()], color=BLUE)
    labels = [f"{name[-30:]}  (period {period})" for name, (_, period) in shown.items()]
    axes.set_yticks(range(len(shown)), labels, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the checkerboard, %", fontsize=8)
    if not shown:
        axes.text(50, 0, "no layer contributes", ha="center", va="center", color=GREY, fontsize=9)
        axes.set_ylim(1, -1)
    _plain(axes)


def _draw_periods(axes: Axes, report: AuditReport) -> None:
    """A bar for each period, in dB, on the scale of words."""
    values = {p: decibels(c) for p, c in report.contrast.items()}
    values |= {f.period: f.db for f in report.findings}
    shown = {p: min(db, MOST_DB) for p, db in sorted(values.items())}
    found = {finding.period for finding in report.findings}
    colours = [RED if period in found else GREY for period in shown]
    axes.bar(list(shown), list(shown.values()), color=colours, width=0.7)
    for least, word in SEVERITIES[:-1]:
        axes.axhline(least, color=GREY, linewidth=0.6, linestyle=":")
        axes.text(33, least, f"{word} {least:g}", fontsize=7, color=INK, va="center")
    axes.set_xlim(1, 33)
    axes.set_ylim(0, MOST_DB)
    axes.set_xticks([2, 4, 8, 16, 32])
    axes.set_xlabel("period at the output, pixels", fontsize=8)
    axes.set_ylabel("dB", fontsize=8)
    _plain(axes)


def _draw_tile(axes: Axes, report: AuditReport, spread: float) -> None:
    """What a constant becomes, grey for its mean, two standard deviations to black and white."""
    axes.set_axis_off()
    if report.tile is None:
        axes.text(0.5, 0.5, "no picture", ha="center", va="center", color=GREY, fontsize=9)
        return
    tile = np.array(report.tile)
    reach = 2 * spread or float(np.abs(tile).max()) or 1.0
    axes.imshow(tile - tile.mean(), cmap="gray", vmin=-reach, vmax=reach, interpolation="nearest")
    axes.set_title(
        f"a constant at the output's middle, ±{reach:.3g} (two of its deviations)", fontsize=8
    )


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
