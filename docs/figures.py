"""Draw the figures of `transposed_convolution.md`, and the scale of `artifacts.md`.

    python docs/figures.py              # all of them
    python docs/figures.py spectrum     # those named

Every number in them comes from the functions that the operators use.
"""

import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from upzoo.audit.report import PHOTOGRAPH, severity
from upzoo.upsampling.equivalents import conv_matrix
from upzoo.upsampling.functional import (
    bilinear_filter,
    bilinear_kernel,
    conv_transpose2d,
    overlap_counts,
    phase_gains,
    smooth_kernel,
)
from upzoo.upsampling.geometry import geometry

FOLDER = Path(__file__).parent / "figures"
BLUE, ORANGE, GREEN, RED, VIOLET = "#2f6db3", "#e08214", "#2a9d6f", "#c8403a", "#7a5fb0"
INK, GREY, PALE = "#22282f", "#8a929b", "#eef0f3"
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#b9d3ee", BLUE, "#173e6c"])
STYLE = {"font.size": 10, "axes.titlesize": 10.5, "text.color": INK, "savefig.dpi": 160}

Colour = tuple[float, ...]


def kernels() -> dict[str, Tensor]:
    """The kernels of all figures by the one name that each has in them; float64."""
    random = torch.rand(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wide = bilinear_filter(5)
    return {
        "ones 3×3": torch.ones(3, 3).double(),
        "ones 5×5": torch.ones(5, 5).double(),
        "upsample_filt(5)": torch.outer(wide, wide),
        "random 4×4": random + 0.25,
        "ones 4×4": torch.ones(4, 4).double(),
        "bilinear 4×4": bilinear_kernel(2),
        "bilinear in 5×5": bilinear_kernel(2, 5),
        "smooth, order 2": smooth_kernel(2, 2),
    }


def tint(colour: str, amount: float) -> Colour:
    """`colour` mixed with white: 0 is white, 1 the colour itself."""
    return tuple(1 - amount * (1 - channel) for channel in to_rgb(colour))


def shades(values: Tensor) -> list[list[Colour]]:
    """Blue by value, white at zero."""
    return SHADES(0.85 * (values / values.max()).numpy())[..., :3].tolist()


def number(value: float) -> str:
    """As few decimals as needed, two at most, with a true minus sign."""
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-", "−")


def cells(
    ax: Axes,
    values: Tensor,
    colours: Colour | list[list[Colour]],
    *,
    at: tuple[float, float] = (0, 0),
    labels: list[list[str]] | None = None,
) -> None:
    """A table of numbers with its top-left corner `at` (x, y); one unit a cell, y downwards."""
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            face = colours[i][j] if isinstance(colours, list) else colours
            x, y = at[0] + j, at[1] + i
            ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", linewidth=1.5))
            word = number(value) if labels is None else labels[i][j]
            ink = "white" if sum(face) < 1.6 else INK
            ax.text(x + 0.5, y + 0.52, word, ha="center", va="center", color=ink)


def outline(ax: Axes, x: float, y: float, w: float, h: float, colour: str) -> None:
    """A frame around cells."""
    ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=2.2))


def bare(ax: Axes, width: float, height: float, title: str) -> None:
    """Square cells, y downwards, no axes."""
    ax.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    ax.axis("off")
    ax.set_title(title, pad=8)


