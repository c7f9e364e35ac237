"""Draw the figures of `transposed_convolution.md`: `python docs/figures.py`.

Every number in them comes from the functions that the operators use.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from models.upsampling.equivalents import conv_matrix
from models.upsampling.functional import (
    bilinear_filter,
    bilinear_kernel,
    conv_transpose2d,
    overlap_counts,
    phase_gains,
    smooth_kernel,
)
from models.upsampling.geometry import geometry

FOLDER = Path(__file__).parent / "figures"
BLUE, ORANGE, GREEN, RED, VIOLET = "#2f6db3", "#e08214", "#2a9d6f", "#c8403a", "#7a5fb0"
INK, GREY, PALE = "#22282f", "#8a929b", "#eef0f3"
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#b9d3ee", BLUE, "#173e6c"])
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "text.color": INK,
    "axes.titlecolor": INK,
    "figure.facecolor": "white",
    "savefig.dpi": 120,
}


def tint(colour: str, amount: float) -> tuple[float, ...]:
    """`colour` mixed with white: 0 is white, 1 the colour itself."""
    return tuple(1 - amount * (1 - channel) for channel in to_rgb(colour))


def cells(
    ax: Axes,
    values: Tensor,
    colours: Callable[[int, int], object],
    *,
    at: tuple[float, float] = (0, 0),
    text: Callable[[float], str] = lambda value: f"{value:g}",
    size: float = 10,
) -> None:
    """A table of numbers with its top-left corner `at` (x, y); one unit a cell, y downwards."""
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            face = mpl.colors.to_rgb(colours(i, j))
            x, y = at[0] + j, at[1] + i
            ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", linewidth=1.5))
            dark = sum(face) < 1.6
            ax.text(
                *(x + 0.5, y + 0.52, text(value)),
                ha="center",
                va="center",
                fontsize=size,
                color="white" if dark else INK,
            )


def outline(ax: Axes, x: float, y: float, w: float, h: float, colour: str, **style: object) -> None:
    """A frame around cells."""
    ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=2.2, **style))


def bare(ax: Axes, width: float, height: float, title: str = "") -> None:
    """Square cells, y downwards, no axes."""
    ax.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    ax.axis("off")
    if title:
        ax.set_title(title, pad=8)


def stamping() -> Figure:
    """Four stamps of a 3×3 kernel at stride 2, their sum, and TensorFlow's crop."""
    x, weight = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.ones(1, 1, 3, 3)
    hues = [[BLUE, ORANGE], [GREEN, VIOLET]]
    figure, axes = plt.subplots(1, 6, figsize=(11, 2.6), width_ratios=[2, 5, 5, 5, 5, 5])
    cells(axes[0], x[0, 0], lambda i, j: tint(hues[i][j], 0.75))
    bare(axes[0], 2, 2, "input")
    for k in range(4):
        i, j = divmod(k, 2)
        one = torch.zeros_like(x)
        one[..., i, j] = x[..., i, j]
        stamp = conv_transpose2d(one, weight, 2, "valid")[0, 0]
        paint = lambda p, q, s=stamp, h=hues[i][j]: tint(h, 0.6) if s[p, q] else PALE  # noqa: E731
        cells(axes[1 + k], stamp, paint, text=lambda v: f"{v:g}" if v else "")
        bare(axes[1 + k], 5, 5, f"{x[0, 0, i, j]:g} × kernel")
        axes[1 + k].text(5.55, 2.5, "+" if k < 3 else "=", fontsize=15, ha="center", va="center")
    full = conv_transpose2d(x, weight, 2, "valid")[0, 0]
    cells(axes[5], full, lambda i, j: SHADES(0.85 * full[i, j].item() / full.max().item())[:3])
    same = geometry((2, 2), (3, 3), 2, "same")
    outline(axes[5], same[1].before, same[0].before, same[1].out, same[0].out, RED)
    bare(axes[5], 5, 5, "sum, and its SAME crop")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.86, wspace=0.22)
    return figure


