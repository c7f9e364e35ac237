"""Eight kernels by name, their phase gains, and what they make of a constant and of a spectrum."""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from drawing.cells import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    VIOLET,
    bare,
    cells,
    legend,
    outline,
    verdict,
)
from upzoo.upsampling.functional import (
    bilinear_filter,
    bilinear_kernel,
    conv_transpose2d,
    phase_gains,
    smooth_kernel,
)


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