def verdict(ax: Axes, *, even: bool) -> None:
    """A green frame for even, a red one for uneven."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=GREEN if even else RED, linewidth=2.4)


def legend(figure: Figure, words: str = "") -> None:
    """Say below the axes what the frames mean, and whatever else `words` says."""
    figure.text(0.01, 0.02, words, ha="left", va="bottom", color=GREY)
    for x, colour, word in ((0.8, GREEN, "even"), (0.88, RED, "uneven")):
        figure.text(x, 0.02, f"▢ {word}", ha="left", va="bottom", color=colour, weight="bold")


def stamping() -> Figure:
    """Four stamps of a 3×3 kernel at stride 2, their sum, and TensorFlow's crop."""
    x, weight = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.ones(1, 1, 3, 3)
    hues = [BLUE, ORANGE, GREEN, VIOLET]
    figure, axes = plt.subplots(1, 6, figsize=(11, 2.25), width_ratios=[2, 5, 5, 5, 5, 5])
    cells(axes[0], x[0, 0], [[tint(h, 0.75) for h in hues[:2]], [tint(h, 0.75) for h in hues[2:]]])
    bare(axes[0], 2, 2, "input")
    for ax, mark, hue, k in zip(axes[1:], "+++=", hues, range(4), strict=False):
        one = torch.zeros(4)
        one[k] = x.flatten()[k]
        stamp = conv_transpose2d(one.view(1, 1, 2, 2), weight, 2, "valid")[0, 0]
        faces = [[tint(hue, 0.6) if v else to_rgb(PALE) for v in row] for row in stamp.tolist()]
        labels = [[number(v) if v else "" for v in row] for row in stamp.tolist()]
        cells(ax, stamp, faces, labels=labels)
        bare(ax, 5, 5, f"{one[k]:g} × kernel")
        ax.text(5.62, 2.5, mark, fontsize=15, ha="center", va="center")
    full = conv_transpose2d(x, weight, 2, "valid")[0, 0]
    cells(axes[5], full, shades(full))
    h, w = geometry((2, 2), (3, 3), 2, "same")
    outline(axes[5], w.before, h.before, w.out, h.out, RED)
    bare(axes[5], 5, 5, "sum, and its SAME crop")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.86, wspace=0.22)
    return figure


def zero_insertion() -> Figure:
    """Spread by s−1 zeros, pad, convolve with the kernel turned by 180°."""
    x, weight = torch.arange(1.0, 5).view(1, 1, 2, 2), torch.arange(1.0, 10).view(1, 1, 3, 3)
    spread = torch.zeros(3, 3)
    spread[::2, ::2] = x[0, 0]
    padded = F.pad(spread, (2, 2, 2, 2))
    turned = weight.flip(-2, -1)
    full = F.conv2d(padded[None, None], turned)[0, 0]
    blue, grey, pale = tint(BLUE, 0.55), tint(GREY, 0.35), to_rgb(PALE)
    faces = [[blue if v else grey for v in row] for row in spread.tolist()]
    around = [[pale] * 7] * 2 + [[pale] * 2 + row + [pale] * 2 for row in faces] + [[pale] * 7] * 2
    figure, axes = plt.subplots(1, 5, figsize=(11, 3.5), width_ratios=[2, 3, 7, 3, 5])
    cells(axes[0], x[0, 0], blue)
    bare(axes[0], 2, 2, "input")
    cells(axes[1], spread, faces)
    bare(axes[1], 3, 3, "s − 1 zeros between")
    cells(axes[2], padded, around)
    outline(axes[2], 1, 0, 3, 3, ORANGE)
    bare(axes[2], 7, 7, "k − 1 zeros around")
    cells(axes[3], turned[0, 0], tint(ORANGE, 0.5))
    bare(axes[3], 3, 3, "kernel, turned")
    cells(axes[4], full, shades(full))
    outline(axes[4], 1, 0, 1, 1, ORANGE)
    bare(axes[4], 5, 5, "output, whole")
    for ax, mark, x_at in zip(axes, "→→∗=", (1.32, 1.2, 1.09, 1.2), strict=False):
        ax.text(x_at, 0.5, mark, transform=ax.transAxes, fontsize=15, ha="center", va="center")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.9, wspace=0.25)
    return figure


def matrix() -> Figure:
    """C of a forward convolution of 7 pixels to 3, and its transpose."""
    kernel = torch.tensor([1.0, 2.0, 3.0])
    c = conv_matrix(kernel.view(1, 1, 1, 3), geometry((1, 3), (1, 3), (1, 2), "valid"))
    hues = [to_rgb(PALE), tint(BLUE, 0.6), tint(ORANGE, 0.65), tint(GREEN, 0.6)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.1), width_ratios=[10.7, 6.7])

    def table(ax: Axes, values: Tensor, at: tuple[float, float]) -> None:
        taps = values.int().tolist()
        labels = [["\u00a0abc"[tap] for tap in row] for row in taps]
        cells(ax, values, [[hues[tap] for tap in row] for row in taps], at=at, labels=labels)

    def vector(ax: Axes, n: int, name: str, at: tuple[float, float]) -> None:
        labels = [[f"${name}_{i}$"] for i in range(n)]
        cells(ax, torch.zeros(n, 1), to_rgb("white"), at=at, labels=labels)
        outline(ax, *at, 1, n, GREY)

    vector(left, 3, "o", (0, 2))
    left.text(1.5, 3.5, "=", ha="center", va="center", fontsize=14)
    table(left, c, (2, 2))
    vector(left, 7, "i", (9.6, 0))
    bare(left, 10.7, 7, "forward convolution:  $o = C\\,i$  (7 → 3)")
    vector(right, 7, "y", (0, 0))
    right.text(1.5, 3.5, "=", ha="center", va="center", fontsize=14)
    table(right, c.T, (2, 0))
    vector(right, 3, "x", (5.6, 2))
    bare(right, 6.7, 7, "transposed:  $y = C^{\\top} x$  (3 → 7)")
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.9, wspace=0.15)
    return figure


