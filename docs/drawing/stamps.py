"""A transposed convolution as stamps of its kernel: one by one, counted, and moving."""

from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from drawing.cells import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE,
    RED,
    SHADES,
    VIOLET,
    bare,
    cells,
    legend,
    number,
    outline,
    shades,
    tint,
    verdict,
)
from upzoo.upsampling.functional import conv_transpose2d, overlap_counts
from upzoo.upsampling.geometry import geometry


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
