"""The scale of an audit: how strong a checkerboard of so many dB looks."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from upzoo.audit.report import PHOTOGRAPH, severity


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