def zero_insertion() -> Figure:
    """Spread by s−1 zeros, pad, convolve with the kernel turned by 180°."""
    x, weight = torch.arange(1.0, 5).view(1, 1, 2, 2), torch.arange(1.0, 10).view(1, 1, 3, 3)
    spread = torch.zeros(3, 3)
    spread[::2, ::2] = x[0, 0]
    padded = F.pad(spread, (2, 2, 2, 2))
    full = conv_transpose2d(x, weight, 2, "valid")[0, 0]
    found = F.conv2d(padded[None, None], weight.flip(-2, -1))[0, 0]
    assert torch.equal(found, full)
    figure, axes = plt.subplots(1, 5, figsize=(11, 3.5), width_ratios=[2, 3, 7, 3, 5])
    cells(axes[0], x[0, 0], lambda i, j: tint(BLUE, 0.55))
    bare(axes[0], 2, 2, "input")
    kept = lambda i, j: tint(BLUE, 0.55) if i % 2 == j % 2 == 0 else tint(GREY, 0.35)  # noqa: E731
    cells(axes[1], spread, kept)
    bare(axes[1], 3, 3, "s − 1 zeros between")
    inner = lambda i, j: kept(i, j) if 2 <= i < 5 and 2 <= j < 5 else PALE  # noqa: E731
    cells(axes[2], padded, inner)
    outline(axes[2], 1, 0, 3, 3, ORANGE)
    bare(axes[2], 7, 7, "k − 1 zeros around")
    cells(axes[3], weight[0, 0].flip(-2, -1), lambda i, j: tint(ORANGE, 0.5))
    bare(axes[3], 3, 3, "kernel, turned")
    cells(axes[4], full, lambda i, j: SHADES(0.8 * full[i, j].item() / full.max().item())[:3])
    outline(axes[4], 1, 0, 1, 1, ORANGE)
    bare(axes[4], 5, 5, "output, whole")
    for ax, mark, x_at in zip(axes, "→→∗=", (1.22, 1.16, 1.07, 1.16), strict=False):
        ax.text(x_at, 0.5, mark, transform=ax.transAxes, fontsize=15, ha="center", va="center")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.9, wspace=0.25)
    return figure


def matrix() -> Figure:
    """C of a forward convolution of 7 pixels to 3, and its transpose."""
    kernel = torch.tensor([1.0, 2.0, 3.0])
    c = conv_matrix(kernel.view(1, 1, 1, 3), geometry((1, 3), (1, 3), (1, 2), "valid"))
    hues = {0: PALE, 1: tint(BLUE, 0.6), 2: tint(ORANGE, 0.65), 3: tint(GREEN, 0.6)}
    names = {0: "", 1: "a", 2: "b", 3: "c"}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.1), width_ratios=[11, 9])

    def table(ax: Axes, values: Tensor, at: tuple[float, float]) -> None:
        paint = lambda i, j: hues[int(values[i, j])]  # noqa: E731
        cells(ax, values, paint, at=at, text=lambda v: names[int(v)], size=11)

    def vector(ax: Axes, n: int, name: str, at: tuple[float, float]) -> None:
        labels = iter([f"${name}_{i}$" for i in range(n)])
        cells(ax, torch.zeros(n, 1), lambda i, j: "white", at=at, text=lambda _: next(labels))
        outline(ax, *at, 1, n, GREY)

    vector(left, 3, "o", (0, 2))
    left.text(1.5, 3.5, "=", ha="center", va="center", fontsize=14)
    table(left, c, (2, 2))
    vector(left, 7, "i", (9.6, 0))
    bare(left, 10.7, 7, "forward convolution:  $o = C\\,i$     (7 pixels → 3)")
    vector(right, 7, "y", (0, 0))
    right.text(1.5, 3.5, "=", ha="center", va="center", fontsize=14)
    table(right, c.T, (2, 0))
    vector(right, 3, "x", (5.6, 2))
    bare(right, 6.7, 7, "transposed:  $y = C^{\\top} x$     (3 → 7)")
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.9, wspace=0.1)
    return figure