def overlap() -> Figure:
    """How many stamps reach each pixel of an interior, by kernel and stride."""
    kernels, strides = range(2, 7), range(2, 5)
    figure, axes = plt.subplots(len(strides), len(kernels), figsize=(9.5, 6.1))
    for (row, s), (column, k) in product(enumerate(strides), enumerate(kernels)):
        ax, counts = axes[row, column], overlap_counts(k, s)
        tile = counts.repeat(-(-8 // s), -(-8 // s))[:8, :8]
        scale = 1.45 * counts.max().item()
        ax.imshow(tile, cmap=SHADES, vmin=0, vmax=scale)
        for i, j in product(range(s), range(s)):
            ink = "white" if counts[i, j] / scale > 0.5 else INK
            ax.text(j, i, f"{counts[i, j]}", ha="center", va="center", color=ink)
        verdict(ax, even=bool((counts == counts[0, 0]).all()))
        if row == 0:
            ax.set_title(f"kernel {k}")
        if column == 0:
            ax.set_ylabel(f"stride {s}", fontsize=10.5, color=INK)
    figure.subplots_adjust(left=0.04, right=0.99, bottom=0.07, top=0.95, wspace=0.08, hspace=0.08)
    legend(figure, "stamps on a pixel, darker is more")
    return figure


def gains() -> Figure:
    """Phase gains of eight kernels at stride 2, coloured by their distance from the mean."""
    entries = kernels()
    colours = LinearSegmentedColormap.from_list("gain", [ORANGE, "#eceef1", BLUE])
    figure, axes = plt.subplots(1, len(entries), figsize=(11, 2.0))
    for ax, (name, kernel) in zip(axes, entries.items(), strict=True):
        gain = phase_gains(kernel, 2)
        away = (gain / gain.mean() - 1).clamp(-1, 1)
        cells(ax, gain, colours(0.5 + 0.5 * away.numpy())[..., :3].tolist())
        even = torch.allclose(gain, gain[:1, :1].expand(2, 2))
        outline(ax, 0, 0, 2, 2, GREEN if even else RED)
        bare(ax, 2, 2, name)
    legend(figure, "gain of a phase: orange below the kernel's mean, blue above, grey at it")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.14, top=0.86, wspace=0.16)
    return figure


def same_crop() -> Figure:
    """Which pixels each rule keeps of all those that 4 inputs stamp at stride 2."""
    figure, axes = plt.subplots(3, 1, figsize=(9.5, 6.2))
    for ax, k in zip(axes, (4, 3, 5), strict=True):
        ones = torch.ones(1, 1, 1, 4), torch.ones(1, 1, 1, k)
        full = conv_transpose2d(*ones, (1, 2), "valid")[0, 0]
        cells(ax, full, tint(GREY, 0.3))
        ax.text(-0.3, 0.5, f"all {full.shape[1]} pixels", ha="right", va="center")
        symmetric = (k - 1) // 2
        starts = []
        for y, rule, hue in ((1.35, "same", BLUE), (2.5, symmetric, ORANGE)):
            axis = geometry((4, 4), (k, k), 2, rule, 8)[1]
            kept = full[:, axis.before : axis.before + axis.out]
            cells(ax, kept, tint(hue, 0.55), at=(axis.before, y))
            name = "TensorFlow, SAME"
            if rule != "same":
                name = f"PyTorch, padding={rule}, output_padding={axis.before - axis.after}"
            ax.text(-0.3, y + 0.5, name, ha="right", va="center")
            cut = f"cut {axis.before} and {axis.after}"
            ax.text(11.4, y + 0.5, cut, ha="left", va="center", color=GREY)
            starts.append(axis.before)
        ax.set(xlim=(-7.6, 13.6), ylim=(3.6, -0.15), aspect="equal")
        ax.axis("off")
        shift = "one pixel apart" if starts[1] > starts[0] else "the same pixels"
        ax.set_title(f"kernel {k}, stride 2: {shift}", loc="left", fontweight="bold")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.95, hspace=0.25)
    return figure


