"""The plot of `docs/operators.md`: what each operator costs beside its rivals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

#: name of a side -> label, colour, marker
SIDES = {
    "by hand": ("written by hand", "#e08214", "D"),
    "reference": ("readable reference", "#8a929b", "s"),
    "ours": ("this operator", "#2f6db3", "o"),
}
PANELS = (
    ("float32", "seconds", "fp32: training, ms"),
    ("bfloat16", "seconds", "bf16: training, ms"),
    ("float32", "peak_bytes", "fp32: peak memory of training, MB"),
)


def draw(results: Mapping[str, Any], setting: str, path: Path) -> None:
    """Forward and backward at one setting: time in both types, and peak memory."""
    rows = [r for r in results["operators"] if r["setting"] == setting and r["pass"] == "training"]
    # The cheapest on top, by the first panel; the same order in all.
    first = [row for row in rows if row["dtype"] == "float32"]
    order = [r["operator"] for r in sorted(first, key=lambda r: -r["seconds"]["ours"]["median"])]
    with mpl.rc_context({"font.size": 10, "axes.titlesize": 11, "savefig.dpi": 110}):
        figure, axes = plt.subplots(1, 3, figsize=(12, 5.2), sharey=True)
        for ax, (dtype, what, title) in zip(axes, PANELS, strict=True):
            found = {row["operator"]: row for row in rows if row["dtype"] == dtype}
            panel(ax, [found[name] for name in order], what)
            ax.set_title(title)
        axes[0].set_yticks(range(len(order)), order)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False)
        figure.suptitle(f"{setting} (channels, scale, input)", fontsize=12)
        figure.subplots_adjust(left=0.16, right=0.985, bottom=0.13, top=0.87, wspace=0.06)
        figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def panel(ax: Axes, rows: list[Mapping[str, Any]], what: str) -> None:
    """One dot for each side of each row, on a logarithmic axis; lines for the range of times."""
    for side, (label, colour, marker) in SIDES.items():
        here = [(y, row[what][side]) for y, row in enumerate(rows) if side in row[what]]
        heights = [y for y, _ in here]
        if what == "seconds":
            values = [1000 * value["median"] for _, value in here]
            for y, value in here:
                ax.plot([1000 * value["min"], 1000 * value["max"]], [y, y], color=colour, lw=1.5)
        else:
            values = [value / 1e6 for _, value in here]
        ax.plot(values, heights, marker, color=colour, label=label, ms=7 if side == "ours" else 6)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.grid(axis="both", color="#e3e6ea", lw=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
