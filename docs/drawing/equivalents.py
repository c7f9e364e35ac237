"""The same numbers on other ways: a convolution of an input with holes, and a transposed matrix."""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from drawing.cells import BLUE, GREEN, GREY, ORANGE, PALE, bare, cells, outline, shades, tint
from upzoo.upsampling.equivalents import conv_matrix
from upzoo.upsampling.geometry import geometry


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
