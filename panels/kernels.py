"""Learned kernels to look at: a mosaic of them, and what they are on average."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from panels import canvas, style
from upzoo.upsampling import Upsample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_KERNELS = 12  # kernels along one side of the mosaic
HEIGHT, SIDE = 640, 240  # pixels: of the picture, of a mean kernel
NUMBERS = 11  # points of the numbers in a mean kernel, to be read when the picture is made smaller


def kernel_panel(weight: Tensor, title: str = "kernels", transposed: bool = True) -> Tensor:
    """Draw kernels in a diverging colour map centred on zero, with their means beside.

    The mosaic holds the first 12×12 kernels at most, a row for each input channel and a column for
    each output channel; kernels of a depthwise layer fill it line by line. "mean c→c" is the mean
    over kernels that carry a channel to itself. The means share one colour scale, beside theirs the
    mosaic has its own.

    Args:
        weight: (in, out, kh, kw) of a transposed convolution, or (out, in, kh, kw) otherwise.
        title: written above.
        transposed: whether input channels come first.

    Returns:
        (3, height, width) uint8, for `SummaryWriter.add_image`.

    Raises:
        ValueError: a weight that is not 4-dimensional, or that is empty.
    """
    if weight.ndim != 4 or weight.numel() == 0:
        raise ValueError(f"weight is {tuple(weight.shape)}, expected (in, out, kh, kw)")
    kernels = weight.detach().float().cpu().numpy()
    if not transposed:
        kernels = kernels.swapaxes(0, 1)
    means = {"mean kernel": kernels.mean(axis=(0, 1))}
    channels = min(kernels.shape[:2])
    if 1 < channels == max(kernels.shape[:2]):
        means["mean c→c"] = kernels[range(channels), range(channels)].mean(axis=0)
    drawn = canvas.figure(HEIGHT + SIDE + 190, HEIGHT)
    grid, caption = _mosaic_of(kernels)
    canvas.write(drawn, 24, 24, title, px=18, weight="bold")
    canvas.write(drawn, 24, 48, caption, px=15, color=style.GREY)
    _picture(drawn, (24, 76, HEIGHT - 100), _tiled(grid), frame=False)
    limit = max(float(np.abs(kernel).max()) for kernel in means.values())
    for place, (name, kernel) in enumerate(means.items()):
        top = 76 + place * (SIDE + 44)
        axes = _picture(drawn, (HEIGHT + 62, top, SIDE), kernel, frame=True, limit=limit)
        canvas.write(drawn, HEIGHT + 62, top - 13, f"{name}, sum {kernel.sum():.3g}", px=15)
        if max(kernel.shape) <= 4:
            _annotate(axes, kernel, limit)
    return canvas.pixels(drawn)


def upsampling_kernels(net: nn.Module, fixed: bool) -> dict[str, Tensor]:
    """The spatial kernels of a net's upsampling operators by name: 4-D, larger than 1×1.

    Args:
        net: the net.
        fixed: those that are not learned, too.
    """
    kernels = {}
    for name, module in net.named_modules():
        if isinstance(module, Upsample):
            tensors = dict(module.named_parameters()) | (
                dict(module.named_buffers()) if fixed else {}
            )
            for key, value in tensors.items():
                if value.ndim == 4 and value.shape[-1] > 1:
                    kernels[f"{name}.{key}"] = value.detach().float().cpu()
    return kernels


def _mosaic_of(kernels: np.ndarray) -> tuple[np.ndarray, str]:
    """Choose the kernels to show, (rows, columns, kh, kw), and say which they are."""
    inputs, outputs, height, width = kernels.shape
    size = f"{height}×{width}"
    if min(inputs, outputs) > 1:
        rows, columns = min(inputs, MAX_KERNELS), min(outputs, MAX_KERNELS)
        shown = "" if (rows, columns) == (inputs, outputs) else f", first {rows}×{columns} shown"
        caption = f"{inputs} in (down) × {outputs} out (across), {size}{shown}"
        return kernels[:rows, :columns], caption
    count = inputs * outputs
    columns = min(math.ceil(math.sqrt(count)), MAX_KERNELS)
    shown = min(count, columns * MAX_KERNELS)
    rows = -(-shown // columns)
    grid = np.full((rows * columns, height, width), np.nan, dtype=kernels.dtype)
    grid[:shown] = kernels.reshape(count, height, width)[:shown]
    more = "" if shown == count else f", first {shown} shown"
    return grid.reshape(rows, columns, height, width), f"{count} kernels, {size}{more}"


def _tiled(grid: np.ndarray) -> np.ndarray:
    """Set kernels (rows, columns, kh, kw) into one map, with a line of nan between them."""
    rows, columns, height, width = grid.shape
    scale = max(1, 16 // max(height, width))  # keeps the line thin beside small kernels
    cells = grid.repeat(scale, axis=2).repeat(scale, axis=3)
    cells = np.pad(cells, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    tiled = cells.transpose(0, 2, 1, 3).reshape(rows * cells.shape[2], columns * cells.shape[3])
    return tiled[:-1, :-1]


def _picture(
    drawn: Figure,
    place: tuple[int, int, int],
    values: np.ndarray,
    frame: bool,
    limit: float | None = None,
) -> Axes:
    """Draw values with a colour bar into a square at (left, top, side), in pixels."""
    width, height = drawn.get_size_inches() * style.DPI
    left, top, side = place
    box = (left / width, 1 - (top + side) / height, side / width, side / height)
    axes = drawn.add_axes(box, anchor="NW")
    finite = values[np.isfinite(values)]
    # symmetric about zero, so that white is zero
    limit = limit or float(np.abs(finite).max(initial=0)) or 1.0
    image = axes.imshow(values, cmap=style.SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(frame)
    axes.apply_aspect()
    shown = axes.get_position()
    bar = drawn.add_axes((shown.x1 + 10 / width, shown.y0, 12 / width, shown.height))
    colourbar = drawn.colorbar(image, cax=bar, ticks=[-limit, 0, limit], format="%.2g")
    colourbar.ax.tick_params(labelsize=10, length=2)
    colourbar.outline.set_linewidth(0.5)
    return axes


def _annotate(axes: Axes, kernel: np.ndarray, limit: float) -> None:
    for (row, column), value in np.ndenumerate(kernel):
        colour = "white" if abs(value) > 0.6 * limit else style.INK
        place = {"ha": "center", "va": "center", "fontsize": NUMBERS, "color": colour}
        axes.text(column, row, canvas.rounded(float(value), limit), **place)  # type: ignore[arg-type]