def checkerboard() -> Figure:
    """What two layers, one after the other, make of a constant; each keeps its mean."""
    entries = [*kernels().items()][:6]
    figure, axes = plt.subplots(1, len(entries), figsize=(11, 2.55))
    for ax, (name, kernel) in zip(axes, entries, strict=True):
        kernel = 4 * kernel / kernel.sum()  # mean phase gain 1
        y = torch.ones(1, 1, 12, 12, dtype=torch.float64)
        for _ in range(2):
            y = conv_transpose2d(y, kernel[None, None], 2)
        picture = y[0, 0, 12:36, 12:36]  # away from the border
        ax.imshow(picture, cmap="gray", vmin=0, vmax=2)
        ripple = (picture.std(correction=0) / picture.mean()).item()
        even = ripple < 1e-9
        verdict(ax, even=even)
        ax.set_title(name)
        ax.set_xlabel(f"ripple {ripple:.0%}", color=GREEN if even else RED)
    legend(figure, "output for a constant 1: black is 0, white is 2")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.17, top=0.9, wspace=0.08)
    return figure


def response(kernel: Tensor, frequencies: Tensor) -> Tensor:
    """|H(f)| of a kernel along a row, for detail that is constant down the columns; 1 at 0."""
    taps = kernel.sum(0)
    turns = torch.outer(frequencies, torch.arange(len(taps), dtype=torch.float64))
    spectrum = (taps * torch.exp(-2j * torch.pi * turns)).sum(1).abs()
    return spectrum / taps.sum()


def spectrum() -> Figure:
    """A row of 64 pixels: with zeros between, the responses of kernels, and what is left."""
    n, stride = 64, 2
    line = torch.randn(400, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    smooth = torch.exp(-((torch.fft.fftfreq(n).double() / 0.16) ** 2))  # a row without fine detail
    line = torch.fft.ifft(torch.fft.fft(line) * smooth).real
    zeros = torch.zeros(len(line), stride * n, dtype=torch.float64)
    zeros[:, ::stride] = line
    power = torch.fft.rfft(zeros).abs().pow(2).mean(0).sqrt()
    frequencies = torch.fft.rfftfreq(stride * n).double()
    power = power / power.max()
    known = kernels()
    shown = {"ones 3×3": RED, "upsample_filt(5)": ORANGE, "ones 4×4": VIOLET, "bilinear 4×4": BLUE}
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.1), sharex=True)
    axes[0].fill_between(frequencies, power, color=BLUE, alpha=0.45, where=frequencies <= 0.25)
    axes[0].fill_between(frequencies, power, color=RED, alpha=0.45, where=frequencies >= 0.25)
    axes[0].text(0.02, 0.5, "the signal", color="#173e6c")
    axes[0].text(0.35, 0.5, "its image", color=RED)
    for name, colour in shown.items():
        gain = response(known[name], frequencies)
        axes[1].plot(frequencies, gain, color=colour, label=name, linewidth=1.8)
        axes[2].plot(frequencies, power * gain, color=colour, linewidth=1.8)
    axes[1].legend(frameon=False, fontsize=9)
    titles = ("one zero after each pixel", "the kernel, a low-pass filter", "output: their product")
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title)
        ax.set(xlim=(0, 0.5), ylim=(0, 1.08), xlabel="cycles per output pixel")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("amplitude, 1 at the highest")
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.17, top=0.9, wspace=0.15)
    return figure


