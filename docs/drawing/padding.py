"""Which pixels the rules of padding keep of those that are stamped."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from drawing.cells import BLUE, GREY, ORANGE, cells, tint
from upzoo.upsampling.functional import conv_transpose2d
from upzoo.upsampling.geometry import geometry


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