def overlap() -> Figure:
    """Overlap counts on an 8×8 interior for kernels 2…6 and strides 1…4."""
    kernels, strides = range(2, 7), range(2, 5)
    figure, axes = plt.subplots(len(strides), len(kernels), figsize=(9.5, 6.3))
    for row, s in zip(axes, strides, strict=True):
        for ax, k in zip(row, kernels, strict=True):
            counts = overlap_counts(k, s).float()
            tile = counts.repeat(-(-8 // s), -(-8 // s))[:8, :8]
            ax.imshow(tile, cmap=SHADES, vmin=0, vmax=1.15 * counts.max().item())
            ax.set(xticks=[], yticks=[])
            even = bool((counts == counts[0, 0]).all())
            for spine in ax.spines.values():
                spine.set(color=GREEN if even else RED, linewidth=2.5)
            for i in range(s):
                for j in range(s):
                    shade = counts[i, j] / (1.15 * counts.max())
                    ink = "white" if shade > 0.5 else INK
                    ax.text(j, i, f"{counts[i, j]:g}", ha="center", va="center", color=ink)
            if s == strides[0]:
                ax.set_title(f"kernel {k}")
            if k == kernels[0]:
                ax.set_ylabel(f"stride {s}", fontsize=10.5, color=INK)
    figure.subplots_adjust(left=0.04, right=0.99, bottom=0.02, top=0.94, wspace=0.08, hspace=0.08)
    return figure


def gains() -> Figure:
    """Phase gains of seven kernels at stride 2, each divided by its mean."""
    generator = torch.Generator().manual_seed(3)
    random = lambda k: torch.randn(k, k, generator=generator, dtype=torch.float64)  # noqa: E731
    wrong = bilinear_filter(5)
    entries = [
        ("ones 3×3", torch.ones(3, 3)),
        ("ones 5×5", torch.ones(5, 5)),
        ("ones 4×4", torch.ones(4, 4)),
        ("random 4×4", random(4)),
        ("upsample_filt(5)", torch.outer(wrong, wrong)),
        ("bilinear, 4×4", bilinear_kernel(2)),
        ("bilinear, in 5×5", bilinear_kernel(2, 5)),
        ("smooth, order 2", smooth_kernel(2, 2)),
    ]
    colours = LinearSegmentedColormap.from_list("gain", [ORANGE, "#ffffff", BLUE])
    figure, axes = plt.subplots(1, len(entries), figsize=(11, 2.3))
    for ax, (name, kernel) in zip(axes, entries, strict=True):
        gain = phase_gains(kernel.double(), 2)
        relative = gain / gain.mean()
        paint = (
            lambda i, j, r=relative: colours(  # noqa: E731
                min(max(0.5 + 0.35 * (r[i, j].item() - 1), 0.0), 1.0)
            )[:3]
        )
        cells(ax, gain, paint, text=lambda v: f"{v:.2f}".rstrip("0").rstrip("."), size=9.5)
        even = bool(torch.allclose(gain, gain[0, 0].expand_as(gain)))
        outline(ax, 0, 0, 2, 2, GREEN if even else RED)
        bare(ax, 2, 2)
        ax.set_title(name, fontsize=9.5, pad=8)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.84, wspace=0.16)
    return figure


def same_crop_against_symmetric() -> Figure:
    """Which of the F pixels each rule keeps, for 4 inputs at stride 2 and three kernels."""
    rules = [("TensorFlow SAME", "same", BLUE), ("PyTorch, symmetric", None, ORANGE)]
    figure, axes = plt.subplots(3, 1, figsize=(9.5, 6.2))
    for ax, k in zip(axes, (4, 3, 5), strict=True):
        weight = torch.ones(1, 1, 1, k)
        full = conv_transpose2d(torch.ones(1, 1, 1, 4), weight, (1, 2), "valid")[0, 0]
        cells(ax, full, lambda i, j: tint(GREY, 0.3))
        ax.text(-0.3, 0.5, f"all {full.shape[1]} pixels", ha="right", va="center")
        for row, (name, padding, hue) in enumerate(rules):
            rule = (k - 1) // 2 if padding is None else padding
            axis = geometry((4,) * 2, (k,) * 2, 2, rule, 8)[1]
            y = 1.35 + 1.15 * row
            kept = full[:, axis.before : axis.before + axis.out]
            cells(ax, kept, lambda i, j, h=hue: tint(h, 0.55), at=(axis.before, y))
            label = name if padding else f"{name} {rule}, output_padding {axis.before - axis.after}"
            ax.text(-0.3, y + 0.5, label, ha="right", va="center")
            cut = f"cut {axis.before} | {axis.after}"
            ax.text(full.shape[1] + 0.3, y + 0.5, cut, ha="left", va="center", color=GREY)
        ax.set(xlim=(-7.6, 13.6), ylim=(3.6, -0.15), aspect="equal")
        ax.axis("off")
        shift = "the same pixels" if k == 4 else "one pixel apart"
        ax.set_title(f"kernel {k}, stride 2: {shift}", loc="left", fontweight="bold")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.95, hspace=0.25)
    return figure