def stamps_frame(done: int, n: int, sizes: tuple[int, ...], stride: int) -> Figure:
    """How many stamps of the first `done` of n × n pixels lie on each output pixel, by kernel."""
    widths = [stride * (n - 1) + k for k in sizes]
    figure, axes = plt.subplots(1, 1 + len(sizes), figsize=(8.3, 3.9), width_ratios=[n, *widths])
    at = divmod(done - 1, n)
    pixels = [[(i, j) for j in range(n)] for i in range(n)]
    filled = [[tint(ORANGE, 0.8) if p == at else tint(BLUE, 0.3) for p in row] for row in pixels]
    cells(axes[0], torch.zeros(n, n), filled, labels=[[""] * n] * n)
    bare(axes[0], n, n, "input")
    x = (torch.arange(n * n) < done).float().view(1, 1, n, n)
    for ax, k, width in zip(axes[1:], sizes, widths, strict=True):
        counts = conv_transpose2d(x, torch.ones(1, 1, k, k), stride, "valid")[0, 0]
        faces = SHADES(counts.numpy() / 5.6)[..., :3].tolist()
        labels = [[f"{c:g}" if c else "" for c in row] for row in counts.tolist()]
        cells(ax, counts, faces, labels=labels)
        outline(ax, stride * at[1], stride * at[0], k, k, ORANGE)
        end = ""
        if done == n * n:
            inner = counts[k - 1 : 1 - k, k - 1 : 1 - k]
            end = ": even" if bool((inner == inner[0, 0]).all()) else ": uneven"
        bare(ax, width, width, f"kernel {k}, stride {stride}{end}")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.9, wspace=0.12)
    return figure


def animate(path: Path, n: int = 4, sizes: tuple[int, ...] = (3, 4), stride: int = 2) -> None:
    """Write a GIF in which one input pixel after the other stamps its kernel."""
    frames = []
    for done in range(1, n * n + 1):
        figure = stamps_frame(done, n, sizes, stride)
        figure.set_dpi(100)
        figure.canvas.draw()
        frames.append(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()))
        plt.close(figure)
    both = np.concatenate([np.asarray(frames[len(frames) // 2]), np.asarray(frames[-1])])
    colours = Image.fromarray(both).quantize(64)
    first, *rest = [f.quantize(palette=colours, dither=Image.Dither.NONE) for f in frames]
    durations = [450] * (len(frames) - 1) + [3500]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def severities() -> Figure:
    """The scale of an audit, on a drawn scene: a checkerboard of 0, 6, 12 and 25 dB."""
    yy, xx = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 96), indexing="ij")
    scene = 0.35 + 0.3 * xx + 0.25 * ((xx - 0.6) ** 2 + (yy - 0.45) ** 2 < 0.06) - 0.2 * (yy > 0.8)
    checker = (-1.0) ** (torch.arange(96)[:, None] + torch.arange(96))
    figure, axes = plt.subplots(2, 4, figsize=(11, 6))
    for (whole, middle), db in zip(axes.T, (0.0, 6.0, 12.0, 25.0), strict=True):
        contrast = PHOTOGRAPH * (10 ** (db / 10) - 1) ** 0.5  # the inverse of `decibels`
        picture = scene + contrast * scene.std() * checker
        for ax, part in ((whole, picture), (middle, picture[36:60, 60:84])):
            ax.imshow(part, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
        whole.set_title(f"{db:g} dB: {severity(db)}")
        middle.set_xlabel(f"{contrast:.1%} of the picture's spread")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.05, top=0.95, wspace=0.05, hspace=0.05)
    return figure


FIGURES: tuple[Callable[[], Figure], ...] = (
    stamping,
    zero_insertion,
    matrix,
    overlap,
    gains,
    same_crop,
    checkerboard,
    spectrum,
    severities,
)


def main(names: list[str]) -> None:
    """Draw the figures of these names, or all, each to a file of its function's name."""
    FOLDER.mkdir(exist_ok=True)
    known = [*(draw.__name__ for draw in FIGURES), "stamps"]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"error: {unknown[0]}: no such figure (there are: {', '.join(known)})")
    with mpl.rc_context(STYLE):
        for draw in FIGURES:
            if not names or draw.__name__ in names:
                # Without the software's name the file depends on its picture alone.
                draw().savefig(FOLDER / f"{draw.__name__}.png", metadata={"Software": None})
        if not names or "stamps" in names:
            animate(FOLDER / "stamps.gif")


if __name__ == "__main__":
    main(sys.argv[1:])
