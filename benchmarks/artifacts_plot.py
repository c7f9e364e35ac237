"""The figures of `docs/artifacts.md`: what grids look like, and how small a one is found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.artifacts_images import GRIDS, drawn, enlarged
from upzoo.metrics.checkerboard.phases import detail_maps, grid_maps
from upzoo.metrics.checkerboard.power import power_spectrum

#: measure -> label, colour
MEASURES = {
    "peak_excess_db": ("peak excess", "#2f6db3"),
    "phase_mean": ("phase mean", "#2a9d6f"),
    "phase_variance_ratio": ("phase-variance ratio", "#e08214"),
    "profile_distance_db": ("radial profile", "#8a929b"),
}
STYLE = {"font.size": 9.5, "axes.titlesize": 10, "savefig.dpi": 100, "legend.frameon": False}
SHOWN = 0.08  # amplitude of the examples


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw all figures into a folder and return their files."""
    figures = {
        "artifacts_examples": examples(),
        "artifacts_detection": curves(results, images=40),
        "artifacts_counts": counts(results),
    }
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        # without the software's name the file depends on its picture alone
        figure.savefig(paths[-1], metadata={"Software": None})
        plt.close(figure)
    return paths


def examples(count: int = 60, size: int = 128) -> Figure:
    """A patch, the mean spectrum and both phase maps of each grid, on drawn images."""
    images = drawn(count, size)
    shown = {"no pattern": images}
    for name, grid in GRIDS.items():
        strength = 0.3 if name == "gain ripple" else SHOWN
        shown[f"{name}, {strength:g}"] = images + strength * grid(images, 2)
    shown["nearest ×2"] = enlarged(images, 2, "nearest")
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(4, len(shown), figsize=(1.55 * len(shown), 6.6))
        for column, (name, x) in zip(axes.T, shown.items(), strict=True):
            # scene 3 has edges and a smooth part side by side
            column[0].imshow(x[3, 0, 40:72, 40:72].numpy(), cmap="gray", vmin=0, vmax=1)
            column[0].set_title(name, fontsize=8.5)
            db = 10 * np.log10(power_spectrum(x, 64).mean(0).numpy())
            column[1].imshow(np.roll(db, (32, 32), (0, 1)), cmap="magma", vmin=-55, vmax=5)
            grid = grid_maps(x, 2).mean((0, 1)).numpy()
            column[2].imshow(grid, cmap="RdBu_r", vmin=-SHOWN, vmax=SHOWN)
            detail = detail_maps(x, 2).mean(0).numpy()
            detail /= detail.mean()
            column[3].imshow(detail, cmap="viridis", vmin=0.5, vmax=1.6)
            numbers(column[2], grid)
            numbers(column[3], detail)
            for axis in column:
                axis.set_xticks([])
                axis.set_yticks([])
        rows = ("32×32 pixels", "mean spectrum", "phase means", "detail by phase")
        for axis, name in zip(axes[:, 0], rows, strict=True):
            axis.set_ylabel(name)
        figure.subplots_adjust(left=0.035, right=0.995, top=0.955, bottom=0.01, wspace=0.06)
    return figure


def numbers(axis: Axes, values: np.ndarray) -> None:
    """Write the four values of a map into it."""
    limit = SHOWN if values.min() < 0 or values.max() < 0.2 else None
    for (row, column), value in np.ndenumerate(values):
        strong = abs(value) > 0.6 * limit if limit else value < 1.15
        axis.text(
            column,
            row,
            f"{value:.2f}".replace("-0.00", "0.00"),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if strong else "#222222",
        )


def curves(results: Mapping[str, Any], images: int) -> Figure:
    """Share of trials in which each measure finds a grid, against its amplitude, period 2."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(2, len(GRIDS), figsize=(12, 4.9), sharex=True, sharey=True)
        for line, source in zip(axes, ("photos", "drawn"), strict=True):
            for axis, grid in zip(line, GRIDS, strict=True):
                row = find(results[source], grid, 2, images)
                for measure, (label, colour) in MEASURES.items():
                    axis.plot(
                        [100 * amplitude for amplitude in results["amplitudes"]],
                        row[measure]["found"],
                        color=colour,
                        marker="o",
                        ms=3,
                        lw=1.5,
                        label=label,
                    )
                finish(axis)
            line[0].set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        for top, bottom, grid in zip(*axes, GRIDS, strict=True):
            top.set_title(grid)
            bottom.set_xlabel("amplitude, %")
        axes[0, 0].set_ylabel("found, photographs")
        axes[1, 0].set_ylabel("found, drawn scenes")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(labels))
        figure.suptitle(f"period 2, {images} images of {results['size']}×{results['size']} pixels")
        figure.subplots_adjust(left=0.07, right=0.99, top=0.87, bottom=0.19, wspace=0.08)
    return figure


def counts(results: Mapping[str, Any]) -> Figure:
    """Smallest amplitude that is found, against the number of images, for every period."""
    rows = results["photos"]
    periods = sorted({row["period"] for row in rows})
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(GRIDS), figsize=(12, 3.4), sharex=True, sharey=True)
        for axis, grid in zip(axes, GRIDS, strict=True):
            for measure, (_, colour) in list(MEASURES.items())[:3]:
                for period, style in zip(periods, ("-", ":", "--", "-."), strict=False):
                    here = [r for r in rows if r["grid"] == grid and r["period"] == period]
                    found = [r for r in here if r[measure]["smallest"] is not None]
                    x = [r["images"] for r in found]
                    y = [100 * r[measure]["smallest"] for r in found]
                    axis.plot(x, y, style, color=colour, marker="o", ms=3)
            finish(axis)
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda v, _: f"{v:g}"))
            axis.set_title(grid)
            axis.set_xlabel("images")
        axes[0].set_ylabel("smallest amplitude found, %")
        handles = [
            *(plt.Line2D([], [], color=c, label=n) for n, c in list(MEASURES.values())[:3]),
            *(
                plt.Line2D([], [], color="#444444", ls=style, label=f"period {p}")
                for p, style in zip(periods, ("-", ":", "--", "-."), strict=False)
            ),
        ]
        figure.legend(handles=handles, loc="lower center", ncols=len(handles))
        figure.subplots_adjust(left=0.07, right=0.99, top=0.91, bottom=0.27, wspace=0.08)
    return figure


def finish(axis: Axes) -> None:
    """A light grid and a logarithmic x axis with plain numbers."""
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.grid(color="#e3e6ea", lw=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def find(rows: Sequence[Mapping[str, Any]], grid: str, period: int, images: int) -> Any:
    """The row of a grid."""
    wanted = {"grid": grid, "period": period, "images": images}
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))