def checkerboard() -> Figure:
    """The answer of six layers, three deep, to a constant input."""
    generator = torch.Generator().manual_seed(0)

    def blob(k: int) -> Tensor:
        """A positive random kernel, its sum the square of the stride."""
        kernel = torch.rand(k, k, generator=generator, dtype=torch.float64) + 0.5
        return 4 * kernel / kernel.sum()

    wrong = bilinear_filter(5)
    wrong = torch.outer(wrong, wrong)
    entries = [
        ("ones 3×3", torch.ones(3, 3).double() * 4 / 9),
        ("ones 5×5", torch.ones(5, 5).double() * 4 / 25),
        ("upsample_filt(5)", wrong * 4 / wrong.sum()),
        ("random 4×4", blob(4)),
        ("ones 4×4", torch.ones(4, 4).double() / 4),
        ("bilinear 4×4", bilinear_kernel(2)),
    ]
    figure, axes = plt.subplots(1, len(entries), figsize=(11, 2.4))
    for ax, (name, kernel) in zip(axes, entries, strict=True):
        y = torch.ones(1, 1, 12, 12, dtype=torch.float64)
        for _ in range(2):
            y = conv_transpose2d(y, kernel[None, None], 2)
        picture = y[0, 0, 12:36, 12:36]
        ax.imshow(picture, cmap="gray", vmin=0.2, vmax=1.8)
        ripple = picture.std(correction=0) / picture.mean()
        ax.set_title(name)
        ax.set_xlabel(f"ripple {ripple:.0%}", color=GREEN if ripple < 1e-9 else RED)
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(color=GREEN if ripple < 1e-9 else RED, linewidth=2.2)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.12, top=0.9, wspace=0.08)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "stamping": stamping,
    "zero_insertion": zero_insertion,
    "matrix": matrix,
    "overlap": overlap,
    "phase_gains": gains,
    "same_crop": same_crop_against_symmetric,
    "checkerboard": checkerboard,
}


def main(names: Sequence[str]) -> None:
    """Draw the named figures, or all."""
    FOLDER.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        for name in names or FIGURES:
            figure = FIGURES[name]()
            # Without the software's name the file depends on its picture alone.
            figure.savefig(FOLDER / f"{name}.png", metadata={"Software": None})
            plt.close(figure)


if __name__ == "__main__":
    main(sys.argv[1:])
